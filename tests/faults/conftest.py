"""The bench of the acceptance tests, and a sandbox for each module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrunner.sandbox import Handle, Settings, running

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "acceptance"))

from bench import Bench


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
def bench(tmp_path: Path, sandbox: Handle) -> Iterator[Bench]:
    """An empty bench."""
    made = Bench(tmp_path, sandbox)
    yield made
    made.close()
