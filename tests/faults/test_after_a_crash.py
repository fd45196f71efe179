"""What people do after a crash, other than running again: the source is gone, the job was changed."""

from __future__ import annotations

import pytest
from bench import Bench, counts, named


@pytest.mark.parametrize("name", ["Name of {}", "Name\r\nof {}"], ids=["plain", "of two lines"])
def test_half_a_line_of_a_result_file_is_never_sent(bench: Bench, name: str) -> None:
    """The source is gone, and the last row of its error file lost the end of a cell: it does not go as it stands."""
    bench.job(rules={"repeat": "identity"}, limits={"concurrency": 1})  # one by one, so that the last line is row 3
    rows = named(*(f"p{number}+fail-435-once" for number in range(4)))
    bench.csv([{**row, "name": name.format(number)} for number, row in enumerate(rows)])
    ended = bench.run().json
    assert counts(ended) == {"rejected": 4}
    errors = bench.state / "runs" / "welcome" / ended["run"] / "error.csv"
    errors.write_bytes(errors.read_bytes()[:-4])
    (errors.parent / "summary.json").unlink()
    (bench.home / "people.csv").unlink()
    again = bench.retry()
    assert again.code == 4, again.told()
    assert "1 rows were not sent again" in again.json["error"]
    assert again.json["accepted"] == 3
    assert {one["data"]["_fname"] for one in bench.sandbox.profiles()} == {name.format(n) for n in range(3)}


def test_a_changed_job_does_not_send_rows_in_doubt_anew(bench: Bench) -> None:
    """Nothing was accepted, and everything may have arrived; the file is read otherwise by now."""
    bench.job(limits={"attempts": 1})
    rows = named(*(f"p{number}+drop-after-once" for number in range(5)))
    bench.csv(rows)
    assert counts(bench.run().json) == {"in_doubt": 5}
    (bench.home / "people.csv").write_text((bench.home / "people.csv").read_text().replace(",", ";"))
    bench.job(source={"delimiter": ";"}, data={"email": "{email}", "_fname": "Dear {name}"})
    ended = bench.cli("run", "job.toml", "--output", "json")
    assert ended.code == 2, ended.told()
    assert "5 rows that were sent before would be sent again because of it" in ended.err
    assert set(bench.effects().values()) == {1}
