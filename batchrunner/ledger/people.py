"""What the ledger knows of people: when they were served last, who was engaged, or may have been.

Asked for thousands of people of a run, each a range of the index of keys: the questions are compiled once, and given to
the driver itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal_column, select

from batchrunner.ledger.codec import UPDATED
from batchrunner.ledger.database import driver_of
from batchrunner.ledger.schema import entries, live
from batchrunner.ledger.steps import find_steps
from batchrunner.model import Engaged, EntryRef, Importing, RunId, State, Step, Updating, Who

_IN_DOUBT = (int(State.CLAIMED), int(State.IN_DOUBT), int(State.RESEND))

_LOWEST, _HIGHEST = bytes(8), b"\xff" * 8
# Keys begin with who they are about, so a person's keys lie side by side in the index.
_THEIRS = entries.c.key.between(bindparam("first"), bindparam("last"))

_ENTRIES = select(
    entries.c.run_id,
    entries.c.source_no,
    entries.c.row_number,
    entries.c.request_id,
    entries.c.state,
    entries.c.code,
    entries.c.requested_s,
).where(_THEIRS, live)

_Entry = tuple[int, int, int, bytes, int, str | None, int]
"""A row of `_ENTRIES`."""


class AskingForPeople:
    """What is asked about people, on one connection."""

    def __init__(self, connection: Connection) -> None:
        """A question is compiled when it is first asked."""
        self._connection = connection
        self._driver = driver_of(connection)
        self._texts: dict[tuple[int, ...], str] = {}

    def last(self, people: Collection[Who], states: Collection[State]) -> dict[Who, RunId]:
        """The latest run in which something about a person ended in one of these states; others are absent."""
        text = self._text(tuple(map(int, states)))
        found: dict[Who, RunId] = {}
        for who in sorted(set(people)):
            ((last,),) = self._driver.execute(text, (who + _LOWEST, who + _HIGHEST)).fetchall()
            if last is not None:
                found[who] = RunId(last)
        return found

    def engaged(self, people: Collection[Who], since_ms: int) -> dict[Who, Engaged]:
        """Who of these was engaged by a request that was claimed no earlier, or may have been."""
        text, ask = self._text(()), self._driver.execute
        theirs: dict[Who, list[_Entry]] = {}
        # In order, as the gate asks: neighbours share pages of the index.
        for who in sorted(set(people)):
            if rows := ask(text, (who + _LOWEST, who + _HIGHEST)).fetchall():
                theirs[who] = rows
        certain = {who for who, rows in theirs.items() if _engaged(rows, since_ms // 1000)}
        doubtful = {who: _doubtful(rows) for who, rows in theirs.items() if who not in certain}
        steps = find_steps(self._connection, {ref: asked for refs in doubtful.values() for ref, asked in refs.items()})
        perhaps = {who for who, refs in doubtful.items() if not all(_engaged_nobody(steps.get(ref)) for ref in refs)}
        return dict.fromkeys(certain, Engaged.CERTAINLY) | dict.fromkeys(perhaps, Engaged.PERHAPS)

    def _text(self, states: tuple[int, ...]) -> str:
        """Of the question for the last run with one of these states; with none, for all entries of a person."""
        if states not in self._texts:
            query: Select[Any] = _ENTRIES
            if states:
                so_it_ended = entries.c.state.in_([literal_column(str(state)) for state in states])
                query = select(func.max(entries.c.run_id)).where(_THEIRS, live, so_it_ended)
            self._texts[states] = str(query.compile(dialect=self._connection.dialect))
        return self._texts[states]


def _engaged(rows: Sequence[_Entry], since_s: int) -> bool:
    accepted = int(State.ACCEPTED)
    return any(state == accepted and code != UPDATED and requested_s > since_s for *_, state, code, requested_s in rows)


def _doubtful(rows: Sequence[_Entry]) -> Mapping[EntryRef, bytes]:
    return {
        EntryRef(RunId(run), source_no, row_number): request_id
        for run, source_no, row_number, request_id, state, *_ in rows
        if state in _IN_DOUBT
    }


def _engaged_nobody(step: Step | None) -> bool:
    return isinstance(step, Updating) or step == Importing(doubtful=False)
