"""What the ledger keeps of rows that do not go by the job's own call: at which step each stands.

A note lives as long as its entry is under way or in doubt: of a row that has ended, nobody asks by which way it went.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, insert, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.schema import entries, steps
from batchrunner.ledger.statements import Writing
from batchrunner.model import Claim, EntryRef, Importing, InDoubt, RunId, Settled, Starting, Step, Updating

ROWS_A_QUERY = 500

_IMPORTING, _STARTING, _UPDATING = 1, 2, 3
"""Stored: never reuse one."""

_HERE = and_(
    steps.c.run_id == bindparam("run"),
    steps.c.source_no == bindparam("source"),
    steps.c.row_number == bindparam("row"),
)
_HERE_ORDER = ("run", "source", "row")
_OVER = delete(steps).where(_HERE)
_BEGIN = insert(steps).values(
    run_id=bindparam("run"),
    source_no=bindparam("source"),
    row_number=bindparam("row"),
    request_id=bindparam("request"),
    step=bindparam("to"),
    doubtful=bindparam("doubt"),
    profile_id=bindparam("profile"),
)
_BEGIN_ORDER = (*_HERE_ORDER, "request", "to", "doubt", "profile")
_GO_ON = (
    update(steps)
    .where(_HERE)
    .values(request_id=bindparam("request"), step=bindparam("to"), profile_id=bindparam("profile"))
)
_GO_ON_ORDER = ("request", "to", "profile", *_HERE_ORDER)


class StepStatements:
    """What is written of steps, on one connection: compiled once, run with plain tuples."""

    def __init__(self, connection: Connection) -> None:
        """Compile it."""
        self.over = Writing(connection, _OVER, _HERE_ORDER)
        self.begin = Writing(connection, _BEGIN, _BEGIN_ORDER)
        self.go_on = Writing(connection, _GO_ON, _GO_ON_ORDER)


def only_importing() -> ColumnElement[bool]:
    """A condition on entries: no more than the import of two steps was under way, and nothing before it is in doubt."""
    here = [getattr(steps.c, name) == getattr(entries.c, name) for name in ("run_id", "source_no", "row_number")]
    same = steps.c.request_id == entries.c.request_id
    return exists().where(*here, same, steps.c.step == _IMPORTING, steps.c.doubtful.is_(False))


def note_steps(
    statements: StepStatements,
    run: RunId,
    settled: Iterable[Settled],
    claims: Sequence[Claim],
    onward: Iterable[Claim],
) -> None:
    """Inside the caller's transaction: steps that are begun, those that follow on them, and those that are over."""
    over = [_of(run, one.claim) for one in settled if one.claim.step and not isinstance(one.outcome, InDoubt)]
    over += [(ref.run, ref.source_no, ref.row_number) for one in claims for ref in one.takes_over]
    if over:
        statements.over(over)
    if begun := [_values(run, claim, claim.step) for claim in claims if claim.step]:
        statements.begin(begun)
    if further := [_going_on(run, claim, claim.step) for claim in onward if claim.step]:
        statements.go_on(further)


def find_steps(connection: Connection, entries: Mapping[EntryRef, bytes]) -> dict[EntryRef, Step]:
    """At which step these entries stand, which are given with their Request-IDs."""
    found: dict[EntryRef, Step] = {}
    ordered = sorted(entries, key=lambda ref: (ref.run, ref.source_no, ref.row_number))
    for (run, source_no), refs in groupby(ordered, key=lambda ref: (ref.run, ref.source_no)):
        rows = [ref.row_number for ref in refs]
        for start in range(0, len(rows), ROWS_A_QUERY):
            some = rows[start : start + ROWS_A_QUERY]
            here = and_(steps.c.run_id == run, steps.c.source_no == source_no, steps.c.row_number.in_(some))
            for row in connection.execute(select(steps).where(here)):
                ref = EntryRef(run, source_no, row.row_number)
                if entries[ref] == row.request_id:
                    found[ref] = _step(row)
    return found


def _of(run: RunId, claim: Claim) -> tuple[int, int, int]:
    return run, claim.source_no, claim.request.row.number


def _values(run: RunId, claim: Claim, step: Step) -> tuple[Any, ...]:
    doubtful = isinstance(step, Importing) and step.doubtful
    return (*_of(run, claim), codec.pack_request_id(claim.request_id), _number(step), doubtful, _profile_id(step))


def _going_on(run: RunId, claim: Claim, step: Step) -> tuple[Any, ...]:
    return (codec.pack_request_id(claim.request_id), _number(step), _profile_id(step), *_of(run, claim))


def _number(step: Step) -> int:
    match step:
        case Importing():
            return _IMPORTING
        case Starting():
            return _STARTING
        case Updating():
            return _UPDATING
        case _:
            assert_never(step)


def _profile_id(step: Step) -> str | None:
    return step.profile_id if isinstance(step, Starting) else None


def _step(row: Any) -> Step:  # noqa: ANN401  a row of `steps`
    if row.step == _STARTING:
        return Starting(row.profile_id)
    return Importing(doubtful=row.doubtful) if row.step == _IMPORTING else Updating()
