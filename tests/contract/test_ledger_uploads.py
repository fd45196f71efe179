"""What the ledger remembers of uploaded files."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import Backend

from batchrunner.errors import LedgerError
from batchrunner.ledger import SqlUploadShelf
from batchrunner.ledger.database import locate

DIGEST, OTHER = "ab" * 16, "cd" * 16


def test_a_key_is_remembered_for_its_installation_and_its_time(backend: Backend) -> None:
    """A newer one takes its place; another installation has keys of its own."""
    backend.open().close()
    path = locate(backend.url)
    shelf, elsewhere = SqlUploadShelf(path, "https://a.example"), SqlUploadShelf(path, "https://b.example")
    assert shelf.key_of(DIGEST, 0) is None
    shelf.remember(DIGEST, "one", 10_000)
    shelf.remember(DIGEST, "two", 20_000)
    assert shelf.key_of(DIGEST, 20_000) == "two"
    assert shelf.key_of(DIGEST, 21_000) is None
    assert shelf.key_of(OTHER, 0) is None
    assert elsewhere.key_of(DIGEST, 0) is None
    shelf.close()
    elsewhere.close()
    again = SqlUploadShelf(path, "https://a.example")
    assert again.key_of(DIGEST, 0) == "two"
    again.close()
    again.close()


def test_a_shelf_without_a_ledger_says_so(tmp_path: Path) -> None:
    """It makes none: the run has one."""
    with pytest.raises(LedgerError, match="does not exist"):
        SqlUploadShelf(tmp_path / "none.db", "x").key_of(DIGEST, 0)
