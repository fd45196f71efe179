"""Faults of the world around a run: disks, clocks, limits, other programs. What is said, the exit code, and the law.

Faults of the wire have their tests beside the engines (`contract/test_transports.py` and its neighbours); all of them
are listed in docs/faults.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench import Bench, once_each, people, result_rows, until
from ordeal import Ordeal, crowd


def wide(count: int) -> list[dict[str, str]]:
    """Rows that fill a disk."""
    return [{**row, "name": row["name"] + "x" * 400} for row in people(count)]


def test_a_disk_that_fills_up_under_the_result_files_stops_the_run_and_loses_no_row(
    bench: Bench, small_disk: Path
) -> None:
    """One sentence, exit code 4; with room again the next run completes the rows, and the files of the one before."""
    bench.job()
    given = wide(900)
    bench.csv(given)
    ended = bench.cli("run", "job.toml", "--run-dir", small_disk / "run", "--output", "json")
    assert ended.code == 4, ended.told()
    assert "cannot be written (No space left on device); make room" in ended.json["error"]
    assert "Traceback" not in ended.err
    assert not (small_disk / "run" / "summary.json").exists()
    was = bench.effects()
    assert set(was.values()) == {1}

    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert bench.run().json["skipped"]["accepted"] == len(was)
    assert bench.effects() == once_each(given)
    told = result_rows({"run_dir": str(small_disk / "run")}, "success")
    assert sorted(row["email"] for row in told) == sorted(was)
    assert (small_disk / "run" / "summary.json").exists()


def test_a_disk_that_fills_up_under_the_ledger_stops_the_run_and_repeats_nobody(bench: Bench, small_disk: Path) -> None:
    """What was in flight is in doubt, and goes again under its Request-ID once there is room."""
    bench.job()
    given = people(2_500)
    bench.csv(given)
    ledger = small_disk / "ledger.db"
    ended = bench.cli("run", "job.toml", "--ledger", ledger, "--output", "json")
    assert ended.code == 4, ended.told()
    assert "the disk is full; make room and run again: nothing that was settled is lost" in ended.told()
    assert "Traceback" not in ended.err

    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again = bench.run("--ledger", ledger)
    assert again.code == 0, again.told()
    assert bench.effects() == once_each(given)


def test_a_run_directory_that_is_deleted_under_the_run_costs_no_row(bench: Bench) -> None:
    """The run goes on and says at its end that its files are gone; `results` writes them anew."""
    bench.job()
    given = people(400)
    bench.csv(given)
    bench.sandbox.change(latency_s=0.02)
    started = bench.start("run", "job.toml", "--run-dir", bench.home / "out")
    until(lambda: bench.sandbox.stats()["effects"] > 30, "some rows were sent")
    shutil.rmtree(bench.home / "out")
    ended = started.end()
    assert "cannot be written (No such file or directory)" in ended.err, ended.told()
    assert "Traceback" not in ended.err
    assert bench.effects() == once_each(given)
    assert bench.cli("results", "job.toml", "--run", "last").code == 0
    assert len(result_rows({"run_dir": str(bench.home / "out")}, "success")) == 400


def limited(bench: Bench, limit: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a shell that allows it less."""
    environment = {**os.environ, "XDG_STATE_HOME": str(bench.home / "state"), "ALTCRAFT_TOKEN": bench.token}
    command = ["bash", "-c", f'{limit}; exec "$@"', "bash", sys.executable, "-m", "batchrunner", *words]
    return subprocess.run(
        command, cwd=bench.home, env=environment, capture_output=True, text=True, check=False, timeout=240
    )


def test_too_few_file_descriptors_cost_no_row_and_repeat_nobody(bench: Bench) -> None:
    """Connections that cannot be opened were never used: their rows fail, and the next run sends them."""
    bench.job(limits={"concurrency": 60, "attempts": 2})
    given = people(300)
    bench.csv(given)
    bench.sandbox.change(latency_s=0.05)
    ended = limited(bench, "ulimit -n 40", "run", "job.toml", "--output", "json")
    assert ended.returncode in {0, 1, 4, 5}, ended.stderr
    assert "Traceback" not in ended.stderr
    assert bench.run().json["in_doubt"] == 0
    assert bench.effects() == once_each(given)


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
def test_a_clock_that_jumps_by_a_day_repeats_nobody(ordeal: Ordeal, days: int) -> None:
    """In the middle of a run, with rows in doubt from the run before."""
    ordeal.give(crowd(200, "p"))
    assert ordeal.die_at("answered:30")
    assert not ordeal.die_at(f"clock_{'forward' if days > 0 else 'back'}:3")
    ordeal.go_through()
    seen = ordeal.sandbox.engagement_counts()
    assert set(seen.values()) == {1}
    wanted = {row["email"] for row in ordeal.rows if row["email"] and "+fail" not in row["email"]}
    assert wanted - seen.keys() <= ordeal.in_doubt()


def test_a_process_that_is_suspended_past_the_window_repeats_nobody(bench: Bench) -> None:
    """When it wakes up, the platform has forgotten its Request-IDs: what has no answer waits for a person."""
    bench.job(target={"dedupe_window": "1s", "timeout": "1s"})
    given = people(120)
    bench.csv(given)
    bench.sandbox.change(latency_s=0.1, jitter_s=0.2, dedupe_window_s=1)
    started = bench.start("run", "job.toml", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] > 20, "some rows were sent")
    started.signal(signal.SIGSTOP)
    time.sleep(1.6)  # the window has to pass: there is no event for that
    started.signal(signal.SIGCONT)
    ended = started.end()
    assert ended.code in {0, 5}, ended.told()
    bench.run()
    seen = bench.effects()
    assert set(seen.values()) == {1}
    waiting = bench.cli("status", "welcome", "--output", "json").json["jobs"][0]["waiting"]
    assert len(given) - len(seen) <= sum(one["rows"] for one in waiting)


def test_a_platform_that_hangs_for_a_while_repeats_nobody(bench: Bench) -> None:
    """It takes requests, says nothing past the time-out, and then answers all of them."""
    bench.job(target={"timeout": "1s"}, limits={"attempts": 8, "concurrency": 8})
    given = people(150)
    bench.csv(given)
    started = bench.start("run", "job.toml", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] > 20, "some rows were sent")
    os.kill(bench.sandbox.pid, signal.SIGSTOP)
    try:
        time.sleep(2.5)  # longer than the time-out: there is no event for that
    finally:
        os.kill(bench.sandbox.pid, signal.SIGCONT)
    ended = started.end()
    assert ended.code in {0, 5}, ended.told()
    bench.run()
    assert bench.effects() == once_each(given)


def test_several_jobs_on_one_ledger_at_once_do_not_disturb_each_other(bench: Bench) -> None:
    """As many processes as two hosts would start: every one completes, and the ledger is sound."""
    jobs = [f"job-{number}" for number in range(4)]
    given = {}
    for number, name in enumerate(jobs):
        given[name] = people(150, start=1_000 * number)
        bench.csv(given[name], f"{name}.csv")
        bench.job(f"{name}.toml", name=name, source={"path": f"{name}.csv"})
    started = [bench.start("run", f"{name}.toml", "--output", "json") for name in jobs]
    for one in started:
        ended = one.end()
        assert ended.code == 0, ended.told()
        assert ended.json["accepted"] == 150
    assert bench.effects() == once_each([row for rows in given.values() for row in rows])


def test_two_runners_of_one_job_started_at_once_are_one_runner(bench: Bench) -> None:
    """Whoever comes second is told so, with exit code 75, and nobody is engaged twice."""
    bench.job()
    given = people(200)
    bench.csv(given)
    bench.sandbox.change(latency_s=0.05)
    codes = sorted(one.end().code for one in [bench.start("run", "job.toml") for _ in range(3)])
    assert codes[0] == 0
    assert set(codes[1:]) <= {0, 75}
    assert bench.effects() == once_each(given)
