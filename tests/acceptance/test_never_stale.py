"""What was sent stays sent, whatever other runs come between; what was replaced is not sent any more."""

from __future__ import annotations

from pathlib import Path

from bench import Bench, counts, named, once_each, people, rows_of, write_rows

CHANGED = {"email": "{email}", "_fname": "{name}", "_city": "Riga"}


def test_runs_that_come_between_do_not_silence_the_guard(bench: Bench) -> None:
    """A file of other people, and a trial of one row that was allowed, are no consent for the rest."""
    first, others = people(5), people(3, start=50)
    bench.job()
    bench.csv(first)
    bench.run()
    bench.csv(others, "others.csv")
    bench.job(data=CHANGED)
    assert counts(bench.run("others.csv").json) == {"accepted": 3}
    refused = bench.cli("run", "job.toml")
    assert (refused.code, "5 rows" in refused.err) == (2, True), refused.told()
    bench.run("--allow-resend", "--limit", "1")
    refused = bench.cli("run", "job.toml")
    assert (refused.code, "4 rows" in refused.err) == (2, True), refused.told()
    assert bench.effects() - once_each([*first, *others]) == once_each(first[:1])


def test_a_file_that_is_read_otherwise_is_guarded_too(bench: Bench) -> None:
    """A new encoding changes names beyond repair, and so payloads: people who got something are counted."""
    bench.job()
    bench.csv([{"email": "jo@example.com", "name": "Zoë"}])
    bench.run()
    bench.job(source={"path": "people.csv", "encoding": "koi8-r"})
    refused = bench.cli("run", "job.toml")
    assert (refused.code, "1 rows" in refused.err) == (2, True), refused.told()
    assert set(bench.effects().values()) == {1}


def test_a_row_that_was_corrected_is_not_sent_in_its_old_form(bench: Bench) -> None:
    """Neither by a retry nor by a plain run of the export it came from."""
    rows = [*people(2), *named("a+fail-400-once")]
    bench.job()
    bench.csv(rows)
    first = bench.run()
    error = Path(first.json["run_dir"]) / "error.csv"
    corrected = [{**row, "name": "Corrected"} for row in rows_of(error)]
    put_right = bench.run(write_rows(error.with_name("corrected.csv"), corrected))
    assert counts(put_right.json) == {"accepted": 1}
    assert counts(bench.retry("--outcome", "rejected").json) == {"skipped": {"replaced": 1}}
    assert bench.run().json["requests"] == 0
    assert bench.effects() == once_each(rows)
