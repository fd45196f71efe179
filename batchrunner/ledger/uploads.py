"""What the platform calls files that were uploaded to it, by their content."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select

from batchrunner.ledger.database import close_database, open_database, saying, transaction
from batchrunner.ledger.schema import uploads


class SqlUploadShelf:
    """The files of one installation. It has a connection of its own, opened in the thread that first asks."""

    def __init__(self, path: Path, installation: str) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._installation = installation

    @cached_property
    def _opened(self) -> tuple[Engine, Connection]:
        return open_database(self._path, create=False)

    def key_of(self, digest: str, not_before_ms: int) -> str | None:
        """What the platform calls a file with this content, if it was uploaded no earlier. Raises LedgerError."""
        query = select(uploads.c.file_key).where(*self._one(digest), uploads.c.uploaded_s >= not_before_ms // 1000)
        with saying(self._path):
            key: str | None = self._opened[1].execute(query).scalar()
        return key

    def remember(self, digest: str, key: str, now_ms: int) -> None:
        """Keep it, in the place of an older one. Raises LedgerError."""
        row = {
            "installation": self._installation, "digest": bytes.fromhex(digest), "file_key": key,
            "uploaded_s": now_ms // 1000,
        }  # fmt: skip
        with saying(self._path), transaction(self._opened[1]):
            self._opened[1].execute(delete(uploads).where(*self._one(digest)))
            self._opened[1].execute(insert(uploads).values(**row))

    def close(self) -> None:
        """Close the connection, if there is one."""
        if "_opened" in self.__dict__:
            close_database(*self._opened)

    def _one(self, digest: str) -> tuple[ColumnElement[bool], ...]:
        return uploads.c.installation == self._installation, uploads.c.digest == bytes.fromhex(digest)
