"""The ledger as a file: a consistent copy while runs write to it, its free room given back, its rows for others."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, select

from batchrunner.clock import as_text
from batchrunner.errors import LedgerError
from batchrunner.ledger import codec
from batchrunner.ledger.database import driver_of, reading, saying
from batchrunner.ledger.schema import entries, runs, sources
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import State

ROWS_AT_ONCE = 5_000

EXPORTED = (
    "job", "run", "source", "fingerprint", "row", "line", "outcome", "code", "profile_id", "attempts", "requested_at",
    "replayed", "current", "key",
)  # fmt: skip
"""Columns of an export. `current`: no later entry has taken this one's place."""


def backup(ledger: SqlLedger, to: Path) -> int:
    """Copy the ledger as it is at one moment, while runs may go on; the size of the copy. Raises LedgerError.

    The copy appears under its name when it is whole, checked and on the disk; it is private, like the ledger.
    """
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    with saying(to):
        if to.exists():
            raise LedgerError("is there already; name another file for the backup")
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            _copy(driver_of(ledger.connection), part)
            part.rename(to)
            _sync(to.parent)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        _note(ledger.path, to)
    return to.stat().st_size


def _note(ledger: Path, backup: Path) -> None:
    """Where the copy is: `repair` finds the newest by it when the ledger itself can tell nothing any more."""
    descriptor = os.open(notes_of(ledger), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(os.fsencode(backup.absolute()) + b"\n")


def notes_of(ledger: Path) -> Path:
    """The file in which the places of a ledger's backups are noted, a line each, oldest first."""
    return ledger.with_name(f"{ledger.name}.backups")


def _copy(ledger: sqlite3.Connection, part: Path) -> None:
    try:
        with closing(sqlite3.connect(part)) as copy:
            ledger.backup(copy)  # in one step: what is committed meanwhile does not make it begin anew
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise LedgerError("the copy is damaged, so it was thrown away; check the ledger and its disk")
    except sqlite3.Error as error:
        raise LedgerError(f"the copy cannot be written ({error}); make room, then try again") from error
    with part.open("rb") as file:
        os.fsync(file.fileno())


def vacuum(ledger: SqlLedger) -> tuple[int, int]:
    """Give back what was purged; sizes before and after. Raises LedgerError while a run writes to the ledger."""
    with saying(ledger.path):
        ledger.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        before = ledger.path.stat().st_size
        ledger.connection.exec_driver_sql("VACUUM")
        ledger.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    return before, ledger.path.stat().st_size


@dataclass(frozen=True, slots=True)
class Exported:
    """One entry, in the order of `EXPORTED`."""

    values: tuple[str | int | bool | None, ...]


def export(ledger: SqlLedger, job: str | None = None) -> Iterator[Exported]:
    """Every entry of a job, or of all, oldest first, in flat memory. Digests and ids, as the ledger has them."""
    read = and_(sources.c.run_id == entries.c.run_id, sources.c.source_no == entries.c.source_no)
    query = select(
        runs.c.job, runs.c.name, sources.c.path, sources.c.fingerprint, entries.c.row_number, entries.c.lines_ahead,
        entries.c.state, entries.c.code, entries.c.profile_id, entries.c.attempts, entries.c.requested_s,
        entries.c.replayed, entries.c.superseded_by, entries.c.key,
    ).join(runs, runs.c.id == entries.c.run_id).outerjoin(sources, read)  # fmt: skip
    if job is not None:
        query = query.where(runs.c.job == job)
    query = query.order_by(entries.c.run_id, entries.c.source_no, entries.c.row_number)
    with reading(ledger.path):
        found = ledger.connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query)
        for of, run, path, fingerprint, row, ahead, state, code, profile, attempts, at_s, replayed, taken, key in found:
            yield Exported((
                of, run, path, fingerprint, row, row + ahead, State(state).name.lower(), code,
                codec.unpack_profile_id(profile), attempts, as_text(at_s * 1000), bool(replayed), taken is None,
                bytes(key).hex(),
            ))  # fmt: skip


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
