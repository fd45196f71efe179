"""The bench of the acceptance tests, a sandbox for each module, and homes for ordeals.

At the end of a session the kills of all tests are added up and printed.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from batchrunner.sandbox import Handle, Settings, running

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "acceptance"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from bench import Bench
from ordeal import TOTAL, Counts, Ordeal, add_up

_OF_WORKERS: list[Counts] = []


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Handle]:
    """A sandbox in a process of its own."""
    with running(Settings()) as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: Handle) -> Handle:
    """The shared sandbox as if it had just been started."""
    shared_sandbox.change(**Settings().as_json())
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Handle) -> Iterator[Bench]:
    """An empty bench, whose ledger is sound in the end unless the test has damaged it."""
    made = Bench(tmp_path, sandbox)
    yield made
    made.close()
    if "damaged" not in request.keywords:
        made.must_be_sound()


@pytest.fixture
def ordeal(tmp_path: Path, sandbox: Handle) -> Iterator[Ordeal]:
    """A home for one ordeal; the sandbox answers after some milliseconds, so that there is something in flight."""
    sandbox.change(latency_s=0.003, jitter_s=0.01)
    made = Ordeal(tmp_path / "home", sandbox)
    yield made
    assert made.integrity() == "ok"
    made.counts.replays = sandbox.stats()["replays"]
    TOTAL.add(made.counts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 kilobytes."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k,mode=0700", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user cannot mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its counts over."""
    handed = getattr(session.config, "workeroutput", None)
    if handed is not None:
        # What crosses to the process that prints must be made of plain values.
        handed["kills"] = {**asdict(TOTAL), "by_point": dict(TOTAL.by_point)}


def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    if counts := getattr(node, "workeroutput", {}).get("kills"):
        _OF_WORKERS.append(Counts(**{**counts, "by_point": Counter(counts["by_point"])}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was done to how many rows, and what came of it."""
    whole = add_up([TOTAL, *_OF_WORKERS])
    if whole.kills:
        terminalreporter.write_sep("-", "kill -9")
        terminalreporter.write_line(str(whole))
        terminalreporter.write_line(", ".join(f"{name} {count}" for name, count in sorted(whole.by_point.items())))
