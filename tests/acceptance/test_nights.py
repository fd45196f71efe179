"""Nights: exports arrive, are loaded once, and are put away; what does not arrive, or is not right, is told."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench import Bench, Started, counts, once_each, people, table, toml, until
from test_schedule import schedule

LATE = {"deadline": (datetime.now(UTC) - timedelta(hours=1)).strftime("%H:%M")}
"""A deadline that is over: it is looked once."""


def nightly(
    bench: Bench,
    arrival: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    **tables: object,
) -> Path:
    """A job whose exports arrive in `in/` and end in `done/` or `bad/`."""
    source = tables.pop("source", {"path": "in/export-*.csv"})
    path = bench.job(source=source, **tables)  # type: ignore[arg-type]
    (bench.home / "in").mkdir(exist_ok=True)
    text = path.read_text(encoding="utf-8").replace("\n", f"\ntimezone = {toml('UTC')}\n", 1)
    after = {"archive_to": "done", "error_to": "bad"} if after is None else after
    path.write_text(text + table("arrival", arrival or {}) + table("after", after), encoding="utf-8")
    return path


def folder(bench: Bench, name: str) -> list[str]:
    """What lies there."""
    return sorted(one.name for one in (bench.home / name).iterdir()) if (bench.home / name).is_dir() else []


def says(started: Started, sentence: str) -> None:
    """Wait until a command has said something on stderr."""
    until(lambda: started.err.exists() and sentence in started.stderr(), f"it says: {sentence}")


# --- arrival ----------------------------------------------------------------------------------


def test_three_nights(bench: Bench) -> None:
    """Repeats are skipped, changes sent, a missing night is told, a failed one retried, everything is archived."""
    nightly(bench, LATE, source={"path": "in/export-{date:%Y-%m-%d}.csv"})
    rows = people(30)

    bench.csv(rows, "in/export-2026-11-21.csv")
    first = bench.run("--date", "2026-11-21")
    assert (first.code, counts(first.json)) == (0, {"accepted": 30})
    assert first.json["archived"] == [str(bench.home / "done" / "export-2026-11-21.csv")]

    missing = bench.cli("run", "job.toml", "--date", "2026-11-22", "--output", "json")
    assert (missing.code, missing.json["reason"]) == (4, "missing_file")
    assert "export-2026-11-22.csv: no new file has arrived by" in missing.err

    # The platform refuses every row of the third night: nothing is lost, and the file is put away all the same.
    changed = [{**row, "name": "Changed"} if n < 3 else row for n, row in enumerate(rows)]
    bench.csv([*changed, *people(2, start=30)], "in/export-2026-11-23.csv")
    bench.sandbox.change(fail=["400:100"])
    failed = bench.run("--date", "2026-11-23")
    assert (failed.code, counts(failed.json)) == (1, {"rejected": 5, "skipped": {"accepted": 27}})
    assert folder(bench, "done") == ["export-2026-11-21.csv", "export-2026-11-23.csv"]
    bench.sandbox.change(fail=[])
    again = bench.retry()
    assert (again.code, counts(again.json)) == (0, {"accepted": 5})
    assert bench.effects() == once_each([*rows, *people(2, start=30)]) + once_each(rows[:3])
    assert folder(bench, "in") == []


def test_a_file_is_loaded_once_whatever_it_is_called(bench: Bench) -> None:
    """Its content is known; a repeat is put away too, and to load it all the same it is named."""
    nightly(bench)
    rows = people(5)
    bench.csv(rows, "in/export-1.csv")
    assert bench.run().code == 0
    bench.csv(rows, "in/export-2.csv")
    again = bench.cli("run", "job.toml", "--output", "json")
    assert (again.code, again.json["reason"]) == (0, "already_loaded")
    assert folder(bench, "done") == ["export-1.csv", "export-2.csv"]
    third = bench.cli("run", "job.toml", "--output", "json")
    assert (third.code, third.json["reason"]) == (0, "nothing_new")
    named = bench.run("done/export-2.csv")
    assert counts(named.json) == {"skipped": {"accepted": 5}}
    assert folder(bench, "done") == ["export-1.csv", "export-2.csv"]


def test_a_file_that_stays_in_place_is_not_loaded_twice(bench: Bench) -> None:
    """Without `archive_to`, and with a fixed name that is written over each night."""
    nightly(bench, {}, {}, source={"path": "people.csv"})
    bench.csv(people(3))
    assert counts(bench.run().json) == {"accepted": 3}
    assert bench.cli("run", "job.toml", "--output", "json").json["reason"] == "nothing_new"
    bench.csv(people(4))
    assert counts(bench.run().json) == {"accepted": 1, "skipped": {"accepted": 3}}


def test_an_interrupted_file_is_gone_on_with(bench: Bench) -> None:
    """It was not read to its end, so it is not put away."""
    nightly(bench)
    rows = people(10)
    bench.csv(rows, "in/export-1.csv")
    assert counts(bench.run("--limit", "4").json) == {"accepted": 4}
    assert folder(bench, "in") == ["export-1.csv"]
    assert counts(bench.run().json) == {"accepted": 6, "skipped": {"accepted": 4}}
    assert bench.effects() == once_each(rows)


def test_all_that_came_goes_in_one_run(bench: Bench) -> None:
    """`take = "all"`, oldest first: the newer file has the last word about a person."""
    nightly(bench, {"take": "all"})
    for number, name in enumerate(["Old", "New"], start=1):
        path = bench.csv([{"email": "a@example.com", "name": name}], f"in/export-{number}.csv")
        os.utime(path, (1_700_000_000 - number, 1_700_000_000 - number))
    assert counts(bench.run().json) == {"accepted": 2}
    assert [json.loads(one["body"])["data"]["_fname"] for one in bench.sandbox.requests(limit=2)] == ["New", "Old"]
    assert folder(bench, "done") == ["export-1.csv", "export-2.csv"]


def test_a_run_waits_for_a_file_that_is_being_written(bench: Bench) -> None:
    """It begins when the marker comes, and a second run of the job is told that one is under way."""
    soon = (datetime.now(UTC) + timedelta(hours=2)).strftime("%H:%M")
    nightly(bench, {"deadline": soon, "done_marker": ".done"})
    bench.csv(people(3), "in/export-1.csv")
    waiting = bench.start("run", "job.toml")
    says(waiting, f"waiting until {soon} for export-1.csv to be complete")
    assert bench.cli("run", "job.toml").code == 75
    (bench.home / "in" / "export-1.csv.done").touch()
    ended = waiting.end()
    assert ended.code == 0, ended.told()
    assert folder(bench, "done") == ["export-1.csv", "export-1.csv.done"]
    assert bench.effects() == once_each(people(3))


def test_a_signal_ends_the_waiting(bench: Bench) -> None:
    """At once, and as a signal ends any run."""
    soon = (datetime.now(UTC) + timedelta(hours=2)).strftime("%H:%M")
    nightly(bench, {"deadline": soon})
    waiting = bench.start("run", "job.toml")
    says(waiting, "waiting until")
    waiting.signal(15)
    assert waiting.end().code == 143


# --- what must not be sent --------------------------------------------------------------------


def test_a_suddenly_small_file_stops_before_sending(bench: Bench) -> None:
    """It is set aside; a person may let it pass, and then it is the new measure."""
    nightly(bench, {"shrink_alert": "50%"})
    bench.csv(people(100), "in/export-1.csv")
    bench.run()
    bench.csv(people(40, start=200), "in/export-2.csv")
    small = bench.cli("run", "job.toml", "--output", "json")
    assert (small.code, small.json["reason"]) == (4, "shrunk_file")
    assert "has 40 records, where the last nights had about 100" in small.json["error"]
    assert folder(bench, "bad") == ["export-2.csv"]
    assert len(bench.effects()) == 100
    assert counts(bench.run("bad/export-2.csv", "--any-size").json) == {"accepted": 40}
    bench.csv(people(39, start=200), "in/export-3.csv")
    assert bench.run().code == 0


def test_an_empty_file_is_an_alarm(bench: Bench) -> None:
    """A header alone, or nothing at all."""
    nightly(bench, {}, {})
    (bench.home / "in" / "export-1.csv").write_text("email,name\n")
    empty = bench.cli("run", "job.toml", "--output", "json")
    assert (empty.code, empty.json["reason"]) == (4, "too_few_rows")
    assert folder(bench, "in") == ["export-1.csv"]
    (bench.home / "in" / "export-1.csv").write_text("")
    nothing = bench.cli("run", "job.toml", "--output", "json")
    assert (nothing.code, nothing.json["reason"]) == (4, "unreadable_file")


def test_a_damaged_file_does_not_stop_every_night(bench: Bench) -> None:
    """What could be read of it was sent; then it is set aside."""
    import gzip

    nightly(bench, source={"path": "in/export-*.csv.gz"})
    path = bench.csv(people(3_000), "export.csv")
    whole = gzip.compress(path.read_bytes())
    (bench.home / "in" / "export-1.csv.gz").write_bytes(whole[: len(whole) // 2])
    damaged = bench.cli("run", "job.toml", "--output", "json")
    assert (damaged.code, damaged.json["reason"]) == (4, "unreadable_file"), damaged.told()
    assert "it was moved to" in damaged.json["error"]
    assert folder(bench, "bad") == ["export-1.csv.gz"]


def test_the_stand_in_moves_no_files(bench: Bench) -> None:
    """What it accepted was sent to nobody."""
    nightly(bench)
    bench.csv(people(2), "in/export-1.csv")
    assert bench.cli("run", "job.toml", "--sandbox").code == 0
    assert folder(bench, "in") == ["export-1.csv"]


@pytest.mark.parametrize("command", ["check", "preview"])
def test_looking_at_a_night_takes_the_newest_file(bench: Bench, command: str) -> None:
    """Without waiting, and without touching it."""
    nightly(bench, LATE)
    for number in (1, 2):
        path = bench.csv(people(number, start=number * 10), f"in/export-{number}.csv")
        os.utime(path, (number, number))
    looked = bench.cli(command, "job.toml")
    assert looked.code == 0
    assert folder(bench, "in") == ["export-1.csv", "export-2.csv"]
    if command == "preview":
        assert "p20@example.com" in looked.out
        assert "p10@example.com" not in looked.out


# --- purge, backup, export --------------------------------------------------------------------


def age(bench: Bench, days: int) -> None:
    """Everything that the ledger knows happened so long ago."""
    with sqlite3.connect(bench.ledger) as database:
        for column in ("runs SET started_ms = started_ms -", "runs SET ended_ms = ended_ms -"):
            database.execute(f"UPDATE {column} ?", (days * 86_400_000,))
        database.execute("UPDATE loads SET loaded_ms = loaded_ms - ?", (days * 86_400_000,))
        database.execute("UPDATE entries SET requested_s = requested_s - ?", (days * 86_400,))


def test_a_purge_deletes_traces_and_never_makes_a_row_go_again(bench: Bench) -> None:
    """Archives, run directories and outcomes; first told, then done."""
    nightly(bench, after={"archive_to": "done", "keep": "90d"})
    rows = people(5)
    bench.csv(rows, "in/export-1.csv")
    first = bench.run()
    age(bench, 100)
    bench.csv([*rows, *people(1, start=5)], "in/export-2.csv")
    second = bench.run()
    told = bench.cli("purge", "job.toml", "--dry-run", "--output", "json").json
    assert (told["archived_files"], told["run_directories"], told["outcomes_deleted"]) == (1, 1, 5)
    assert folder(bench, "done") == ["export-1.csv", "export-2.csv"]
    done = bench.cli("purge", "job.toml", "--output", "json").json
    assert {**done, "dry_run": True, "before": told["before"]} == told  # a moment later
    assert folder(bench, "done") == ["export-2.csv"]
    assert not Path(first.json["run_dir"]).exists()
    assert Path(second.json["run_dir"]).exists()
    # The same content is still known, and so is every row.
    bench.csv(rows, "in/export-3.csv")
    assert bench.cli("run", "job.toml", "--output", "json").json["reason"] == "already_loaded"
    assert counts(bench.run("done/export-3.csv").json) == {"skipped": {"accepted": 5}}
    assert bench.effects() == once_each([*rows, *people(1, start=5)])


def test_a_job_with_a_schedule_purges_by_itself_once_a_day(bench: Bench) -> None:
    """What `keep` no longer covers goes after the first slot of a day, and not with every slot."""
    nightly(bench, after={"archive_to": "done", "keep": "90d"})
    schedule(bench, "0 0 * * *", timezone="UTC")
    bench.csv(people(5), "in/export-1.csv")
    assert bench.run().code == 0
    age(bench, 100)
    bench.csv(people(1, start=5), "in/export-2.csv")
    ended = bench.cli("schedule", "fire", "job.toml")
    assert ended.code == 0, ended.told()
    assert "no longer kept: 1 archived files, 1 run directories, " in ended.out
    assert folder(bench, "done") == ["export-2.csv"]
    job = bench.home / "job.toml"
    job.write_text(job.read_text(encoding="utf-8").replace("0 0 * * *", "* * * * * *"), encoding="utf-8")
    bench.csv(people(1, start=6), "in/export-3.csv")
    (fired, *_) = bench.cli("schedule", "fire", "job.toml", "--output", "json").json["fired"]
    assert (fired["run"]["accepted"], fired["purged"]) == (1, None)


def test_a_purge_wants_an_age(bench: Bench) -> None:
    """From the job or the command line, and not less than a day."""
    nightly(bench)
    bench.csv(people(1), "in/export-1.csv")
    bench.run()
    assert "name an age with --older-than" in bench.cli("purge", "job.toml").err
    assert "less than a day" in bench.cli("purge", "job.toml", "--older-than", "1h").err
    assert bench.cli("purge", "job.toml", "--older-than", "1d").code == 0


def test_the_ledger_is_copied_made_smaller_and_read(bench: Bench) -> None:
    """And a copy is a ledger: with it nothing is sent again."""
    bench.job()
    bench.csv(people(4))
    bench.run()
    copied = bench.cli("ledger", "backup", "copy.db", "--output", "json")
    assert copied.json["size_bytes"] == (bench.home / "copy.db").stat().st_size
    assert counts(bench.run("--ledger", "copy.db").json) == {"skipped": {"accepted": 4}}
    assert bench.cli("ledger", "backup", "copy.db").code == 4
    assert bench.cli("ledger", "vacuum", "--output", "json").json["after_bytes"] > 0
    exported = bench.cli("ledger", "export", "welcome")
    assert exported.out.splitlines()[0].startswith("job,run,source,fingerprint,row,line,outcome")
    assert len(exported.out.splitlines()) == 5
    assert bench.cli("ledger", "export", "--format", "jsonl", "--to", "all.jsonl").code == 0
    assert [json.loads(line)["outcome"] for line in (bench.home / "all.jsonl").read_text().splitlines()] == [
        "accepted"
    ] * 4


def test_an_archive_that_cannot_be_written_is_told_and_made_up_for(bench: Bench) -> None:
    """All rows have ended; the next run moves the file, and loads nothing twice."""
    nightly(bench)
    bench.csv(people(3), "in/export-1.csv")
    (bench.home / "done").touch()  # no folder
    failed = bench.run()
    assert (failed.code, counts(failed.json)) == (4, {"accepted": 3})
    assert "cannot be moved" in failed.json["error"]
    (bench.home / "done").unlink()
    again = bench.cli("run", "job.toml", "--output", "json")
    assert (again.code, again.json["reason"]) == (0, "nothing_new")
    assert folder(bench, "done") == ["export-1.csv"]
