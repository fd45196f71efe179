"""`--processes`: a run that sends by processes of their own gives every guarantee that a run in one process gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from bisect import bisect_left
from pathlib import Path

import pytest
from bench import STOPS, Bench, Started, counts, once_each, people, until
from pids import HAS_PROC, PROC, children, lives

pytestmark = pytest.mark.skipif(not HAS_PROC, reason="looks for processes in /proc")

TOKEN = "tok-1c7be0d2aa-never-anywhere"


def under_way(bench: Bench, *arguments: object, effects: int = 20) -> tuple[Started, list[int]]:
    """A run that has sent some rows, and its senders."""
    started = bench.start("run", "job.toml", *arguments, "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] >= effects, "some rows were sent")
    return started, children(started.process.pid)


@pytest.mark.parametrize("processes", [2, 3])
def test_every_row_is_sent_once_by_others_and_a_second_run_skips_all(bench: Bench, processes: int) -> None:
    """The job's key and the option are the same; connections are shared out."""
    rows = people(400)
    bench.csv(rows)
    bench.job(limits={"processes": processes, "concurrency": 7})
    bench.sandbox.change(latency_s=0.002)
    started, senders = under_way(bench, "--profile", effects=1)
    assert len(senders) == processes - 1
    ended = started.end()

    assert (ended.code, counts(ended.json)) == (0, {"accepted": 400}), ended.told()
    assert ended.err == ""
    assert ended.json["profile"]["stages"]["submit"] > 0
    assert bench.effects() == once_each(rows)
    assert not any(map(lives, senders))
    again = bench.run("--processes", processes)
    assert counts(again.json) == {"skipped": {"accepted": 400}}


def test_outcomes_come_back_whole_and_a_retry_sends_again(bench: Bench) -> None:
    """Refused rows keep code and text over the line; what is retried goes under a new Request-ID."""
    bench.job()
    bench.csv([{"email": f"a{n}+fail-435@example.com", "name": "x"} for n in range(5)])
    bench.sandbox.change(remember_errors=False)
    for verb in (bench.run, bench.retry):
        ended = verb("--processes", "2", "-v")
        assert (ended.code, counts(ended.json)) == (1, {"rejected": 5}), ended.told()
        assert ended.err.count("outcome=Rejected code=435") == 5
        assert (Path(ended.json["run_dir"]) / "error.csv").read_text().count(",435,") == 5
    assert all(len(set(ids)) == len(ids) == 2 for ids in bench.request_ids().values())


def test_a_signal_to_the_whole_group_lets_what_flies_settle(bench: Bench) -> None:
    """As a terminal sends it: the senders take no notice, and the run's process drains them."""
    bench.job(limits={"processes": 3})
    bench.csv(people(3_000))
    bench.sandbox.change(latency_s=0.05)
    started, senders = under_way(bench)
    for pid in (*senders, started.process.pid):
        os.kill(pid, signal.SIGINT)
    ended = started.end()
    assert ended.code == STOPS[signal.SIGINT], ended.told()
    assert set(counts(ended.json)) <= {"accepted", "failed"}
    assert ended.json["accepted"] == bench.sandbox.stats()["effects"] < 3_000
    assert not any(map(lives, senders))


def test_a_second_signal_ends_a_sender_that_does_not_listen(bench: Bench) -> None:
    """Nobody waits for ever for a process that is stopped, or hangs."""
    bench.job(limits={"processes": 2})
    rows = people(200)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.1)
    started, (sender,) = under_way(bench, "-v")
    os.kill(sender, signal.SIGSTOP)
    started.signal(signal.SIGINT)
    until(lambda: "stopping" in started.stderr(), "the first signal was noticed")
    started.signal(signal.SIGINT)
    ended = started.end()
    assert ended.code == 130, ended.told()
    assert set(ended.json["codes"]) == {"in_doubt:interrupted"}
    assert not lives(sender)
    bench.sandbox.change(latency_s=0)
    assert bench.run().code == 0
    assert bench.effects() == once_each(rows)


def test_a_sender_that_is_killed_stops_the_run_and_leaves_what_it_had_in_doubt(bench: Bench) -> None:
    """In one sentence; everything is accounted for, and goes again under the same Request-ID."""
    bench.job(limits={"processes": 2})
    rows = people(300)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.1)
    started, (sender,) = under_way(bench)
    os.kill(sender, signal.SIGKILL)
    ended = started.end()
    assert ended.code == 4, ended.told()
    assert "a process that sends died (killed by signal 9)" in ended.json["error"]
    assert (ended.err, ended.out.count("Traceback")) == ("", 0)
    assert set(counts(ended.json)) == {"accepted", "in_doubt"}
    assert set(ended.json["codes"]) == {"in_doubt:sender_died"}
    assert "sender_died" in (Path(ended.json["run_dir"]) / "in_doubt.csv").read_text()

    bench.sandbox.change(latency_s=0)
    again = bench.run("--processes", "2")
    assert again.code == 0, again.told()
    assert bench.effects() == once_each(rows)
    assert all(len(set(ids)) == 1 for ids in bench.request_ids().values())


@pytest.mark.parametrize(
    ("program", "why"),
    [("#!/bin/sh\nexit 3\n", "ended before it was ready (exit code 3)"), (None, "cannot be started (No such file")],
    ids=["ends at once", "no Python"],
)
def test_a_sender_that_cannot_start_is_one_sentence_and_nothing_is_sent(
    bench: Bench, program: str | None, why: str
) -> None:
    """Whether there is none, or it ends before it could send anything."""
    bench.job(limits={"processes": 2})
    bench.csv(people(10))
    python = bench.home / "python"
    if program:
        python.write_text(program)
        python.chmod(0o700)
    script = bench.home / "start.py"
    script.write_text(f"import sys\nsys.executable = {str(python)!r}\nfrom batchrunner.cli import main\nmain()\n")
    ended = subprocess.run(
        [sys.executable, str(script), "run", "job.toml"],
        cwd=bench.home, env=bench.environment_of_commands(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 4
    assert why in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert bench.sandbox.stats()["effects"] == 0


def test_the_token_is_in_no_argument_environment_or_log_of_a_sender(bench: Bench) -> None:
    """It goes over the line that only the two of them have."""
    bench.token = TOKEN
    bench.sandbox.change(token=TOKEN, latency_s=0.05)
    (bench.home / "token").write_text(TOKEN)
    (bench.home / "token").chmod(0o600)
    bench.job(target={"token_file": "token"}, limits={"processes": 3})
    bench.csv(people(400))
    bench.environment["ALTCRAFT_TOKEN"] = ""
    started, senders = under_way(bench, "-vv")
    assert len(senders) == 2
    for pid in senders:
        assert TOKEN.encode() not in (PROC / f"{pid}/cmdline").read_bytes()
        assert TOKEN.encode() not in (PROC / f"{pid}/environ").read_bytes()
    ended = started.end()
    assert ended.code == 0, ended.told()
    assert TOKEN not in ended.err


def test_the_job_file_and_the_token_are_read_once(bench: Bench) -> None:
    """What a sender goes by is what the run began with, whatever becomes of the files meanwhile."""
    tell = bench.home / "tell.py"
    tell.write_text(f"open('asked', 'a').write('x'); print({bench.token!r})")
    job = bench.job(target={"token_command": [sys.executable, str(tell)]}, limits={"processes": 3})
    rows = people(300)
    bench.csv(rows)
    bench.environment["ALTCRAFT_TOKEN"] = ""
    bench.sandbox.change(latency_s=0.02)
    started, _ = under_way(bench, effects=1)
    job.write_text("not a job any more")
    ended = started.end()
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 300}), ended.told()
    assert (bench.home / "asked").read_text() == "x"


def test_a_rate_is_kept_by_one_sender_however_many_were_asked_for(bench: Bench) -> None:
    """And it is said."""
    bench.job(limits={"processes": 4, "rate": "40/s"})
    bench.csv(people(60))
    started, senders = under_way(bench, effects=1)
    assert len(senders) == 1
    ended = started.end()
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 60}), ended.told()
    assert "one process sends, and not 3: a rate is kept by one" in ended.err
    arrived_s = sorted(request["arrived_s"] for request in bench.sandbox.requests(limit=1_000))
    in_a_second = [bisect_left(arrived_s, start + 1.0) - index for index, start in enumerate(arrived_s)]
    assert max(in_a_second) <= 40 + 2


def test_a_limit_that_is_found_out_is_told_all_the_same(bench: Bench) -> None:
    """By the one sender that finds it out."""
    bench.job(limits={"concurrency": "auto", "concurrency_max": 24, "processes": 2})
    rows = people(1_000)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.01, rate_limit=300)
    ended = bench.run("-v")
    assert ended.code == 0, ended.told()
    assert 4 < ended.json["concurrency"]["highest"] <= 24
    assert ended.json["concurrency"]["backed_off"]["throttled"] >= 1
    assert "batchrunner.submit.slots concurrency " in ended.err
    assert bench.effects() == once_each(rows)


def test_429_holds_each_sender_and_costs_no_row(bench: Bench) -> None:
    """No attempt is lost and nothing fails."""
    bench.job(limits={"attempts": 2, "processes": 3})
    rows = people(60)
    bench.csv(rows)
    bench.sandbox.change(rate_limit=25)
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 60}), ended.told()
    assert bench.sandbox.stats()["rate_limited"] > 0
    assert bench.effects() == once_each(rows)


def test_a_refusal_of_us_stops_all_senders(bench: Bench) -> None:
    """Not only the one that was refused."""
    bench.job(limits={"processes": 3, "concurrency": 4})
    bench.csv(people(500))
    bench.sandbox.change(token="another")
    ended = bench.run()
    assert ended.code == 4, ended.told()
    assert ended.json["read"] < 100
    assert bench.effects() == {}


def test_an_address_that_can_never_be_sent_to_is_refused_as_ever(bench: Bench) -> None:
    """What is wrong with the way to the platform is told by the run, in its own words."""
    bench.job(limits={"processes": 2})
    bench.csv(people(5))
    (bench.home / "ca.pem").write_text("no certificate")
    with (bench.home / "job.toml").open("a") as job:
        job.write('[connection]\nca_file = "ca.pem"\n')
    ended = bench.cli("run", "job.toml")
    assert ended.code == 2, ended.told()
    assert "holds no certificate in PEM form" in ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("mode", ["batches", "split"])
def test_rows_that_go_together_or_in_steps_go_by_senders_too(bench: Bench, mode: str) -> None:
    """A batch that is refused whole is halved, and a profile that was imported is engaged."""
    bad = {"email": "bad+poison-400@example.com", "name": "x"}
    rows = people(120)
    if mode == "batches":
        bench.job(target={"endpoint": "workflows/import_and_start_batch"}, limits={"processes": 3})
        with (bench.home / "job.toml").open("a") as job:
            job.write("[batch]\nsize = 10\n")
        bench.csv([*rows[:60], bad, *rows[60:]])
        expected, code = {"accepted": 120, "rejected": 1}, 1
    else:
        bench.job(target={"mode": "split", "db_id": 3}, limits={"processes": 3})
        bench.csv(rows)
        expected, code = {"accepted": 120}, 0
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (code, expected), ended.told()
    assert len(bench.sandbox.engagements(limit=1_000)) == 120


def test_more_senders_than_connections_are_not_started(bench: Bench) -> None:
    """Each has one at least."""
    bench.job(limits={"processes": 16, "concurrency": 2})
    bench.csv(people(60))
    bench.sandbox.change(latency_s=0.01)
    started, senders = under_way(bench, effects=1)
    assert len(senders) == 2
    assert started.end().code == 0
    assert bench.sandbox.stats()["max_in_flight"] <= 2 + 2


def test_a_number_of_processes_that_is_none_is_refused(bench: Bench) -> None:
    """On the command line as in the job file."""
    bench.job(limits={"processes": 17})
    assert bench.cli("run", "job.toml").code == 2
    bench.job()
    assert bench.cli("run", "job.toml", "--processes", "0").code == 2
