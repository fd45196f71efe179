"""Rows that the job's `when` leaves out: counted everywhere, sent nowhere, unknown to the ledger."""

from __future__ import annotations

import pytest
from bench import Bench, counts, people


def test_rows_that_do_not_pass_are_skipped_and_come_back_when_they_do(bench: Bench) -> None:
    """Neither gate nor ledger has heard of them: a later run with another condition sends them as new."""
    bench.job(rules={"when": "{name} in ['Person 0', 'Person 1']"})
    rows = [{**row, "name": f"Person {number % 4}"} for number, row in enumerate(people(8))]
    bench.csv(rows)
    dry = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (dry["read"], dry["new"], dry["skipped"]) == (8, 4, {"filtered": 4})
    assert counts(bench.run().json) == {"accepted": 4, "skipped": {"filtered": 4}}
    assert counts(bench.run().json) == {"skipped": {"accepted": 4, "filtered": 4}}
    bench.job()
    assert counts(bench.run().json) == {"accepted": 4, "skipped": {"accepted": 4}}


def test_check_and_preview_say_which_rows_are_left_out(bench: Bench) -> None:
    """Before anything is sent."""
    bench.job(rules={"when": "{name} == Ann"})
    bench.csv([{"email": "a@example.com", "name": "Ann"}, {"email": "nobody", "name": "Bob"}])
    assert "1 rows can be sent, 1 are left out by `when`, 0 are unusable" in bench.cli("check", "job.toml").out
    told = bench.cli("check", "job.toml", "--output", "json").json
    assert (told["read"], told["usable"], told["filtered"], told["unusable"]) == (2, 1, 1, 0)
    shown = bench.cli("preview", "job.toml", "--output", "json").json["rows"]
    assert shown[1]["skipped"] == "filtered"
    assert "# row 2, line 3" in bench.cli("preview", "job.toml").out
    ended = bench.cli("run", "job.toml")
    assert "left out by the job's `when`" in ended.told()


@pytest.mark.parametrize("condition", ["{nmae} == Ann", "{name} = Ann"])
def test_a_condition_with_a_slip_stops_before_anything_is_sent(bench: Bench, condition: str) -> None:
    """With one sentence that names the key."""
    bench.job(rules={"when": condition})
    bench.csv(people(2))
    ended = bench.cli("run", "job.toml")
    assert ended.code == 2
    assert "job.toml: rules.when: " in ended.told()
    assert bench.sandbox.stats()["requests"] == 0
