"""Answers that came after their run had ended, and the rows that they are about."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.database import saying, transaction
from batchrunner.ledger.schema import entries, live, runs, unfinished
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import Accepted, Rejected, RequestId, State

IDS_A_QUERY = 500

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Request-IDs are canonical. Others send through the same queues with ids of their own kind."""


def settle_answers(
    ledger: SqlLedger, job: str, answers: Mapping[RequestId, Accepted | Rejected | None]
) -> tuple[Collection[RequestId], int]:
    """Settle rows in doubt by their answers; None stands for one that settles nothing. Durable on return.

    Gives back the ids that rows of this job were sent under, and how many rows were settled. A row that a person has
    decided about, or that another one has taken the place of, stays as it is.
    """
    packed = {codec.pack_request_id(one): one for one in answers if _UUID.fullmatch(one)}
    with saying(ledger.path), transaction(ledger.connection):
        settled = 0
        for row in _doubtful(ledger.connection, job, list(packed)):
            outcome = answers[packed[row.request_id]]
            if outcome is not None:
                ledger.connection.execute(update(entries).where(*_place(row)).values(**_ending(outcome)))
                settled += 1
        known = {packed[one] for one in _known(ledger.connection, job, list(packed))}
    return known, settled


def _doubtful(connection: Connection, job: str, ids: Sequence[bytes]) -> list[Any]:
    """By way of the index of unfinished rows: there are few."""
    columns = entries.c.run_id, entries.c.source_no, entries.c.row_number, entries.c.request_id
    found: list[Any] = []
    for some in _slices(ids):
        mine = and_(unfinished, live, entries.c.state == int(State.IN_DOUBT), entries.c.request_id.in_(some))
        found += connection.execute(select(*columns).where(mine, _of_job(job))).all()
    return found


def _known(connection: Connection, job: str, ids: Sequence[bytes]) -> list[bytes]:
    """A walk through the job's entries: there is no index, and late answers are rare."""
    found: list[bytes] = []
    for some in _slices(ids):
        query = select(entries.c.request_id).where(entries.c.request_id.in_(some), _of_job(job))
        found += connection.execute(query).scalars()
    return found


def _of_job(job: str) -> Any:  # noqa: ANN401  a condition
    return entries.c.run_id.in_(select(runs.c.id).where(runs.c.job == job))


def _slices(ids: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [ids[start : start + IDS_A_QUERY] for start in range(0, len(ids), IDS_A_QUERY)]


def _place(row: Any) -> tuple[Any, ...]:  # noqa: ANN401  a row of the query above
    return (
        entries.c.run_id == row.run_id,
        entries.c.source_no == row.source_no,
        entries.c.row_number == row.row_number,
    )


def _ending(outcome: Accepted | Rejected) -> dict[str, object]:
    match outcome:
        case Accepted(profile_id):
            packed = codec.pack_profile_id(profile_id)
            return {"state": int(State.ACCEPTED), "code": None, "profile_id": packed}
        case Rejected(code):
            return {"state": int(State.REJECTED), "code": code[:40], "profile_id": None}
