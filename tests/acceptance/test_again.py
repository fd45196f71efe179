"""Sending again on purpose: `retry`, `resolve`, and an error.csv that is fed back."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, Ended, counts, named, once_each, people, result_rows, rows_of, write_rows

BAD = ("a+fail-435", "b+fail-409", "c+fail-404")
"""Three refused rows; with errors forgotten and the faults gone they would be accepted."""


def file_of(ended: Ended, kind: str = "error") -> Path:
    """A result file of a run."""
    return Path(ended.json["run_dir"]) / f"{kind}.csv"


# --- retry -------------------------------------------------------------------------------------


def test_retry_sends_rejected_rows_by_code_and_by_run(bench: Bench) -> None:
    """Only what is asked for goes again, under a new Request-ID; a run does not send rejected rows by itself."""
    bench.job()
    rows = [*named(*(f"{part}-times1" for part in BAD)), *people(5)]
    bench.csv(rows)
    first = bench.run()
    assert counts(first.json) == {"accepted": 5, "rejected": 3}
    bench.csv([*people(3, start=100), *named("d+fail-435-once")], "second.csv")
    second = bench.run("second.csv")
    assert counts(second.json) == {"accepted": 3, "rejected": 1}

    assert counts(bench.retry("--code", "441").json) == {}
    assert counts(bench.retry("--outcome", "failed,in-doubt").json) == {}
    by_code = bench.retry("--code", "409,404", "--run", first.json["run"])
    assert (by_code.code, counts(by_code.json)) == (0, {"accepted": 2})
    by_run = bench.retry("--run", second.json["run"])
    assert (by_run.code, counts(by_run.json)) == (0, {"accepted": 1})
    rest = bench.retry()
    assert (rest.code, counts(rest.json)) == (0, {"accepted": 1})
    assert counts(bench.retry().json) == {}

    assert max(bench.effects().values()) == 1
    assert len(bench.effects()) == 12
    for part in BAD:
        assert len(set(bench.request_ids()[f"{part}-times1@example.com"])) == 2


def test_retry_sends_what_failed(bench: Bench) -> None:
    """Rows that never got a connection go out once the platform is there."""
    bench.job(target={"url": "http://127.0.0.1:9", "installation": "ours"}, limits={"attempts": 1})
    rows = people(6)
    bench.csv(rows)
    first = bench.run()
    assert (first.code, counts(first.json)) == (1, {"failed": 6})
    bench.job(target={"installation": "ours"})
    rehearsed = bench.cli("retry", "job.toml", "--run", "last", "--dry-run", "--output", "json")
    assert rehearsed.json["would_send"] == 6
    assert bench.sandbox.stats()["requests"] == 0
    retried = bench.retry("--run", "last", "--outcome", "failed")
    assert (retried.code, counts(retried.json)) == (0, {"accepted": 6})
    assert bench.effects() == once_each(rows)


def test_retry_repeats_rows_in_doubt_under_their_request_id(bench: Bench) -> None:
    """Where the job resends, `retry --outcome in-doubt` lifts the doubt and leaves rejected rows alone."""
    bench.job(limits={"attempts": 1})
    bench.csv(named("a+half-after-once", "b+fail-435-once"))
    assert counts(bench.run().json) == {"rejected": 1, "in_doubt": 1}
    retried = bench.retry("--outcome", "in-doubt")
    assert (retried.code, counts(retried.json)) == (0, {"accepted": 1})
    assert retried.json["replays"] == 1
    assert bench.effects() == once_each(named("a+half-after-once"))


def test_retry_leaves_rows_alone_that_were_meant_for_another_platform(bench: Bench) -> None:
    """What failed elsewhere is no business of this platform: nothing is sent, whatever `retry` is asked for."""
    bench.job(limits={"attempts": 1})
    bench.csv(people(3))
    assert counts(bench.run("--url", "http://127.0.0.1:9").json) == {"failed": 3}
    assert counts(bench.retry().json) == {}
    assert bench.sandbox.stats()["requests"] == 0


def test_retry_finds_a_file_that_was_moved_and_names_one_that_is_gone(bench: Bench) -> None:
    """Files are known by content: another name or folder is no matter; a changed one counts as gone."""
    bench.job()
    first = bench.csv(named("a+fail-435-once"), "first.csv")
    second = bench.csv(named("b+fail-435-once", "c+fail-435-once"), "second.csv")
    ran = bench.run(first, second)
    assert counts(ran.json) == {"rejected": 3}
    (Path(ran.json["run_dir"]) / "error.csv").unlink()  # where its rows would be read instead
    (bench.home / "archive").mkdir()
    first.rename(bench.home / "archive" / "old.csv")
    second.write_text(second.read_text(encoding="utf-8").replace("Name", "Mane"), encoding="utf-8")
    retried = bench.retry()
    assert (retried.code, counts(retried.json)) == (4, {"accepted": 1})
    assert "2 rows were not sent again" in retried.json["error"]
    assert str(second) in retried.json["error"]
    assert bench.effects() == once_each(named("a+fail-435-once"))


def test_the_next_command_that_a_summary_names_works_as_it_stands(bench: Bench) -> None:
    """What is printed under `next` can be pasted."""
    bench.job()
    bench.csv([*named("a+fail-435-once"), *people(2)])
    ended = bench.run("--ledger", bench.home / "my.db")
    (command,) = ended.json["next"]
    program, *arguments = command.split()
    assert program == "batchrunner"
    assert counts(bench.cli(*arguments, "--output", "json").json) == {"accepted": 1}


def test_the_next_command_goes_to_the_platform_that_the_run_went_to(bench: Bench) -> None:
    """After `--url` the command that is offered names the same platform, not the job's."""
    bench.job(target={"url": "http://127.0.0.1:9"})
    bench.csv([*named("a+fail-435-once"), *people(2)])
    ended = bench.run("--url", bench.sandbox.url)
    (command,) = ended.json["next"]
    assert counts(bench.cli(*command.split()[1:], "--output", "json").json) == {"accepted": 1}


def test_a_rehearsal_in_the_sandbox_never_offers_a_command_that_sends_for_real(bench: Bench) -> None:
    """What `run --sandbox` suggests must not take the rows to the job's platform."""
    bench.job()
    bench.csv([*named("a+fail-435"), *people(2)])
    ended = bench.run("--sandbox")
    assert counts(ended.json) == {"accepted": 2, "rejected": 1}
    for command in ended.json["next"]:
        bench.cli(*command.split()[1:])
    assert bench.sandbox.stats()["requests"] == 0


# --- resolve -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "code", "then", "effects"),
    [
        ("accepted", 0, {"skipped": {"accepted": 3}}, 1),
        ("failed", 0, {"accepted": 1, "skipped": {"accepted": 2}}, 2),
        ("resend", 0, {"accepted": 1, "skipped": {"accepted": 2}}, 1),
    ],
)
def test_a_person_decides_and_the_next_run_obeys(
    bench: Bench, decision: str, code: int, then: dict[str, Any], effects: int
) -> None:
    """Accepted: never again. Failed: sent anew, whatever it did. Resend: under the same Request-ID."""
    bench.job(rules={"in_doubt": "hold"})
    bench.csv([*named("a+drop-after-once"), *people(2)])
    assert bench.run().code == 5
    resolved = bench.cli("resolve", "job.toml", "--run", "last", "--as", decision, "--output", "json")
    assert (resolved.code, resolved.json["resolved"]) == (0, 1)
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (code, then)
    assert bench.effects()["a+drop-after-once@example.com"] == effects
    assert bench.run().code == 0


def test_resolve_decides_about_single_rows_and_codes(bench: Bench) -> None:
    """`--row` and `--code` narrow a decision down; everything else goes on waiting."""
    bench.job(rules={"in_doubt": "hold"})
    bench.csv(named("a+drop-after", "b+drop-after", "c+html-502", "d+html-502"))
    run = bench.run().json["run"]
    resolve: Callable[..., Ended] = lambda *more: bench.cli(  # noqa: E731
        "resolve", "job.toml", "--run", run, "--as", "accepted", "--output", "json", *more
    )
    assert resolve("--row", "2").json["resolved"] == 1
    assert resolve("--code", "http_502").json["resolved"] == 2
    waiting = json.loads(bench.cli("status", "job.toml", "--output", "json").out)["jobs"][0]["waiting"]
    assert [(one["outcome"], one["rows"]) for one in waiting] == [("in_doubt", 1)]
    assert resolve("--row", "1").json["resolved"] == 1
    assert resolve().json["resolved"] == 0
    assert counts(bench.run().json) == {"skipped": {"accepted": 4}}


# --- error.csv, fed back -----------------------------------------------------------------------


def corrected(path: Path) -> Path:
    """The file as a person corrects it: the addresses lose what was wrong with them."""
    rows = [{**row, "email": row["email"].replace("+fail-435", "")} for row in rows_of(path)]
    return write_rows(path.with_name("corrected.csv"), rows)


@pytest.mark.parametrize("repeat", ["unchanged", "file"])
def test_error_csv_is_held_back_as_it_is_and_accepted_once_it_is_corrected(bench: Bench, repeat: str) -> None:
    """A result file is a source: nobody gets a second message, and what was put right arrives."""
    bench.job(rules={"repeat": repeat})
    rows = [*people(4), *named("a+fail-435", "b+fail-435"), {"email": "", "name": "Nobody"}]
    bench.csv(rows)
    first = bench.run()
    assert counts(first.json) == {"accepted": 4, "rejected": 2, "unusable": 1}
    as_it_is = bench.run(file_of(first))
    assert (as_it_is.code, counts(as_it_is.json)) == (1, {"unusable": 1, "skipped": {"rejected": 2}})
    assert bench.sandbox.stats()["requests"] == 6

    put_right = bench.run(corrected(file_of(first)))
    expected = {"accepted": 2, "unusable": 1}
    assert counts(put_right.json) == expected, put_right.told()
    assert bench.effects() == once_each([*people(4), *named("a", "b")])
    # Where a row came from is still known in the second generation of result files.
    (nobody,) = result_rows(put_right.json, "error")
    assert (nobody["_row"], nobody["_line"], nobody["_source"]) == ("7", "8", _fingerprint(bench, first))
    # And neither file sends anything to anybody a second time.
    assert bench.run(file_of(first).with_name("corrected.csv")).json["requests"] == 0
    assert bench.run(file_of(first, "success")).json["requests"] == 0
    assert max(bench.effects().values()) == 1


def _fingerprint(bench: Bench, ended: Ended) -> str:
    shown = bench.cli("show", ended.json["run"], "--output", "json").json
    fingerprint = shown["sources"][0]["fingerprint"]
    assert isinstance(fingerprint, str)
    return fingerprint


@pytest.mark.parametrize("repeat", ["unchanged", "file"])
def test_in_doubt_rows_that_are_fed_back_are_not_sent_twice(bench: Bench, repeat: str) -> None:
    """in_doubt.csv given to `run` is the same rows: held back where they wait, and never a second effect."""
    bench.job(rules={"repeat": repeat, "in_doubt": "hold"})
    bench.csv([*named("a+drop-after-once"), *people(2)])
    first = bench.run()
    assert first.code == 5
    fed_back = bench.run(file_of(first, "in_doubt"))
    assert (fed_back.code, counts(fed_back.json)) == (5, {"skipped": {"in_doubt": 1}})
    assert max(bench.effects().values()) == 1


# --- a file that comes again ---------------------------------------------------------------------


def stretches(bench: Bench) -> int:
    """How many the ledger remembers."""
    with sqlite3.connect(bench.ledger) as ledger:
        count: int = ledger.execute("SELECT count(*) FROM stretches").fetchone()[0]
        return count


def test_a_file_that_comes_again_is_told_as_before(bench: Bench) -> None:
    """Known as a whole or row by row, in a run or a rehearsal: the same counts, and nothing is sent twice."""
    bench.job()
    rows = people(30)
    bench.csv(rows)
    assert counts(bench.run().json) == {"accepted": 30}
    assert stretches(bench) == 1
    again = bench.run()
    assert (again.code, again.json["read"], counts(again.json)) == (0, 30, {"skipped": {"accepted": 30}})
    rehearsed = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (rehearsed["read"], rehearsed["would_send"], rehearsed["skipped"]) == (30, 0, {"accepted": 30})
    assert counts(bench.run("--limit", "7").json) == {"skipped": {"accepted": 7}}

    bench.csv([*rows, *people(2, start=50)])
    assert counts(bench.run().json) == {"accepted": 2, "skipped": {"accepted": 30}}
    bench.job(rules={"repeat_after": "1s"})  # what was accepted is forgotten: a known stretch must not hold it back
    time.sleep(1.1)
    assert counts(bench.run().json) == {"accepted": 32}
    bench.job(data={"email": "{email}", "_fname": "Dear {name}"})
    assert bench.cli("run", "job.toml").code == 2
    assert counts(bench.run("--allow-resend").json) == {"accepted": 32}
    assert counts(bench.run().json) == {"skipped": {"accepted": 32}}


def test_damaged_cells_are_told_each_time_the_file_comes(bench: Bench) -> None:
    """Though every row was accepted."""
    bench.job()
    bench.csv([{"email": f"{n}@example.com", "name": "\u00a0Bob"} for n in range(3)])
    first, second = bench.run().json, bench.run().json
    assert (counts(first), counts(second)) == ({"accepted": 3}, {"skipped": {"accepted": 3}})
    assert first["repairs"] == second["repairs"] != []
    assert stretches(bench) == 0
