"""A sandbox process for each module, as if it had just been started for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batchrunner.sandbox import Handle, Settings, running


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    """One sandbox process for the whole module."""
    with running(Settings()) as handle:
        yield handle


@pytest.fixture
def sandbox(shared: Handle) -> Handle:
    """The sandbox, empty and with its first settings."""
    shared.change(**Settings().as_json())
    shared.reset()
    return shared
