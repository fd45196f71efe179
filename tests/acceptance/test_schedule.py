"""Jobs that run by themselves: slots that fire once, missed ones, a killed run, and a real cron."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, counts, once_each, people, table, until

EVERY_SECOND = "* * * * * *"


def schedule(bench: Bench, cron: str = EVERY_SECOND, **more: object) -> Path:
    """Give the job a schedule, and a token that a timer can read."""
    job, token = bench.home / "job.toml", bench.home / "token"
    token.write_text(bench.token, encoding="utf-8")
    token.chmod(0o600)
    text = job.read_text(encoding="utf-8").replace("[target]\n", '[target]\ntoken_file = "token"\n')
    job.write_text(text + table("schedule", {"cron": cron, **more}), encoding="utf-8")
    return job


def slots(bench: Bench) -> list[dict[str, Any]]:
    """The slots of the ledger, in order."""
    with sqlite3.connect(bench.ledger) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("select * from slots order by slot_s")]


@pytest.fixture
def scheduled(bench: Bench) -> Iterator[Bench]:
    """A job that is due every second, with three people."""
    bench.job()
    bench.csv(people(3))
    schedule(bench)
    yield bench
    left = [slot for slot in slots(bench) if slot["ended_ms"] is None and slot["state"] == "fired"]
    assert not left, "every slot that was fired has ended"


def test_what_is_due_fires_and_what_is_not_does_not(bench: Bench) -> None:
    """Asked twice in a night, a job runs once; the second time nothing is due, and that is no error."""
    bench.job()
    bench.csv(people(3))
    schedule(bench, "0 2 * * *", timezone="UTC")
    (bench.home / "job.toml").open("a", encoding="utf-8").write(table("metrics", {"textfile_dir": "."}))
    first, second = (bench.cli("schedule", "fire", "job.toml", "--output", "json") for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.told() + second.told()
    (fired,) = first.json["fired"]
    assert counts(fired["run"]) == {"accepted": 3}
    assert second.json["fired"] == []
    assert second.json["next"] == first.json["next"]
    (slot,) = slots(bench)
    assert (slot["state"], slot["run"], slot["exit_code"]) == ("fired", fired["run"]["run"], 0)
    assert fired["slot"].endswith("T02:00:00Z")
    measured = (bench.home / "batchrunner-welcome.prom").read_text(encoding="utf-8")
    assert 'batchrunner_last_run_rows{batch="welcome",outcome="accepted"} 3.0' in measured
    assert "batchrunner_last_success_timestamp_seconds" in measured


def test_a_job_on_a_one_second_schedule(scheduled: Bench) -> None:
    """For real: each call fires the newest second and passes over those between; nobody is sent anything twice."""
    ended = [scheduled.cli("schedule", "fire", "job.toml", "--output", "json") for _ in range(2)]
    assert [one.code for one in ended] == [0, 0], ended[-1].told()
    assert [len(one.json["fired"]) for one in ended] == [1, 1]
    assert counts(ended[1].json["fired"][0]["run"]) == {"skipped": {"accepted": 3}}
    first, second = slots(scheduled)
    assert second["passed_over"] == second["slot_s"] - first["slot_s"] - 1
    assert scheduled.effects() == once_each(people(3))


def test_two_that_ask_at_once_fire_a_slot_once(bench: Bench) -> None:
    """Five timers call at the same moment: one run, five times exit code 0."""
    bench.job()
    bench.csv(people(3))
    schedule(bench, "0 2 * * *")
    started = [bench.start("schedule", "fire", "job.toml", "--output", "json") for _ in range(5)]
    ended = [one.end() for one in started]
    assert [one.code for one in ended] == [0] * 5, "\n".join(one.told() for one in ended)
    assert sum(len(one.json["fired"]) for one in ended) == 1
    assert len(bench.cli("runs", "--output", "json").json["runs"]) == 1


def test_a_slot_waits_while_another_run_is_in_the_way(bench: Bench) -> None:
    """The timer ends with 75 and the slot stays free: whoever asks next fires it."""
    bench.job()
    bench.csv(people(1))
    schedule(bench, "0 2 * * *")
    bench.csv([{"email": "held+slow-60@example.com", "name": "Held"}], "held.csv")
    by_hand = bench.start("run", "job.toml", "held.csv")
    until(lambda: bench.sandbox.stats()["effects"] == 1, "the run by hand has sent its row")
    in_the_way = bench.cli("schedule", "fire", "job.toml", "--output", "json")
    assert in_the_way.code == 75, in_the_way.told()
    assert slots(bench) == []
    by_hand.kill()
    later = bench.cli("schedule", "fire", "job.toml", "--output", "json")
    assert [counts(one["run"]) for one in later.json["fired"]] == [{"accepted": 1}], later.told()


def test_kill_nine_and_the_next_slot_picks_up_the_rest(bench: Bench) -> None:
    """A scheduled run that is killed is told by whoever started it; the next slot sends what is left, once each."""
    rows = people(60)
    bench.job(limits={"concurrency": 4})
    bench.csv(rows)
    schedule(bench)
    bench.sandbox.change(latency_s=0.2)
    fire = bench.start("schedule", "fire", "job.toml", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] >= 4, "some rows were sent")
    run = int(sqlite3.connect(bench.ledger).execute("select process from runs").fetchone()[0].rpartition(":")[2])
    os.kill(run, signal.SIGKILL)
    ended = fire.end()
    ended_s = time.time()
    assert ended.code == 4, ended.told()
    assert "was killed (signal 9)" in ended.json["fired"][0]["error"]
    bench.sandbox.change(latency_s=0)
    # On a quick machine all that was within one second, whose slot has been fired.
    until(lambda: time.time() >= ended_s + 1, "the next slot has come")
    again = bench.cli("schedule", "fire", "job.toml", "--output", "json")
    assert again.code == 0, again.told()
    (fired,) = again.json["fired"]
    assert fired["run"]["accepted"] + fired["run"]["skipped"].get("accepted", 0) == 60
    assert bench.effects() == once_each(rows)


def test_a_stop_reaches_the_run_that_settles_what_flies(bench: Bench) -> None:
    """SIGTERM to the timer's command, as systemd sends it: nothing is in doubt."""
    bench.job(limits={"concurrency": 2})
    bench.csv(people(200))
    schedule(bench, "0 2 * * *")
    bench.sandbox.change(latency_s=0.2)
    fire = bench.start("schedule", "fire", "job.toml", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] >= 2, "some rows were sent")
    fire.signal(signal.SIGTERM)
    ended = fire.end()
    assert ended.code == 143, ended.told()
    (fired,) = ended.json["fired"]
    assert fired["exit_code"] == 143
    assert 0 < fired["run"]["accepted"] == bench.sandbox.stats()["effects"] < 200
    assert fired["run"]["in_doubt"] == 0


def test_a_run_that_takes_too_long_stops_by_itself(bench: Bench) -> None:
    """`max_duration` settles what flies, and says so."""
    bench.job(limits={"concurrency": 1})
    bench.csv(people(500))
    schedule(bench, "0 2 * * *", max_duration="6s")
    bench.sandbox.change(latency_s=0.5)
    ended = bench.cli("schedule", "fire", "job.toml", "--output", "json")
    (fired,) = ended.json["fired"]
    assert "max_duration" in fired["error"], ended.told()
    assert ended.code == 6
    # On a machine that is very slow it may have stopped before it had begun.
    run = fired["run"] or {}
    assert run.get("in_doubt", 0) == 0
    assert run.get("accepted", 0) == bench.sandbox.stats()["effects"] < 500


def test_rows_that_failed_in_earlier_nights_go_with_tonights(bench: Bench) -> None:
    """Yesterday's export has made room for tonight's; its failed rows are sent after it all the same."""
    bench.job(limits={"throttle_patience": "10ms"})
    bench.csv(people(3))
    schedule(bench)
    bench.sandbox.change(fail=["429:100"])
    first = bench.cli("schedule", "fire", "job.toml", "--output", "json").json["fired"]
    assert [counts(one["run"]) for one in first] == [{"failed": 3}]
    assert first[0]["retried"] is None
    bench.sandbox.change(fail=[])
    (bench.home / "people.csv").rename(bench.home / "yesterday.csv")
    # One of yesterday's people is served tonight by what is newer about her.
    bench.csv([*people(2, start=10), {"email": "p1@example.com", "name": "Renamed"}])
    second = bench.cli("schedule", "fire", "job.toml", "--output", "json")
    (fired,) = second.json["fired"]
    assert counts(fired["run"]) == {"accepted": 3}, second.told()
    assert counts(fired["retried"]) == {"accepted": 2, "skipped": {"replaced": 1}}
    assert second.code == 0
    assert set(bench.effects().values()) == {1}
    assert len(bench.effects()) == 5


def test_the_next_times_across_a_clock_change(bench: Bench) -> None:
    """`schedule next` shows the offset, and a night that has no such time."""
    bench.job()
    schedule(bench, "30 2 * * *", timezone="Europe/Berlin")
    told = bench.cli("schedule", "next", "job.toml", "--after", "2027-03-27", "-n", "3")
    assert told.out.splitlines() == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]
    in_json = bench.cli("schedule", "next", "job.toml", "--after", "2027-10-30T12:00", "--output", "json")
    assert len(in_json.json["next"]) == 5
    assert in_json.json["next"][0]["slot"] == "2027-10-31T02:30:00+02:00"


def test_install_list_and_remove_a_systemd_timer(bench: Bench) -> None:
    """Units are written where systemd looks for those of a user, listed with their last slot, and taken away."""
    bench.environment["XDG_CONFIG_HOME"] = str(bench.home / "config")
    bench.job()
    bench.csv(people(1))
    schedule(bench, "0 2 * * *")
    installed = bench.cli("schedule", "install", "job.toml", "--as", "systemd", "--no-enable")
    assert installed.code == 0, installed.told()
    folder = bench.home / "config/systemd/user"
    assert sorted(path.name for path in folder.iterdir()) == [
        "batchrunner-welcome.service",
        "batchrunner-welcome.timer",
    ]
    # What came before the schedule was known is not caught up with.
    assert bench.cli("schedule", "fire", "job.toml", "--output", "json").json["fired"] == []
    (listed,) = bench.cli("schedule", "list", "--output", "json").json["jobs"]
    assert (listed["job"], listed["as"], listed["last_slot"]["state"]) == ("welcome", "systemd", "passed")
    assert bench.cli("schedule", "remove", "job.toml", "--no-disable").code == 0
    assert list(folder.iterdir()) == []
    again = bench.cli("schedule", "remove", "welcome", "--no-disable")
    assert again.code == 2
    assert "is in no timer of this machine" in again.err


def test_a_timer_without_a_token_is_refused(bench: Bench) -> None:
    """The environment of a person is not that of a timer."""
    bench.job()
    (bench.home / "job.toml").open("a").write(table("schedule", {"cron": "0 2 * * *"}))
    for kind in ("systemd", "cron"):
        refused = bench.cli("schedule", "install", "job.toml", "--as", kind)
        assert refused.code == 2, refused.told()
        assert "token_file" in refused.err


def test_printing_installs_nothing(bench: Bench) -> None:
    """`--as kubernetes` and `--as print` write to stdout alone."""
    bench.environment["XDG_CONFIG_HOME"] = str(bench.home / "config")
    bench.job()
    schedule(bench, "0 2 * * *")
    assert "kind: CronJob" in bench.cli("schedule", "install", "job.toml", "--as", "kubernetes").out
    printed = bench.cli("schedule", "install", "job.toml", "--as", "print").out
    assert "OnCalendar=*-*-* 02:00:00" in printed
    assert "# batchrunner job welcome" in printed
    assert not (bench.home / "config").exists()
    assert json.loads(bench.cli("schedule", "list", "--output", "json").out) == {"jobs": []}
