"""Guards of the unattended: pauses, hours, rows a run and a day, and one run of a job at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from bench import Bench, Started, counts, once_each, people, table, until


def guarded(bench: Bench, guards: Mapping[str, object], limits: Mapping[str, object] | None = None) -> None:
    """A job with guards, in UTC."""
    path = bench.job(limits=limits)
    text = path.read_text(encoding="utf-8").replace("\n", '\ntimezone = "UTC"\n', 1)
    path.write_text(text + table("guards", guards), encoding="utf-8")


def says(started: Started, sentence: str) -> None:
    """Wait until a command has said something on stderr."""
    until(lambda: started.err.exists() and sentence in started.stderr(), f"it says: {sentence}")


def hours(begin: timedelta, end: timedelta) -> str:
    """Hours around now."""
    now = datetime.now(UTC)
    return f"{now + begin:%H:%M}-{now + end:%H:%M}"


def test_a_run_sends_max_rows_and_the_next_goes_on(bench: Bench) -> None:
    """Exactly so many, whatever the file holds; the rest is no part of the run."""
    guarded(bench, {"max_rows": 7})
    rows = people(20)
    bench.csv(rows)
    first = bench.run()
    assert (first.code, first.json["reason"], counts(first.json)) == (6, "max_rows", {"accepted": 7})
    second = bench.run()
    assert (second.code, counts(second.json)) == (6, {"accepted": 7, "skipped": {"accepted": 7}})
    third = bench.run()
    assert (third.code, counts(third.json)) == (0, {"accepted": 6, "skipped": {"accepted": 14}})
    assert bench.effects() == once_each(rows)


def test_a_day_has_its_limit_over_all_runs(bench: Bench) -> None:
    """The second run is held back before it reads; a person may go on."""
    guarded(bench, {"daily_limit": 12})
    rows = people(20)
    bench.csv(rows)
    assert counts(bench.run("--limit", "5").json) == {"accepted": 5}
    rest = bench.run()
    assert (rest.code, rest.json["reason"]) == (6, "daily_limit")
    assert counts(rest.json) == {"accepted": 7, "skipped": {"accepted": 5}}
    held = bench.cli("run", "job.toml", "--output", "json")
    assert (held.code, held.json["reason"]) == (6, "daily_limit")
    assert counts(bench.run("--no-guards").json) == {"accepted": 8, "skipped": {"accepted": 12}}
    assert bench.effects() == once_each(rows)


def test_outside_its_hours_a_job_does_not_begin(bench: Bench) -> None:
    """The stand-in is never guarded: it sends to nobody."""
    guarded(bench, {"hours": hours(timedelta(hours=2), timedelta(hours=4))})
    bench.csv(people(3))
    held = bench.cli("run", "job.toml", "--output", "json")
    assert (held.code, held.json["reason"]) == (6, "outside_hours")
    assert bench.cli("run", "job.toml", "--sandbox").code == 0
    assert not bench.effects()
    guarded(bench, {"hours": hours(-timedelta(hours=2), timedelta(hours=4))})
    assert bench.run().code == 0


def test_a_run_under_way_drains_when_a_guard_says_so(bench: Bench) -> None:
    """What is in flight is settled, and nothing is in doubt."""
    guarded(bench, {"max_rows": 10})
    bench.csv(people(40))
    bench.sandbox.change(latency_s=0.05)
    ended = bench.run("--concurrency", "8")
    assert (ended.code, counts(ended.json)) == (6, {"accepted": 10})


def test_a_paused_job_does_not_begin(bench: Bench) -> None:
    """Until the pause is lifted, or over."""
    bench.job()
    bench.csv(people(3))
    assert bench.run("--limit", "1").code == 0
    paused = bench.cli("pause", "job.toml", "--why", "new scenario")
    assert paused.code == 0
    assert "lift it with: batchrunner unpause welcome" in paused.out
    assert "new scenario" in bench.cli("status", "welcome").out
    for command in ("run", "retry"):
        held = bench.cli(command, "job.toml", "--output", "json")
        assert (held.code, held.json["reason"]) == (6, "paused")
        assert "is paused (new scenario); nothing was sent" in held.err
    assert bench.cli("unpause", "welcome").code == 0
    assert bench.cli("pause", "welcome", "--for", "1ms").code == 0
    assert bench.run().code == 0


def test_a_pause_stops_the_run_that_is_under_way(bench: Bench) -> None:
    """What had left is settled, the exit code is 6, and the next run goes on where it stopped."""
    bench.job()
    rows = people(400)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.2)
    under_way = bench.start("run", "job.toml", "--concurrency", "2", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] >= 4, "some rows were sent")
    paused = bench.cli("pause", "welcome", "--why", "wrong text")
    assert "the run that is under way settles what has left, and stops" in paused.out
    ended = under_way.end()
    assert (ended.code, ended.json["reason"]) == (6, "paused")
    assert "is paused (wrong text); what had left was settled" in ended.json["error"]
    accepted = counts(ended.json)["accepted"]
    assert counts(ended.json).keys() <= {"accepted", "failed"}  # claimed, and held back before it left
    assert 4 <= accepted == bench.sandbox.stats()["effects"] < 400
    bench.sandbox.change(latency_s=0.0)
    assert bench.cli("unpause", "welcome").code == 0
    assert counts(bench.run().json) == {"accepted": 400 - accepted, "skipped": {"accepted": accepted}}
    assert bench.effects() == once_each(rows)


# --- one at a time ----------------------------------------------------------------------------


def test_a_run_may_wait_for_another(bench: Bench) -> None:
    """`--wait`: it begins when the other has ended, and finds nothing left to do."""
    bench.job()
    rows = people(30)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.2)
    first = bench.start("run", "job.toml", "--concurrency", "2")
    until(lambda: bench.sandbox.stats()["effects"] >= 1, "some rows were sent")
    second = bench.start("run", "job.toml", "--wait", "10m", "--output", "json")
    says(second, "waiting, for job welcome is already being run by run")
    assert first.end().code == 0
    ended = second.end()
    assert ended.code == 0, ended.told()
    assert counts(ended.json) == {"skipped": {"accepted": 30}}
    assert bench.effects() == once_each(rows)


@pytest.mark.parametrize("wait", [(), ("--wait", "100ms")], ids=["at once", "after a while"])
def test_a_run_that_waits_in_vain_says_so(bench: Bench, wait: tuple[str, ...]) -> None:
    """Exit code 75, as without waiting."""
    bench.job()
    bench.csv(people(30))
    bench.sandbox.change(latency_s=0.5)
    first = bench.start("run", "job.toml", "--concurrency", "1")
    until(lambda: bench.sandbox.stats()["effects"] >= 1, "some rows were sent")
    assert bench.cli("run", "job.toml", *wait).code == 75
    first.kill()
    bench.sandbox.change(latency_s=0)
    after = bench.cli("run", "job.toml")
    assert after.code == 0, after.told()
    assert "died before it ended; this run takes its place" in after.err
