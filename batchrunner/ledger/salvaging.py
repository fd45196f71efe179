"""Two ledgers become one: what a backup knows, and what a damaged file still tells and can be believed.

A damaged page may hold numbers that never were. So nobody whom the backup knows is forgotten for what the file says:
of an entry that both have, the file may only say how it went on. What contradicts the backup, and what belongs to no
run that can be read, is kept under a run of its own (`LOST`): the gate asks for keys, not for runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, SmallInteger, Table

from batchrunner.ledger import codec
from batchrunner.ledger.schema import entries, metadata, runs, schema_version, stretches
from batchrunner.model import State, Totals

LOST = "lost"
"""The name, and the job, of the run under which entries are kept whose own run cannot be read."""

_WHOLE_NUMBERS = (Integer, BigInteger, SmallInteger, Boolean)
_LARGEST = 1 << 62
_KEY_BYTES = 16
_REQUEST_ID_BYTES = (0, 16)
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the latter where SQLite's own words quote what it found."""

_STATES = frozenset(int(state) for state in State)
_ACCEPTED = int(State.ACCEPTED)

_STAYS_AS_IT_WAS = frozenset({"sources", "mappings", "parcels"})
"""Tables whose rows never change: what a sound backup says of them is so."""

_FOUND = "found_entries"
_SAME_PLACE = "old.run_id = found.run_id AND old.source_no = found.source_no AND old.row_number = found.row_number"


def copy_whole(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Copy a sound ledger into an empty one; how many entries it has."""
    for table in _tables():
        columns = columns_in_both(old, table)
        if columns:
            query = f"SELECT {', '.join(columns)} FROM {table.name}"  # noqa: S608  names of ours
            new.executemany(_insert("REPLACE", table.name, columns), old.execute(query))
    (count,) = new.execute("SELECT count(*) FROM entries").fetchone()
    return int(count)


def add_what_can_be_believed(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Add what a damaged ledger still tells; how many entries it told of."""
    old.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for table in _tables():
        columns = columns_in_both(old, table)
        if columns and table is not entries:
            # A run that the backup has under this number, and another one: the number cannot be believed.
            rows = (row for row in _readable(old, table, columns) if table is not runs or _same_run(new, columns, row))
            how = "IGNORE" if table.name in _STAYS_AS_IT_WAS else "REPLACE"
            new.executemany(_insert(how, table.name, columns), rows)
    return _add_entries(old, new)


def _add_entries(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    columns = columns_in_both(old, entries)
    if not columns:
        return 0
    names = ", ".join(columns)
    new.execute(f"CREATE TEMP TABLE {_FOUND} AS SELECT {names} FROM entries WHERE 0")  # noqa: S608  names of ours
    new.executemany(_insert("REPLACE", _FOUND, columns), _readable(old, entries, columns))
    (count,) = new.execute(f"SELECT count(*) FROM {_FOUND}").fetchone()  # noqa: S608
    theirs = "EXISTS (SELECT 1 FROM runs WHERE runs.id = found.run_id)"
    against = f"(old.key <> found.key OR (old.state = {_ACCEPTED} AND found.state <> {_ACCEPTED}))"
    contradicted = f"EXISTS (SELECT 1 FROM entries old WHERE {_SAME_PLACE} AND {against})"  # noqa: S608
    new.execute(
        f"INSERT OR REPLACE INTO entries ({names}) SELECT {names} FROM {_FOUND} found "  # noqa: S608
        f"WHERE {theirs} AND NOT {contradicted}"
    )
    _keep_the_lost(new, columns)
    new.execute(f"DROP TABLE {_FOUND}")
    return int(count)


def _keep_the_lost(new: sqlite3.Connection, columns: Sequence[str]) -> None:
    """Entries with keys that nobody else tells of, and that could not be put in their own place."""
    unknown = "NOT EXISTS (SELECT 1 FROM entries WHERE entries.key = found.key)"
    new.execute("CREATE INDEX repair_all_keys ON entries (key)")
    (lost,) = new.execute(f"SELECT count(*) FROM {_FOUND} found WHERE {unknown}").fetchone()  # noqa: S608
    if lost:
        run, at_ms = new.execute("SELECT coalesce(max(id), 0) + 1, coalesce(max(started_ms), 0) FROM runs").fetchone()
        new.execute(
            "INSERT INTO runs (id, name, job, verb, started_ms, ended_ms, ending, totals, installation) "
            "VALUES (?, ?, ?, 'run', ?, ?, 'died', ?, '')",
            (run, f"{LOST}-{run}", LOST, at_ms, at_ms, codec.pack_totals(Totals())),
        )
        own = {"run_id": str(int(run)), "source_no": "1", "row_number": "rowid"}
        values = ", ".join(own.get(column, column) for column in columns)
        new.execute(
            f"INSERT OR IGNORE INTO entries ({', '.join(columns)}) SELECT {values} FROM {_FOUND} found "  # noqa: S608
            f"WHERE {unknown}"
        )
    new.execute("DROP INDEX repair_all_keys")


def let_one_live(new: sqlite3.Connection) -> None:
    """Of several live entries of a key one stays: what was accepted, then the newest. None is hidden by nothing."""
    new.execute(
        "UPDATE entries SET superseded_by = NULL WHERE superseded_by IS NOT NULL AND "
        "(superseded_by < run_id OR superseded_by NOT IN (SELECT id FROM runs))"
    )
    new.execute("CREATE INDEX repair_keys ON entries (key, superseded_by)")
    # What was accepted is taken over by another ask for the same only.
    alone = "NOT EXISTS (SELECT 1 FROM entries other WHERE other.key = entries.key AND other.superseded_by IS NULL)"
    hidden = f"superseded_by IS NOT NULL AND state = {_ACCEPTED}"
    new.execute(f"UPDATE entries SET superseded_by = NULL WHERE {hidden} AND {alone}")  # noqa: S608
    order = f"PARTITION BY key ORDER BY state = {_ACCEPTED} DESC, run_id DESC, source_no DESC, row_number DESC"
    doubles = "SELECT key FROM entries WHERE superseded_by IS NULL GROUP BY key HAVING count(*) > 1"
    others = new.execute(
        f"SELECT winner, run_id, source_no, row_number FROM (SELECT run_id, source_no, row_number, "  # noqa: S608
        f"first_value(run_id) OVER ({order}) AS winner, row_number() OVER ({order}) AS place FROM entries "
        f"WHERE superseded_by IS NULL AND key IN ({doubles})) WHERE place > 1"
    ).fetchall()
    new.executemany(
        "UPDATE entries SET superseded_by = ? WHERE run_id = ? AND source_no = ? AND row_number = ?", others
    )
    new.execute("DROP INDEX repair_keys")


# --- what can be believed ------------------------------------------------------------------------


def is_believable(table: Table, columns: Sequence[str], row: Sequence[object]) -> bool:
    """Whether a row holds what the ledger writes in such a row."""
    values = dict(zip(columns, row, strict=True))
    if not all(_has_type(table, column, value) for column, value in values.items()):
        return False
    if table is entries:
        asked, key = values["request_id"], values["key"]
        return (
            isinstance(key, bytes) and len(key) == _KEY_BYTES
            and isinstance(asked, bytes) and len(asked) in _REQUEST_ID_BYTES
            and values["state"] in _STATES
        )  # fmt: skip
    return table is not runs or _is_totals(values.get("totals", "{}"))


def _has_type(table: Table, name: str, value: object) -> bool:
    column = table.columns[name]
    if value is None:
        return bool(column.nullable)
    if isinstance(column.type, _WHOLE_NUMBERS):
        return isinstance(value, int) and -_LARGEST < value < _LARGEST
    return isinstance(value, bytes if isinstance(column.type, LargeBinary) else str)


def _is_totals(text: object) -> bool:
    try:
        codec.unpack_totals(str(text))
    except msgspec.MsgspecError:
        return False
    return True


def _same_run(new: sqlite3.Connection, columns: Sequence[str], row: Sequence[object]) -> bool:
    values = dict(zip(columns, row, strict=True))
    known = new.execute(
        "SELECT id, name, job FROM runs WHERE id = ? OR name = ?", (values["id"], values["name"])
    ).fetchall()
    return all(one == (values["id"], values["name"], values["job"]) for one in known)


# --- reading -------------------------------------------------------------------------------------


def _tables() -> list[Table]:
    # Stretches are noted again by the next run; where two files are put together, they might mean other entries.
    return [table for table in metadata.sorted_tables if table not in (schema_version, stretches)]


def _insert(how: str, table: str, columns: Sequence[str]) -> str:
    places = ", ".join("?" * len(columns))
    return f"INSERT OR {how} INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  names of ours


def columns_in_both(old: sqlite3.Connection, table: Table) -> list[str]:
    """Empty where a column is missing without which there is no row."""
    theirs: set[str] = set()
    with suppress(*_UNREADABLE):
        theirs = {row[1] for row in old.execute(f"PRAGMA table_info({table.name})")}
    if any(not column.nullable and column.name not in theirs for column in table.columns):
        return []
    return [column.name for column in table.columns if column.name in theirs]


def _readable(old: sqlite3.Connection, table: Table, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """The rows of a table from both ends, as far as they can be read: a damaged page hides what lies behind it."""
    key = [column.name for column in table.primary_key.columns]
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in key)
        query = f"SELECT {', '.join(columns)} FROM {table.name}" + (f" ORDER BY {order}" if order else "")  # noqa: S608
        try:
            yield from (row for row in old.execute(query) if is_believable(table, columns, row))
        except _UNREADABLE:
            continue
        return  # read to the other end
