"""A platform that dies, forgets, or is slow with a few: the law holds, and nobody waits who need not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bench import Bench, once_each, people, result_rows, until

from batchrunner.sandbox import Handle, Settings, running


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Bench]:
    """A bench with a sandbox of its own, which the test may kill."""
    with running(Settings(latency_s=0.03)) as handle:
        made = Bench(tmp_path, handle)
        yield made
        made.close()


def asked_for(sandbox: Handle) -> dict[str, set[str]]:
    """The Request-IDs under which each address came."""
    found: dict[str, set[str]] = {}
    for request in sandbox.requests(limit=10_000):
        headers = {name.lower(): value for name, value in dict(request["headers"]).items()}
        body = str(request["body"])
        address = body.partition('"email":"')[2].partition('"')[0]
        found.setdefault(address, set()).add(headers["request-id"])
    return found


@pytest.mark.parametrize("deduplicates", [True, False], ids=["deduplicating", "holding"])
def test_a_platform_that_dies_and_comes_back_without_its_memory(mortal: Bench, deduplicates: bool) -> None:
    """What it had answered does not come again; what may have arrived comes under its Request-ID, or waits."""
    rules = {} if deduplicates else {"in_doubt": "hold"}
    limits = {"attempts": 4, "backoff": "100ms", "backoff_max": "300ms", "concurrency": 8}
    mortal.job(target={"deduplicates": deduplicates}, rules=rules, limits=limits)
    given = people(240)
    mortal.csv(given)
    started = mortal.start("run", "job.toml", "--output", "json")
    until(lambda: mortal.sandbox.stats()["effects"] > 60, "some rows were sent")
    before = asked_for(mortal.sandbox)
    os.kill(mortal.sandbox.pid, signal.SIGKILL)
    with running(Settings(), port=int(urlsplit(mortal.sandbox.url).port or 0)) as second:
        ended = started.end()
        assert "Traceback" not in ended.err
        assert ended.code in {0, 1, 5}, ended.told()
        told = {row["email"] for row in result_rows(ended.json, "success")}
        mortal.sandbox = replace(mortal.sandbox, pid=second.pid)
        mortal.run()
        after = asked_for(second)
        again = before.keys() & after.keys()
        assert all(before[address] == after[address] for address in again)
        assert len(again) <= 2 * 8
        if not deduplicates:
            assert not again
        seen = second.engagement_counts()
        assert set(seen.values()) == {1}
        waiting = mortal.cli("status", "welcome", "--output", "json").json["jobs"][0]["waiting"]
        missing = once_each(given).keys() - seen.keys() - told
        assert len(missing) <= sum(one["rows"] for one in waiting)


def test_nobody_waits_for_one_slow_connection_in_a_hundred(bench: Bench) -> None:
    """Rows behind a slow one are settled and written before it, and the slow ones arrive all the same."""
    bench.job(limits={"concurrency": 4})
    given = [
        {"email": f"p{number}{'+slow-4' if number % 100 == 7 else ''}@example.com", "name": "x"}
        for number in range(300)
    ]
    bench.csv(given)
    ended = bench.run()
    assert ended.json["accepted"] == 300
    order = [row["email"] for row in result_rows(ended.json, "success")]
    slow = [place for place, address in enumerate(order) if "+slow" in address]
    assert len(slow) == 3
    assert slow[0] > 7 + 4  # more have passed it than were under way with it
    assert bench.effects() == once_each(given)
