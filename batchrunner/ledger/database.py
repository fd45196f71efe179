"""Opening the database of a ledger: who may read it, how durable a commit is, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from batchrunner.errors import LedgerError
from batchrunner.ledger import schema
from batchrunner.private import private_folder

BUSY_TIMEOUT_MS = 30_000
"""How long a commit waits for another job that writes to the same ledger. Its transactions take milliseconds."""

IN_MEMORY = Path(":memory:")
"""A ledger that ends with the process: for rehearsals before the first run."""

SWITCH_WAIT_MS = 10
"""Between two tries to switch the write-ahead log on: about what another program takes to make the tables."""

DAMAGED = "the ledger is damaged; look with 'batchrunner ledger check', mend with 'batchrunner ledger repair'"

# Without the journal mode, which is written into the file itself: first it must be certain that the file is ours.
PRAGMAS = (
    # A claim must survive the machine, not only the process. NORMAL would gain nothing worth having (measured).
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -65536",
    # What is deleted is overwritten, and is not left in free pages. Some builds of SQLite do so by themselves.
    "PRAGMA secure_delete = ON",
)


def locate(ledger: str) -> Path:
    """The file behind `--ledger URL|PATH`. Raises LedgerError for a database we do not speak yet."""
    if "://" not in ledger:
        return _file(ledger)
    try:
        url = make_url(ledger)
    except ArgumentError as error:
        raise LedgerError(f"{ledger}: is not a database URL; write a path, or sqlite:///path") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        shown = url.render_as_string(hide_password=True)
        raise LedgerError(f"{shown}: this version keeps ledgers in SQLite files; write a path, or sqlite:///path")
    return _file(url.database)


def _file(name: str) -> Path:
    try:
        return Path(os.path.expanduser(name)).resolve()  # noqa: PTH111  pathlib's raises where nobody has that name
    except ValueError:
        raise LedgerError(f"{name!r}: is not a possible file name; name another with --ledger") from None


def open_database(path: Path, *, create: bool = True) -> tuple[Engine, Connection]:
    """Open a ledger file, made and migrated if need be. Raises LedgerError.

    The connection is in autocommit: `transaction` begins and ends explicitly.
    """
    with saying(path):
        if path != IN_MEMORY and not path.exists():
            if not create:
                raise LedgerError("does not exist: nothing was ever run with it")
            _make_private_file(path)
        _must_not_be_cut_off(path)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
        event.listen(engine, "connect", _prepare)
        connection = engine.connect()
        try:
            with transaction(connection):
                schema.migrate(connection)
            _write_ahead(connection)
        except BaseException:
            connection.close()
            raise
        return engine, connection


def _write_ahead(connection: Connection) -> None:
    """Switch the log on. Of several programs that make a ledger together one does it, and none waits in SQLite for it.

    SQLite calls the switch busy, whatever the time-out says, while another connection is open in the old mode.
    """
    for waits_left in range(BUSY_TIMEOUT_MS // SWITCH_WAIT_MS, -1, -1):
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError as error:
            if not waits_left or "locked" not in str(error.orig):
                raise
            time.sleep(SWITCH_WAIT_MS / 1000)
        else:
            return


def _make_private_file(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the database, so this one call covers all three.
    private_folder(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


_LARGEST_PAGE = 65_536  # written as 1
_HEADER = struct.Struct(">16xH6xI4xI60xI")  # page size, change counter, pages, and for which change those were counted


def _must_not_be_cut_off(path: Path) -> None:
    """A file that has lost its end, or all of it, is never taken for a new ledger. Raises LedgerError."""
    if not path.is_file() or not _cut_off(path):
        return
    if any(_size(path.with_name(path.name + end)) for end in ("-wal", "-journal")):
        return  # another program is writing, or a log holds pages that the file does not have yet
    if what := _cut_off(path):  # it may have been written meanwhile
        raise LedgerError(f"{what}: {DAMAGED}")


def _cut_off(path: Path) -> str | None:
    size = _size(path)
    if size == 0:
        return "is empty, though jobs have run with it" if any(path.parent.glob(f"{path.name}.*.lock")) else None
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(b"SQLite format 3\0"):
        return None  # SQLite says what that is
    page, change, pages, counted_for = _HEADER.unpack(head)
    whole = pages * (page if page > 1 else _LARGEST_PAGE)
    return f"is cut off after {size} of {whole} bytes" if change == counted_for and size < whole else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    for pragma in PRAGMAS:
        connection.execute(pragma)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing, and durable when it ends. Takes the write lock at once: a later upgrade could fail half-way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        # A full or broken disk ends a transaction by itself; that there is none left must not hide why.
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise


_HELP = (
    ("locked", "another program holds the ledger; end it, or run again later"),
    ("readonly", "the ledger is read-only; give yourself write permission, or name another with --ledger"),
    ("unable to open", "the file cannot be opened; check that its folder exists and that you may write there"),
    ("disk is full", "the disk is full; make room and run again: nothing that was settled is lost"),
    ("not a database", "the file is not a ledger; name another file with --ledger, or mend it with 'ledger repair'"),
    ("malformed", DAMAGED),
    ("disk i/o error", "the disk reports an error; check it before running again"),
)


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turn what the database and the file system raise into a LedgerError that names the file and the next step."""
    try:
        yield
    except LedgerError as error:
        if str(error).startswith("ledger "):
            raise
        raise LedgerError(f"ledger {path}: {error}") from error
    except OSError as error:
        raise LedgerError(f"ledger {path}: {error.strerror or error}; check the path and your rights") from error
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger {path}: {_help(str(getattr(error, 'orig', None) or error))}") from error
    except UnicodeDecodeError as error:  # a text in a page that is damaged, or SQLite's own words about one
        raise LedgerError(f"ledger {path}: {DAMAGED} ({error.reason})") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """As `saying`, where rows become values: a state that there is not, or totals that are none, are damage too."""
    with saying(path):
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise LedgerError(f"{DAMAGED} ({type(error).__name__})") from error


def _help(message: str) -> str:
    return next((f"{help_} ({message})" for part, help_ in _HELP if part in message.lower()), message)
