"""A ledger that is not what was written: finding out, and making one anew from what can still be read.

The damaged file is never written to, and stays beside the new one under another name.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from batchrunner.errors import LedgerError
from batchrunner.ledger import salvaging
from batchrunner.ledger.copies import notes_of
from batchrunner.ledger.database import saying
from batchrunner.ledger.schema import runs
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import State, Totals

PROBLEMS_TOLD = 20

LIVE_INDEX = "entries_live_key"

_KNOWN_STATES = ", ".join(str(int(state)) for state in State)
_ODD_ENTRIES = f"""SELECT count(*) FROM entries WHERE typeof(key) <> 'blob' OR length(key) <> 16
    OR typeof(request_id) <> 'blob' OR length(request_id) NOT IN (0, 16) OR state NOT IN ({_KNOWN_STATES})
    OR typeof(row_number) <> 'integer' OR typeof(requested_s) <> 'integer' OR typeof(lines_ahead) <> 'integer'"""  # noqa: S608


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
                database.text_factory = lambda raw: raw.decode("utf-8", "replace")
                found = database.execute(f"PRAGMA integrity_check({PROBLEMS_TOLD})").fetchall()
                database.text_factory = str
                return [text for (text,) in found if text != "ok"] or _unbelievable(database)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            return [str(error)]


def _unbelievable(database: sqlite3.Connection) -> list[str]:
    """What a database that is sound may still hold, and no ledger does."""
    told = []
    strays = "SELECT count(*) FROM entries WHERE run_id NOT IN (SELECT id FROM runs)"
    (stray,) = database.execute(strays).fetchone()
    if stray:
        told.append(f"{stray} entries belong to no run")
    (odd,) = database.execute(_ODD_ENTRIES).fetchone()
    if odd:
        told.append(f"{odd} entries hold what no entry can hold")
    columns = salvaging.columns_in_both(database, runs) or ["id"]
    rows = database.execute(f"SELECT {', '.join(columns)} FROM runs")  # noqa: S608  names of ours
    if odd_runs := sum(not salvaging.is_believable(runs, columns, row) for row in rows):
        told.append(f"{odd_runs} runs hold what no run can hold")
    return told


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


def newest_backup(path: Path) -> Path | None:
    """The newest backup that `ledger backup` made of this ledger, is still there and is sound."""
    notes = notes_of(path)
    noted = notes.read_bytes().splitlines() if notes.is_file() else []
    there = (Path(os.fsdecode(line)) for line in reversed(noted) if line)
    return next((one for one in there if one.is_file() and not problems_of(one)), None)


def repair(path: Path, backup: Path | None, mark: str) -> Repaired:
    """Make the ledger anew from a backup and whatever the damaged file still tells. Raises LedgerError.

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
        from_damaged = _from_damaged(new, path) if path.exists() else 0
        salvaging.let_one_live(new)
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
    with _copied(backup, new) as copy:
        SqlLedger(copy).close()
        with closing(sqlite3.connect(copy)) as old:
            return salvaging.copy_whole(old, new)


def _from_damaged(new: sqlite3.Connection, path: Path) -> int:
    with _copied(path, new) as copy, closing(sqlite3.connect(copy)) as old:
        return salvaging.add_what_can_be_believed(old, new)


@contextmanager
def _copied(path: Path, beside: sqlite3.Connection) -> Iterator[Path]:
    """A copy to work on: reading a ledger can change it."""
    ((_, _, folder),) = beside.execute("PRAGMA database_list").fetchmany(1)
    copy = Path(folder).with_name(f".{path.name}.{os.getpid()}.salvage")
    try:
        for end in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(path.with_name(path.name + end), copy.with_name(copy.name + end))
        yield copy
    finally:
        _remove(copy)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
