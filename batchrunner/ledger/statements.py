"""The statements of the straight way: written once in SQLAlchemy Core, compiled once, run with plain tuples.

Compiling and unpacking each time would cost more than the database itself takes, so the driver is given them directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, false, insert, literal_column, null, select, update
from sqlalchemy.sql.dml import Delete, Insert, Update

from batchrunner.ledger import codec
from batchrunner.ledger.database import driver_of
from batchrunner.ledger.schema import entries, live, runs
from batchrunner.model import EntryRef, Key, State
from batchrunner.ports import Standing

KEYS_A_QUERY = 500
"""Keys asked for at once: enough to share the cost of a statement, below every database's limit on parameters."""

# Constants are written into the text, so that callers' tuples go to the driver untouched.
INSERT_CLAIM = insert(entries).values(
    run_id=bindparam("run"),
    source_no=bindparam("source"),
    row_number=bindparam("row"),
    lines_ahead=bindparam("ahead"),
    key=bindparam("key_"),
    request_id=bindparam("request"),
    requested_s=bindparam("requested"),
    profile_id=bindparam("profile"),
    state=literal_column(str(int(State.CLAIMED))),
    replayed=false(),
    attempts=literal_column("0"),
)
CLAIM_ORDER = ("run", "source", "row", "ahead", "key_", "request", "requested", "profile")

HERE = (
    entries.c.run_id == bindparam("run"),
    entries.c.source_no == bindparam("source"),
    entries.c.row_number == bindparam("row"),
)
"""The entry that a statement is about."""

SETTLE = (
    update(entries)
    .where(*HERE)
    .values(
        state=bindparam("state_"),
        code=bindparam("code_"),
        profile_id=bindparam("profile"),
        replayed=bindparam("replayed_"),
        attempts=bindparam("attempts_"),
    )
)
SETTLE_ORDER = ("state_", "code_", "profile", "replayed_", "attempts_", "run", "source", "row")

ACCEPT = (
    update(entries)
    .where(*HERE)
    .values(
        state=literal_column(str(int(State.ACCEPTED))),
        code=null(),
        profile_id=bindparam("profile"),
        replayed=false(),
        attempts=literal_column("1"),
    )
)
"""`SETTLE` for what nearly every row ends as: only the profile id is its own. Half the values cost a quarter less."""
ACCEPT_ORDER = ("profile", "run", "source", "row")

TAKE_OVER = update(entries).where(*HERE).values(superseded_by=bindparam("by"))
TAKE_OVER_ORDER = ("by", "run", "source", "row")

NOTE_TOTALS = update(runs).where(runs.c.id == bindparam("run")).values(totals=bindparam("totals_"))
NOTE_TOTALS_ORDER = ("totals_", "run")

STANDING = (
    entries.c.key,
    entries.c.run_id,
    entries.c.source_no,
    entries.c.row_number,
    entries.c.state,
    entries.c.request_id,
    entries.c.requested_s,
    entries.c.replayed,
)

_STATES = {int(state): state for state in State}


def as_standing(row: Sequence[Any]) -> Standing:
    """A row of `STANDING` as the gate sees it."""
    _, run_id, source_no, row_number, state, request_id, requested_s, replayed = row
    return Standing(
        EntryRef(run_id, source_no, row_number),
        _STATES[state],
        codec.unpack_request_id(request_id),
        requested_s * 1000,
        bool(replayed),
    )


class Writing:
    """A statement that changes rows."""

    def __init__(self, connection: Connection, statement: Insert | Update | Delete, order: Sequence[str]) -> None:
        """`order` names the bind parameters in the order in which callers give values."""
        compiled = statement.compile(dialect=connection.dialect)
        if tuple(compiled.positiontup or ()) != tuple(order):
            raise RuntimeError(f"the database wants {compiled.positiontup}, and callers give {order}")
        self._driver = driver_of(connection)
        self._text = str(compiled)

    def __call__(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Run the statement for each tuple of values, as one `executemany`."""
        self._driver.executemany(self._text, values)


class AskingForKeys:
    """The question of the gate, how each of some keys stands."""

    def __init__(self, connection: Connection) -> None:
        """The statement is compiled when it is first wanted."""
        self._connection = connection
        self._driver = driver_of(connection)
        self._text: str | None = None

    def __call__(self, keys: Sequence[Key]) -> dict[Key, Standing]:
        """The standing of each known key. `keys` are distinct and in order, for neighbours share pages of the index."""
        found: dict[Key, Standing] = {}
        for start in range(0, len(keys), KEYS_A_QUERY):
            asked = tuple(keys[start : start + KEYS_A_QUERY])
            # One text for all: the last question is filled up with its last key.
            asked += asked[-1:] * (KEYS_A_QUERY - len(asked))
            rows = self._driver.execute(self._statement(), asked)
            found.update((row[0], as_standing(row)) for row in rows)
        return found

    def _statement(self) -> str:
        if self._text is None:
            query = select(*STANDING).where(entries.c.key.in_([bindparam("key_")]), live)
            for_one = str(query.compile(dialect=self._connection.dialect))
            # Written out here: to compile hundreds of places takes longer than the first question itself.
            self._text = for_one.replace("(?)", f"({', '.join('?' * KEYS_A_QUERY)})")
        return self._text


class Statements:
    """All statements of the straight way on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Compile them."""
        self.insert_claims = Writing(connection, INSERT_CLAIM, CLAIM_ORDER)
        self.accept = Writing(connection, ACCEPT, ACCEPT_ORDER)
        self.settle = Writing(connection, SETTLE, SETTLE_ORDER)
        self.take_over = Writing(connection, TAKE_OVER, TAKE_OVER_ORDER)
        self.note_totals = Writing(connection, NOTE_TOTALS, NOTE_TOTALS_ORDER)
        self.standing = AskingForKeys(connection)
