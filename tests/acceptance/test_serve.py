"""`serve`: jobs that run by themselves without any timer of the machine."""

from __future__ import annotations

import http.client
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from bench import Bench, Started, once_each, people, table, until
from test_schedule import EVERY_SECOND, schedule, slots

# A kernel that reports its own changes may not be everywhere; polling is.
WATCHES = ["events", "poll"]


def lines(started: Started) -> list[dict[str, object]]:
    """What a serving process has told so far: one object a line."""
    # The file is made by the process itself, and its last line may be half written.
    whole, _, _ = (started.out.read_text(encoding="utf-8") if started.out.exists() else "").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def get_health(started: Started) -> tuple[int, dict[str, object]]:
    """Ask its address."""
    place = started.stderr().split("health at http://")[1].split("/")[0]
    host, port = place.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_two_that_serve_one_ledger_fire_each_slot_once(bench: Bench) -> None:
    """Every second for real: slots and runs correspond one to one, whichever process fired them."""
    bench.job()
    bench.csv(people(5))
    schedule(bench, EVERY_SECOND, retry_failed=False)
    both = [bench.start("serve", "job.toml", "--output", "json") for _ in range(2)]
    until(lambda: len([one for server in both for one in lines(server)]) >= 4, "four slots were fired")
    for one in both:
        one.signal(signal.SIGTERM)
    assert [one.end().code for one in both] == [143, 143]
    told = [one["slot"] for server in both for one in lines(server)]
    fired = [slot for slot in slots(bench) if slot["state"] == "fired"]
    assert max(Counter(told).values()) == 1
    assert len(told) == len(fired)
    assert len({slot["run"] for slot in fired}) == len(fired)
    assert all(slot["ended_ms"] for slot in fired)
    assert bench.effects() == once_each(people(5))


def test_a_graceful_stop_settles_what_flies_and_health_tells_how_it_goes(bench: Bench) -> None:
    """While a run is under way the address says so; SIGTERM lets its requests be answered, and nothing is in doubt."""
    bench.job(limits={"concurrency": 2})
    bench.csv(people(300))
    schedule(bench, EVERY_SECOND)
    bench.sandbox.change(latency_s=0.2)
    serving = bench.start("serve", "job.toml", "--output", "json", "--health", "127.0.0.1:0")
    until(lambda: bench.sandbox.stats()["effects"] >= 4, "some rows were sent")
    status, health = get_health(serving)
    assert (status, health["ok"]) == (200, True)
    assert [(job["job"], job["running"]) for job in health["jobs"]] == [("welcome", True)]  # type: ignore[attr-defined]
    serving.signal(signal.SIGTERM)
    ended = serving.end()
    assert ended.code == 143, ended.told()
    (told,) = lines(serving)
    run = told["run"]
    assert isinstance(run, dict)
    assert run["in_doubt"] == 0
    assert 0 < run["accepted"] == bench.sandbox.stats()["effects"] < 300


def test_a_job_that_breaks_is_told_and_heals(bench: Bench) -> None:
    """A job file that somebody spoils makes the address answer 503; the others go on."""
    bench.job()
    bench.job("other.toml", name="other")
    bench.csv(people(1))
    schedule(bench, EVERY_SECOND)
    for line in ("[schedule]", 'cron = "* * * * * *"'):
        (bench.home / "other.toml").open("a", encoding="utf-8").write(f"{line}\n")
    serving = bench.start("serve", "job.toml", "other.toml", "--health", "0", "-q")
    until(lambda: "serving welcome, other" in serving.stderr(), "it serves")
    file = bench.home / "other.toml"
    good = file.read_text(encoding="utf-8")
    file.write_text(good.replace("[limits]", "[limmits]"), encoding="utf-8")
    # A run that begins just then may be the first to say it: the address does at the next slot at the latest.
    until(lambda: "did you mean 'limits'" in serving.stderr(), "it says what is wrong")
    until(lambda: get_health(serving)[0] == 503, "the address says so")
    _, health = get_health(serving)
    assert health["ok"] is False
    assert [bool(job["error"]) for job in health["jobs"]] == [False, True]  # type: ignore[attr-defined]
    file.write_text(good, encoding="utf-8")
    until(lambda: get_health(serving)[0] == 200, "the mended job is served again")
    serving.signal(signal.SIGINT)
    assert serving.end().code == 130


@pytest.mark.parametrize("watch", WATCHES)
def test_a_file_that_comes_is_imported(bench: Bench, watch: str) -> None:
    """What came before, and what comes while it is watched, each once; temporary names are let alone."""
    folder = bench.home / "in"
    folder.mkdir()
    bench.job(source={"path": "in/*.csv"})
    job = Path(bench.home / "job.toml")
    tables = table("arrival", {"take": "all"}) + table("schedule", {"watch": watch})
    job.write_text(job.read_text(encoding="utf-8") + tables, encoding="utf-8")
    bench.csv(people(2), "in/before.csv")
    serving = bench.start("serve", "job.toml", "--output", "json")
    until(lambda: len(bench.effects()) == 2, "what had come before was imported")
    bench.csv(people(2, start=10), "in/later.csv.part")
    (folder / "later.csv.part").rename(folder / "later.csv")
    until(lambda: len(bench.effects()) == 4, "what came was imported")
    serving.signal(signal.SIGTERM)
    assert serving.end().code == 143, serving.stderr()
    assert set(bench.effects().values()) == {1}


def test_what_cannot_be_served_is_said(bench: Bench) -> None:
    """A job without a schedule, a job to watch without [arrival], two of one name, an address that is none."""
    bench.job()
    assert "has no [schedule]" in bench.cli("serve", "job.toml").err
    bench.job("watched.toml", name="watched")
    (bench.home / "watched.toml").open("a", encoding="utf-8").write('[schedule]\nwatch = "poll"\n')
    assert "`watch` needs [arrival]" in bench.cli("serve", "watched.toml").err
    schedule(bench, "0 2 * * *")
    twice = bench.cli("serve", "job.toml", "job.toml")
    assert (twice.code, "two job files are called welcome" in twice.err) == (2, True)
    assert "--health is 'here'" in bench.cli("serve", "job.toml", "--health", "here").err
