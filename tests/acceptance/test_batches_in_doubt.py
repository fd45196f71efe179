"""Whatever can happen to the answer of a batch: all of its rows are in doubt, and nobody gets a message twice."""

from __future__ import annotations

from typing import Any

import pytest
from bench import Bench, counts, named, once_each, people
from test_batches import BATCH, batch_job, sizes

LOST = {
    "drop-after": "in_doubt:reset",
    "half-after": "in_doubt:protocol",
    "html-502-after": "in_doubt:http_502",
    "empty-200": "in_doubt:unparsable",
    "html-200": "in_doubt:unparsable",
    "http-503-after": "in_doubt:http_503",
    "slow-3": "in_doubt:read_timeout",
}
"""What happens once to the answer of a batch that was carried out, and what its rows are then."""

IMPATIENT = {"connect_timeout": "200ms", "timeout": "400ms"}


def given(bench: Bench, fault: str, **more: Any) -> list[dict[str, str]]:
    """A platform that was understood before, and seven rows of which one aims at a fault."""
    bench.csv(people(1))
    batch_job(bench, limits={"attempts": 1}, **more)
    assert counts(bench.run().json) == {"accepted": 1}
    rows = [*people(6, start=1), *named(f"lost+{fault}-once")]
    bench.csv(rows)
    return rows


@pytest.mark.parametrize(("fault", "form"), [*((fault, "json") for fault in LOST), ("half-after", "xml")])
def test_a_lost_answer_puts_all_rows_in_doubt_and_a_repeat_brings_it_back(bench: Bench, fault: str, form: str) -> None:
    """A time-out, half an answer, a reset, a page of a proxy: the next run asks for the very same batch again."""
    target = {**BATCH, "format": form}
    rows = given(bench, fault, target=target)
    if fault.startswith("slow"):
        batch_job(bench, limits={"attempts": 1}, target={**target, **IMPATIENT})
    first = bench.run().json
    batch_job(bench, limits={"attempts": 1}, target=target)
    assert counts(first) == {"in_doubt": 7}, first
    (code,) = first["codes"]
    # Where a connection ends, an engine may call it a reset or a breach of the protocol: both are doubt.
    assert code in ({LOST[fault], "in_doubt:reset"} if fault == "half-after" else {LOST[fault], "in_doubt:protocol"})
    second = bench.run().json
    assert (counts(second), second["replays"], second["requests"]) == ({"accepted": 7}, 7, 1)
    assert bench.effects() == once_each([*people(1), *rows])
    assert bench.sandbox.stats()["repeats_with_other_body"] == 0


@pytest.mark.parametrize(
    ("fault", "call"),
    [("drop-after", "workflows/import_and_start_batch"), ("empty-200", "workflows/import_and_start_batch_task")],
)
def test_without_deduplication_a_batch_in_doubt_waits_for_a_person(bench: Bench, fault: str, call: str) -> None:
    """Nothing of it is sent again, neither as a batch nor row by row."""
    bench.sandbox.change(dedupe_window_s=0)
    given(bench, fault, target={"endpoint": call, "deduplicates": False})
    assert counts(bench.run().json) == {"in_doubt": 7}
    before = sizes(bench)
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 7}}
    assert sizes(bench) == before
    assert set(bench.effects().values()) == {1}


@pytest.mark.parametrize("fault", ["drop-before", "html-502-before"])
def test_what_never_took_effect_is_in_doubt_as_well_and_ends_well(bench: Bench, fault: str) -> None:
    """From here the two look alike; under the same Request-ID it is simply carried out now."""
    rows = given(bench, fault)
    assert counts(bench.run().json) == {"in_doubt": 7}
    second = bench.run().json
    assert (counts(second), second["replays"]) == ({"accepted": 7}, 0)
    assert bench.effects() == once_each([*people(1), *rows])


def test_a_platform_that_is_away_fails_a_batch_and_puts_nothing_in_doubt(bench: Bench) -> None:
    """No connection was ever open: certain, and the next run sends the rows."""
    bench.csv(people(1))
    batch_job(bench)
    bench.run()
    bench.csv(people(20, start=1))
    path = batch_job(bench, target={"installation": bench.sandbox.url, "url": "http://127.0.0.1:1"})
    away = bench.run().json
    assert (counts(away), away["codes"]) == ({"failed": 20}, {"failed:connect": 20})
    path.write_text(path.read_text().replace("http://127.0.0.1:1", bench.sandbox.url))
    assert counts(bench.run().json) == {"accepted": 20}
    assert bench.effects() == once_each(people(21))


def test_an_error_500_of_one_item_is_that_row_s_doubt_alone(bench: Bench) -> None:
    """Its neighbours ended; it cannot be asked for by itself under the id of the batch, and waits."""
    given(bench, "fail-500-after")
    first = bench.run().json
    assert (counts(first), first["codes"]) == ({"accepted": 6, "in_doubt": 1}, {"in_doubt:500": 1})
    assert counts(bench.run().json)["skipped"] == {"accepted": 6, "in_doubt": 1}
    assert set(bench.effects().values()) == {1}
