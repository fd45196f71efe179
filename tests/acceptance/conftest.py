"""One sandbox per worker, set back before each test, and a bench for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench

from batchrunner.sandbox import Handle, Settings, running


@pytest.fixture(scope="session")
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
