"""Rows that a ledger has lost come back from the result files of their runs, so that a plain run sends nobody twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, counts, named, once_each, people, result_rows

from batchrunner.config import load_job
from batchrunner.ledger import open_ledger
from batchrunner.ledger.recalling import adopt
from batchrunner.mapping import mapping_text

pytestmark = pytest.mark.damaged


def forget(bench: Bench, condition: str) -> None:
    """Take entries out of the ledger, as a damaged page does."""
    with closing(sqlite3.connect(bench.ledger)) as database:
        assert database.execute(f"DELETE FROM entries WHERE {condition}").rowcount
        database.execute("DELETE FROM stretches")
        database.commit()


def go_back(bench: Bench, backup: Path) -> None:
    """Restore a backup as a person would."""
    for end in ("", "-wal", "-shm"):
        bench.ledger.with_name(bench.ledger.name + end).unlink(missing_ok=True)
    shutil.copy(backup, bench.ledger)


def gaps(bench: Bench) -> list[dict[str, Any]]:
    """Of which `ledger check` tells."""
    found: list[dict[str, Any]] = bench.cli("ledger", "check", "--output", "json").json["gaps"]
    return found


@pytest.fixture
def later(bench: Bench) -> tuple[Bench, Path]:
    """A home with a backup from after its first run, and the directory of the run that came after it."""
    bench.job()
    bench.csv(people(60))
    assert bench.run().code == 0
    assert bench.cli("ledger", "backup", bench.home / "backup.db").code == 0
    bench.csv(people(100))
    return bench, Path(bench.run().json["run_dir"])


def test_runs_after_the_backup_come_back_from_their_directories(later: tuple[Bench, Path]) -> None:
    """Nothing of the file can be read: they are found, said with the command that helps, and held back from then on."""
    bench, run_dir = later
    with bench.ledger.open("r+b") as file:
        file.write(b"\xde\xad\xbe\xef" * 10_000)
    assert bench.cli("ledger", "repair").code == 0
    asked = bench.cli("ledger", "recall", "job.toml")
    assert (asked.code, str(run_dir) in asked.err) == (1, True), asked.told()
    done = bench.cli("ledger", "recall", "job.toml", run_dir, "--output", "json")
    assert (done.code, done.json["put_back"], done.json["missing"]) == (0, 40, 0), done.told()
    assert gaps(bench) == []
    again = bench.run()
    assert (again.code, counts(again.json)) == (0, {"skipped": {"accepted": 100}})
    assert bench.effects() == once_each(people(100))
    assert bench.cli("ledger", "recall", "job.toml").code == 0


def test_a_gap_that_a_repair_tells_of_is_filled(later: tuple[Bench, Path]) -> None:
    """The repair names the command, and that needs nothing but the job."""
    bench, _ = later
    forget(bench, "row_number > 70")
    (gap,) = gaps(bench)
    told = bench.cli("ledger", "repair", "--from", bench.home / "backup.db")
    assert f"30 rows of run {gap['run']} are not remembered" in told.err
    assert "batchrunner ledger recall JOB.toml (of job welcome)" in told.err
    done = bench.cli("ledger", "recall", "job.toml")
    assert (done.code, done.out) == (0, f"run {gap['run']}: 30 rows put back, 0 still missing\n"), done.told()
    assert gaps(bench) == []
    assert counts(bench.run().json) == {"skipped": {"accepted": 100}}
    assert bench.effects() == once_each(people(100))


def test_every_kind_of_end_comes_back_as_it_was(bench: Bench) -> None:
    """A row in doubt is held for a person; one that was rejected is held back; nobody is engaged twice."""
    bench.job()
    bench.csv(people(1))
    bench.run()
    assert bench.cli("ledger", "backup", bench.home / "backup.db").code == 0
    rows = named("good", "bad+fail-435", "lost+drop-after")
    bench.csv([*rows, {"email": "", "name": "nobody"}])
    ended = bench.run()
    assert [len(result_rows(ended.json, kind)) for kind in ("success", "error", "in_doubt")] == [1, 2, 1]
    go_back(bench, bench.home / "backup.db")
    done = bench.cli("ledger", "recall", "job.toml", ended.json["run_dir"], "--output", "json")
    assert (done.code, done.json["put_back"]) == (0, 3), done.told()
    again = bench.run()
    assert again.json["skipped"] == {"accepted": 1, "rejected": 1, "in_doubt": 1}
    assert max(bench.effects().values()) == 1
    resolved = bench.cli("resolve", "job.toml", "--run", Path(ended.json["run_dir"]).name, "--as", "accepted")
    assert (resolved.code, resolved.out[:1]) == (0, "1"), resolved.told()
    assert bench.run().json["skipped"] == {"accepted": 2, "rejected": 1}


def test_half_a_line_is_not_believed(later: tuple[Bench, Path]) -> None:
    """Of a run that did not complete its files: all whole lines come back, and it is said how many rows do not."""
    bench, run_dir = later
    forget(bench, "run_id = 2")
    (run_dir / "summary.json").unlink()
    whole = (run_dir / "success.csv").read_bytes()
    (run_dir / "success.csv").write_bytes(whole[:-4])
    done = bench.cli("ledger", "recall", "job.toml", "--output", "json")
    assert (done.code, done.json["put_back"], done.json["missing"]) == (1, 39, 1), done.told()
    text = bench.cli("ledger", "recall", "job.toml")
    assert "1 rows could be sent again: take them out of the export first" in text.err
    assert counts(bench.run().json) == {"accepted": 1, "skipped": {"accepted": 99}}


def test_rows_come_back_as_they_were_mapped_when_they_were_sent(later: tuple[Bench, Path]) -> None:
    """So a job that has changed since is still kept from sending them again without being asked."""
    bench, _ = later
    forget(bench, "run_id = 2")
    bench.job(data={"email": "{email}", "_fname": "{name}", "_lname": "new"})
    assert bench.cli("ledger", "recall", "job.toml").code == 0
    ended = bench.cli("run", "job.toml")
    assert (ended.code, "100 rows that were sent before would be sent again" in ended.err) == (2, True), ended.told()
    bench.job()
    assert counts(bench.run().json) == {"skipped": {"accepted": 100}}
    bench.job(source={"delimiter": ";"})
    forget(bench, "run_id = 2")
    refused = bench.cli("ledger", "recall", "job.toml")
    assert (refused.code, "reads files otherwise by now" in refused.err) == (1, True), refused.told()


@pytest.mark.parametrize("repeat", ["identity", "file"])
def test_rows_of_jsonl_come_back_whatever_makes_their_keys(bench: Bench, repeat: str) -> None:
    """Also those keys that come from the place of a row in its file."""
    bench.job(source={"path": "people.jsonl"}, rules={"repeat": repeat})
    lines = "".join(json.dumps(one) + "\n" for one in people(30))
    (bench.home / "people.jsonl").write_text(lines, encoding="utf-8")
    assert bench.run().code == 0
    forget(bench, "row_number > 5")
    done = bench.cli("ledger", "recall", "job.toml", "--output", "json")
    assert (done.code, done.json["put_back"]) == (0, 25), done.told()
    assert counts(bench.run().json) == {"skipped": {"accepted": 30}}
    assert bench.effects() == once_each(people(30))


def test_a_result_file_that_is_gone_is_missed(later: tuple[Bench, Path]) -> None:
    """The summary beside it tells how many rows there were."""
    bench, run_dir = later
    go_back(bench, bench.home / "backup.db")
    (run_dir / "success.csv").unlink()
    done = bench.cli("ledger", "recall", "job.toml", run_dir, "--output", "json")
    assert (done.code, done.json["put_back"], done.json["missing"]) == (1, 0, 40), done.told()


def test_a_recall_that_was_killed_is_gone_on_with(later: tuple[Bench, Path]) -> None:
    """A run that was noted, and whose rows were not, is found by the next recall without being named."""
    bench, run_dir = later
    go_back(bench, bench.home / "backup.db")
    with open_ledger(str(bench.ledger)) as ledger:
        job = load_job(bench.home / "job.toml")
        adopt(
            ledger, job=job.name, name=run_dir.name, at_ms=1, mapping=mapping_text(job), run_dir=str(run_dir),
            installation=job.target.origin,
        )  # fmt: skip
    done = bench.cli("ledger", "recall", "job.toml", "--output", "json")
    assert (done.code, done.json["put_back"]) == (0, 40), done.told()
    assert counts(bench.run().json) == {"skipped": {"accepted": 100}}


def test_a_directory_of_another_job_is_refused(later: tuple[Bench, Path]) -> None:
    """And nothing is noted, nor for an empty one."""
    bench, run_dir = later
    bench.job("other.toml", name="other")
    (bench.home / "empty").mkdir()
    for job, folder, why in (("other.toml", run_dir, "is of job welcome"), ("job.toml", "empty", "no result files")):
        ended = bench.cli("ledger", "recall", job, folder)
        assert (ended.code, why in ended.err) == (2, True), ended.told()
