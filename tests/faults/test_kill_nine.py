"""SIGKILL at any moment, again and again: no row is lost, nobody gets a message twice."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bench import Bench, counts, once_each, people, until

CONCURRENCY = 32
ROOM = 2 * CONCURRENCY
"""Claims that may be open at once, and therefore in doubt after a crash."""

SIZES = [
    pytest.param(3_000, 6, id="six kills"),
    pytest.param(12_000, 20, id="twenty kills", marks=pytest.mark.slow),
]


def kill_a_run(bench: Bench, random: Random, rows: int, kills: int) -> bool:
    """Start a run and kill it: once in a while while it begins, otherwise after some more effects (True)."""
    before = bench.sandbox.stats()["effects"]
    runs_before = len(list(bench.state.glob("runs/welcome/*")))
    wanted = 0 if random.random() < 0.2 else random.randint(1, rows // (kills + 2))
    started = bench.start("run", "job.toml", "--concurrency", CONCURRENCY)

    def far_enough() -> bool:
        assert started.process.poll() is None, started.end().told()
        if wanted:
            return int(bench.sandbox.stats()["effects"]) >= before + wanted
        return len(list(bench.state.glob("runs/welcome/*"))) > runs_before

    until(far_enough, f"{wanted} more rows had their effect")
    started.kill()
    return bool(wanted)


def looked_at(ledger: Path, scratch: Path) -> tuple[str, int]:
    """Integrity and runs of the ledger as the killed process left it. Of a copy: opening it would tidy it up."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in ledger.parent.glob(f"{ledger.name}*"):
        shutil.copy(path, scratch)
    with closing(sqlite3.connect(scratch / ledger.name)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    return answer, runs


def killed_runs(bench: Bench) -> list[dict[str, Any]]:
    """The runs that the ledger knows to have died."""
    listed = bench.cli("runs", "--limit", "100", "--output", "json").json["runs"]
    return [run for run in listed if run["ending"] == "died"]


def kill_again_and_again(bench: Bench, rows: int, kills: int, seed: str) -> int:
    """The whole ordeal, the ledger looked at after every kill. How many runs it knows in the end."""
    random = Random(seed)
    bench.sandbox.change(latency_s=0.005, jitter_s=0.02)
    known = 0
    for _ in range(kills):
        had_begun = kill_a_run(bench, random, rows, kills)
        before, (integrity, known) = known, looked_at(bench.ledger, bench.home / "copy")
        assert integrity == "ok"
        # A run that was killed while it began may not have reached the ledger: then it has sent nothing either.
        assert known == before + 1 or (known == before and not had_begun)
    bench.sandbox.change(latency_s=0, jitter_s=0)
    return known


@pytest.mark.parametrize(("rows", "kills"), SIZES)
def test_after_any_number_of_kills_a_plain_run_completes(bench: Bench, rows: int, kills: int) -> None:
    """Where the platform recognises repeats, everybody is engaged exactly once."""
    bench.job()
    given = people(rows)
    bench.csv(given)
    known = kill_again_and_again(bench, rows, kills, f"on-{rows}")
    assert bench.sandbox.stats()["effects"] < rows

    ended = bench.run("--concurrency", CONCURRENCY)
    assert ended.code == 0, ended.told()
    assert set(ended.json["skipped"]) == {"accepted"}
    assert ended.json["read"] == rows
    assert bench.effects() == once_each(given)

    died = killed_runs(bench)
    assert len(died) == known
    assert all(run["balanced"] and run["in_doubt"] <= ROOM for run in died)
    # Each row was accepted by exactly one of all these runs.
    assert sum(run["accepted"] for run in died) + ended.json["accepted"] == rows
    assert counts(bench.run().json) == {"skipped": {"accepted": rows}}


@pytest.mark.parametrize(("rows", "kills"), SIZES)
def test_without_deduplication_nobody_is_engaged_twice_and_who_is_missing_is_listed(
    bench: Bench, rows: int, kills: int
) -> None:
    """Where repeats are not recognised, what flew at a kill waits for a person: all who are missing are among them."""
    bench.job(target={"deduplicates": False}, rules={"in_doubt": "hold"})
    given = people(rows)
    bench.csv(given)
    bench.sandbox.change(dedupe_window_s=0)
    known = kill_again_and_again(bench, rows, kills, f"off-{rows}")

    ended = bench.run("--concurrency", CONCURRENCY)
    assert ended.code == 5, ended.told()
    effects = bench.effects()
    assert set(effects.values()) == {1}
    missing = {number for number, row in enumerate(given, start=1) if row["email"] not in effects}

    died = killed_runs(bench)
    assert len(died) == known
    listed = [
        row["row"]
        for run in died
        for row in bench.cli("show", run["run"], "--limit", "1000", "--output", "json").json["rows"]
        if row["state"] == "in_doubt"
    ]
    assert len(listed) == len(set(listed))
    assert missing <= set(listed)
    assert len(listed) == ended.json["skipped"]["in_doubt"] == sum(run["in_doubt"] for run in died) <= known * ROOM
    waiting = bench.cli("status", "welcome", "--output", "json").json["jobs"][0]["waiting"]
    assert [(one["outcome"], one["rows"]) for one in waiting] == [("in_doubt", len(listed))]
    assert ended.json["accepted"] + ended.json["skipped"]["accepted"] + len(listed) == rows


def test_a_killed_run_is_not_taken_for_a_running_one(bench: Bench) -> None:
    """Right after the kill, before any other run: nothing says that it is still running."""
    bench.job()
    bench.csv(people(500))
    bench.sandbox.change(latency_s=0.2)
    started = bench.start("run", "job.toml")
    until(lambda: bench.sandbox.stats()["effects"] >= 20, "some rows were sent")
    (running,) = bench.cli("runs", "--output", "json").json["runs"]
    assert (running["ending"], running["exit_code"]) == ("running", None)
    started.kill()
    (died,) = bench.cli("runs", "--output", "json").json["runs"]
    assert died["ending"] == "died"
    assert died["balanced"]
    assert died["in_doubt"] > 0
    (job,) = bench.cli("status", "--output", "json").json["jobs"]
    assert not job["running"]
    assert [(one["outcome"], one["rows"]) for one in job["waiting"]] == [("in_doubt", died["in_doubt"])]
    assert "running" not in bench.cli("show", "last").out
