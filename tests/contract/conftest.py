"""The ledger of a test, of every backend there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import BACKENDS, Backend

from batchrunner.ledger import History, SqlLedger


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A place for a ledger that does not exist yet."""
    return Backend(BACKENDS[request.param](tmp_path))


@pytest.fixture
def ledger(backend: Backend) -> Iterator[SqlLedger]:
    """A new ledger."""
    with backend.open() as opened:
        yield opened


@pytest.fixture
def other(backend: Backend, ledger: SqlLedger) -> Iterator[SqlLedger]:
    """A second connection to the same ledger."""
    with backend.open() as opened:
        yield opened


@pytest.fixture
def history(ledger: SqlLedger) -> History:
    """What the ledger can tell outside a run."""
    return History(ledger)
