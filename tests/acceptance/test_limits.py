"""How hard a run pushes: the limit that it finds out by itself."""

from __future__ import annotations

from bench import Bench, once_each, people


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
    assert bench.sandbox.stats()["max_in_flight"] <= 24
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
