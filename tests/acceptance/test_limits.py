"""How hard a run pushes: the limit that it finds out by itself."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from bench import Bench, once_each, people

RATE = 50
STALL = 2
"""Requests more in a second than left in it: a busy machine lets them wait on their way, and arrive together."""


def arrivals_s(bench: Bench) -> list[float]:
    """When each request reached the platform."""
    return sorted(request["arrived_s"] for request in bench.sandbox.requests(limit=10_000))


def most_in_a_second(arrived_s: list[float]) -> int:
    """The largest number in any half-open second."""
    return max(bisect_left(arrived_s, start + 1.0) - index for index, start in enumerate(arrived_s))


def per_second(arrived_s: list[float]) -> float:
    """On average, from the first to the last."""
    return (len(arrived_s) - 1) / (arrived_s[-1] - arrived_s[0])


def test_an_auto_run_finds_its_limit_and_tells_it(bench: Bench) -> None:
    """Every row once, from few in flight to more, and never more than the cap."""
    bench.job(limits={"concurrency": "auto", "concurrency_max": 24})
    rows = people(1_500)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.01)

    ended = bench.run()

    assert ended.code == 0, ended.told()
    found = ended.json["concurrency"]
    assert 1 <= found["lowest"] <= 4
    assert 4 < found["highest"] <= 24
    # An answer that has left counts as in flight until the server looks again; by then the next may be there.
    assert bench.sandbox.stats()["max_in_flight"] <= 24 + 12
    assert bench.effects() == once_each(rows)


def test_an_auto_run_backs_off_where_the_platform_says_429(bench: Bench) -> None:
    """It says so, and sends everything all the same."""
    bench.job(limits={"concurrency": 2})
    rows = people(300)
    bench.csv(rows)
    bench.sandbox.change(rate_limit=100)

    ended = bench.run("--concurrency", "auto", "-v")

    assert ended.code == 0, ended.told()
    assert ended.json["concurrency"]["backed_off"]["throttled"] >= 1
    assert ": throttled" in ended.err
    assert bench.effects() == once_each(rows)


def test_a_number_of_requests_that_is_none_is_refused(bench: Bench) -> None:
    """On the command line as in the job file."""
    bench.job()
    ended = bench.cli("run", "job.toml", "--concurrency", "many")
    assert ended.code == 2
    assert "write a whole number from 1 to 4096, or 'auto'" in " ".join(ended.err.split())


@pytest.mark.slow
@pytest.mark.parametrize("rate", [f"{RATE}/s", f"{60 * RATE}/min"])
def test_a_rate_is_kept_in_every_second_and_used_up(bench: Bench, rate: str) -> None:
    """As the platform sees it."""
    bench.job(limits={"rate": rate})
    bench.csv(people(300))

    ended = bench.run()

    assert ended.code == 0, ended.told()
    arrived_s = arrivals_s(bench)
    assert len(arrived_s) == 300
    assert most_in_a_second(arrived_s) <= RATE + STALL
    assert per_second(arrived_s) >= 0.96 * RATE


@pytest.mark.slow
def test_jobs_that_share_a_rate_keep_it_together_and_use_it_up(bench: Bench) -> None:
    """Two processes, two jobs, one ledger and one token."""
    for number, name in enumerate(("left", "right")):
        limits = {"rate": f"{RATE}/s", "rate_shared": True}
        bench.job(f"{name}.toml", name=name, source={"path": f"{name}.csv"}, limits=limits)
        bench.csv(people(220, start=1_000 * number), f"{name}.csv")

    started = [bench.start("run", f"{name}.toml", "--output", "json") for name in ("left", "right")]
    ended = [one.end() for one in started]

    assert [one.code for one in ended] == [0, 0], ended[0].told() + ended[1].told()
    arrived_s = arrivals_s(bench)
    assert len(arrived_s) == 440
    assert most_in_a_second(arrived_s) <= RATE + STALL
    assert per_second(arrived_s) >= 0.93 * RATE
    assert abs(ended[0].json["duration_s"] - ended[1].json["duration_s"]) <= 2
    kept = sorted(path.name for path in bench.state.iterdir() if ".rate" in path.name)
    assert len(kept) == 2  # the moment and its lock
    assert not any(bench.token in name for name in kept)


def test_a_shared_rate_that_cannot_be_kept_stops_the_run_before_anything_is_sent(bench: Bench) -> None:
    """A rate that is not shared after all would be passed."""
    bench.job(limits={"rate": f"{RATE}/s", "rate_shared": True})
    bench.csv(people(3))
    assert bench.run().code == 0
    [moment] = [path for path in bench.state.iterdir() if path.suffix == ".rate"]
    moment.unlink()
    moment.mkdir()
    bench.csv(people(3, start=10))

    ended = bench.cli("run", "job.toml")

    assert ended.code != 0
    assert "the shared rate cannot be kept" in ended.told()
    assert len(bench.effects()) == 3


def test_a_shared_rate_needs_a_rate(bench: Bench) -> None:
    """In one sentence."""
    bench.job(limits={"rate_shared": True})
    assert "`rate_shared` needs `rate`" in bench.cli("run", "job.toml").err
