"""A ledger that is not what was written: finding out, and making one anew from what can still be read.

The damaged file is never written to, and stays beside the new one under another name.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from batchrunner.errors import LedgerError
from batchrunner.ledger.database import saying
from batchrunner.ledger.schema import metadata
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import Totals

PROBLEMS_TOLD = 20

LIVE_INDEX = "entries_live_key"


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of which fewer rows are remembered than it told of."""

    run: str
    job: str
    told: int
    remembered: int
    run_dir: str | None


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of a repair."""

    entries: int
    from_backup: int
    from_damaged: int
    kept: Path
    """Where the damaged file is now."""
    gaps: tuple[Gap, ...]


def problems_of(path: Path) -> list[str]:
    """What is wrong with a ledger file; nothing for a sound one. Raises LedgerError if there is none."""
    with saying(path):
        if not path.exists():
            raise LedgerError("does not exist: nothing was ever run with it")
        try:
            with closing(sqlite3.connect(path)) as database:
                found = database.execute(f"PRAGMA integrity_check({PROBLEMS_TOLD})").fetchall()
                told = [text for (text,) in found if text != "ok"]
                strays = "SELECT count(*) FROM entries WHERE run_id NOT IN (SELECT id FROM runs)"
                (stray,) = database.execute(strays).fetchone()
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [*told, *([f"{stray} entries belong to no run"] if stray else [])]


def gaps_in(path: Path) -> tuple[Gap, ...]:
    """Runs of which the ledger remembers fewer rows than they told of. A purge makes such gaps on purpose."""
    query = """SELECT name, job, totals, run_dir, (SELECT count(*) FROM entries WHERE run_id = runs.id) FROM runs"""
    found = []
    with closing(sqlite3.connect(path)) as database:
        for name, job, text, run_dir, remembered in database.execute(query):
            totals = msgspec.json.decode(text, type=Totals)
            told = totals.accepted + totals.rejected + totals.failed + totals.in_doubt
            if remembered < told:
                found.append(Gap(name, job, told, remembered, run_dir))
    return tuple(found)


def repair(path: Path, backup: Path | None, mark: str) -> Repaired:
    """Make the ledger anew from a backup and whatever the damaged file still tells; the file wins. Raises LedgerError.

    Nobody may be using the ledger. `mark` becomes part of the name of the damaged file.
    """
    with saying(path):
        if not path.exists() and backup is None:
            raise LedgerError("does not exist; name a backup of it with --from")
        part = path.with_name(f".{path.name}.{os.getpid()}.repair")
        try:
            return _made_anew(path, backup, part, path.with_name(f"{path.name}.damaged-{mark}"))
        except sqlite3.Error as error:
            raise LedgerError(f"cannot be repaired ({error}); nothing was changed") from error
        finally:
            _remove(part)


def _made_anew(path: Path, backup: Path | None, part: Path, kept: Path) -> Repaired:
    _remove(part)
    SqlLedger(part).close()
    with closing(sqlite3.connect(part)) as new:
        (index,) = new.execute("SELECT sql FROM sqlite_master WHERE name = ?", (LIVE_INDEX,)).fetchone()
        new.execute(f"DROP INDEX {LIVE_INDEX}")  # two files may each hold a live entry of one key
        from_backup = 0 if backup is None else _from_backup(new, backup)
        from_damaged = _salvaged(new, path) if path.exists() else 0
        _let_the_newest_live(new)
        new.execute(index)
        new.commit()
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (entries,) = new.execute("SELECT count(*) FROM entries").fetchone()
    if wrong := problems_of(part):
        raise LedgerError(f"cannot be repaired ({wrong[0]}); nothing was changed")
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(kept.with_name(kept.name + end))
    part.rename(path)
    return Repaired(entries, from_backup, from_damaged, kept, gaps_in(path))


def _from_backup(new: sqlite3.Connection, backup: Path) -> int:
    """A backup may be of an older version, so a copy of it is brought up to date first."""
    if wrong := problems_of(backup):
        raise LedgerError(f"the backup {backup} is damaged itself ({wrong[0]}); name an older one")
    return _salvaged(new, backup, up_to_date=True)


def _salvaged(new: sqlite3.Connection, path: Path, *, up_to_date: bool = False) -> int:
    """Copy every row of every table that can be read; how many entries there were. Works on a copy of the file."""
    copy = path.with_name(f".{path.name}.{os.getpid()}.salvage")
    try:
        for end in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(path.with_name(path.name + end), copy.with_name(copy.name + end))
        if up_to_date:
            SqlLedger(copy).close()
        with closing(sqlite3.connect(copy)) as old:
            return _copied(old, new)
    finally:
        _remove(copy)


def _copied(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    entries = 0
    for table in metadata.sorted_tables:
        columns = _columns_in_both(old, table.name, [column.name for column in table.columns])
        if not columns or table.name == "schema_version":
            continue
        before = new.total_changes
        places = ", ".join("?" * len(columns))
        insert = f"INSERT OR REPLACE INTO {table.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
        key = [column.name for column in table.primary_key.columns]
        new.executemany(insert, _readable(old, table.name, columns, key))
        if table.name == "entries":
            entries = new.total_changes - before
    return entries


def _columns_in_both(old: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[str]:
    try:
        theirs = {row[1] for row in old.execute(f"PRAGMA table_info({table})")}
    except sqlite3.DatabaseError:
        return []
    return [column for column in columns if column in theirs]


def _readable(
    old: sqlite3.Connection, table: str, columns: Sequence[str], key: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    """The rows of a table from both ends, as far as they can be read: a damaged page hides what lies behind it."""
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in key)
        query = f"SELECT {', '.join(columns)} FROM {table}" + (f" ORDER BY {order}" if order else "")  # noqa: S608
        try:
            yield from old.execute(query)
        except sqlite3.DatabaseError:
            continue
        return  # read to the other end


def _let_the_newest_live(new: sqlite3.Connection) -> None:
    new.execute("CREATE INDEX repair_keys ON entries (key, superseded_by)")
    newest = (
        "(SELECT max(other.run_id) FROM entries other WHERE other.key = entries.key AND other.superseded_by IS NULL)"
    )
    new.execute(
        f"UPDATE entries SET superseded_by = {newest} WHERE superseded_by IS NULL AND run_id < {newest}"  # noqa: S608
    )
    new.execute("DROP INDEX repair_keys")


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
