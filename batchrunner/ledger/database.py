"""Opening the database of a ledger: who may read it, how durable a commit is, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from batchrunner.errors import LedgerError
from batchrunner.ledger import schema
from batchrunner.ledger.files import DAMAGED, file_named, must_not_be_cut_off
from batchrunner.private import private_folder

BUSY_TIMEOUT_MS = 30_000
"""How long a commit waits for another job that writes to the same ledger. Its transactions take milliseconds."""

IN_MEMORY = Path(":memory:")
"""A ledger that ends with the process: for rehearsals before the first run."""

SWITCH_WAIT_MS = 10
"""Between two tries to switch the write-ahead log on: about what another program takes to make the tables."""

LOG_PAGES = 16_000

# Without the journal mode, which is written into the file itself: first it must be certain that the file is ours.
PRAGMAS = (
    # A claim must survive the machine, not only the process. NORMAL would gain nothing worth having (measured).
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    # In KiB. The system keeps the file in its memory anyway: eight times as much here gained nothing (measured with a
    # million rows), and it grew with the ledger.
    "PRAGMA cache_size = -8192",
    # In pages of 4 KiB, so 64 MB: so long the log grows before it is written back into the file. Keys are random, and
    # nearly each new row changes a page of its own: the default of 1,000 pages came round every 15 commits, wrote most
    # pages of a ledger of a million rows again and again, and made each of those commits wait for the disk.
    f"PRAGMA wal_autocheckpoint = {LOG_PAGES}",
    # What is deleted is overwritten, and is not left in free pages. Some builds of SQLite do so by themselves.
    "PRAGMA secure_delete = ON",
)


def locate(ledger: str) -> Path:
    """The file behind `--ledger URL|PATH`. Raises LedgerError for a database we do not speak yet."""
    if "://" not in ledger:
        return file_named(ledger)
    try:
        url = make_url(ledger)
    except ArgumentError as error:
        raise LedgerError(f"{ledger}: is not a database URL; write a path, or sqlite:///path") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        shown = url.render_as_string(hide_password=True)
        raise LedgerError(f"{shown}: this version keeps ledgers in SQLite files; write a path, or sqlite:///path")
    return file_named(url.database)


def open_database(path: Path, *, create: bool = True) -> tuple[Engine, Connection]:
    """Open a ledger file, made and migrated if need be. Raises LedgerError.

    The connection is in autocommit: `transaction` begins and ends explicitly.
    """
    with saying(path):
        if path != IN_MEMORY and not path.exists():
            if not create:
                raise LedgerError("does not exist: nothing was ever run with it")
            _make_private_file(path)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
        event.listen(engine, "connect", _prepare)
        connection = _connect(engine, path)
        try:
            with transaction(connection):
                schema.migrate(connection)
            _write_ahead(connection)
        except BaseException:
            close_database(engine, connection)
            raise
        return engine, connection


_PLACE = "batchrunner.place"
_opening = threading.Lock()
_open_here: Counter[tuple[int, int]] = Counter()
"""Connections of this process, by device and inode of their file."""


def _connect(engine: Engine, path: Path) -> Connection:
    """Look at the file and open it, or only open it where this process has it open.

    Whoever closes a descriptor of a file gives up all locks that its process has on it, SQLite's too (POSIX). Then
    another program takes itself for the last one, and removes a log that is being written to.
    """
    with _opening:
        place = (path.stat().st_dev, path.stat().st_ino) if path != IN_MEMORY else (0, 0)
        if not _open_here[place]:
            must_not_be_cut_off(path)
        connection = engine.connect()
        connection.info[_PLACE] = place
        _open_here[place] += 1
        return connection


def close_database(engine: Engine, connection: Connection) -> None:
    """Close a connection; what was committed stays."""
    if connection.closed:
        return
    with _opening:
        place = connection.info.pop(_PLACE, None)
        connection.close()
        engine.dispose()
        if place is not None:
            _open_here[place] -= 1


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


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    for pragma in PRAGMAS:
        connection.execute(pragma)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing, and durable when it ends. Takes the write lock at once: a later upgrade could fail half-way."""
    driver = driver_of(connection)
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        driver.execute("COMMIT")
    except BaseException:
        # A full or broken disk ends a transaction by itself; that there is none left must not hide why.
        with suppress(sqlite3.Error):
            driver.execute("ROLLBACK")
        raise


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection: what SQLAlchemy does around a statement costs ten times what a small one takes.

    Raises LedgerError where the ledger is no SQLite file.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise LedgerError("is kept by a database server; this version keeps ledgers in SQLite files")
    return driver


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
    except (SQLAlchemyError, sqlite3.Error) as error:
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
