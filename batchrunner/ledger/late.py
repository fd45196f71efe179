"""Answers that came after their run had ended, and the rows that they are about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.database import saying, transaction
from batchrunner.ledger.schema import entries, live, parcels, runs, unfinished
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import Accepted, Outcome, Rejected, RequestId, State

IDS_A_QUERY = 500

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Request-IDs are canonical. Others send through the same queues with ids of their own kind."""


Late = Accepted | Rejected | None | Sequence[Outcome]
"""What an answer says: of the one row that was sent, of each row of a parcel in their order, or nothing that counts."""


def canonical(request_ids: Iterable[str]) -> list[RequestId]:
    """Those of the ids that may be ours."""
    return [RequestId(one) for one in request_ids if _UUID.fullmatch(one)]


def settle_answers(ledger: SqlLedger, job: str, answers: Mapping[RequestId, Late]) -> tuple[Collection[RequestId], int]:
    """Settle rows in doubt by their answers; None stands for one that settles nothing. Durable on return.

    Gives back the ids that rows of this job were sent under, and how many rows were settled. A row that a person has
    decided about, or that another one has taken the place of, stays as it is; so do the rows of a parcel that is not
    whole any more, for then it cannot be told which of its outcomes is whose.
    """
    packed = {codec.pack_request_id(one): one for one in canonical(answers)}
    with saying(ledger.path), transaction(ledger.connection):
        settled = 0
        doubtful = _doubtful(ledger.connection, job, list(packed))
        together = {row.request_id for row in doubtful if isinstance(answers[packed[row.request_id]], Sequence)}
        places = _places_in(ledger.connection, job, sorted(together))
        for row in doubtful:
            said = answers[packed[row.request_id]]
            outcome = _of_row(row, said, places) if isinstance(said, Sequence) else said
            if isinstance(outcome, Accepted | Rejected):
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


Where = tuple[int, int, int]
"""Of an entry: run, source, row."""


def _places_in(connection: Connection, job: str, ids: Sequence[bytes]) -> dict[bytes, list[Where]]:
    """The rows that were sent under each id, in the order of their parcel, as far as nothing has taken their place."""
    columns = entries.c.request_id, entries.c.run_id, entries.c.source_no, entries.c.row_number
    found: dict[bytes, list[Where]] = {}
    for some in _slices(ids):
        query = select(*columns).where(entries.c.request_id.in_(some), live, _of_job(job))
        for request_id, *where in connection.execute(query.order_by(*columns[1:])):
            found.setdefault(request_id, []).append((where[0], where[1], where[2]))
    return found


def _of_row(row: Any, said: Sequence[Outcome], places: Mapping[bytes, list[Where]]) -> Outcome | None:  # noqa: ANN401
    parcel = places.get(row.request_id, [])
    whole = len(parcel) == len(said) and len({run for run, _, _ in parcel}) == 1
    return said[parcel.index((row.run_id, row.source_no, row.row_number))] if whole else None


def _known(connection: Connection, job: str, ids: Sequence[bytes]) -> list[bytes]:
    """A walk through the job's entries: there is no index, and late answers are rare."""
    found: list[bytes] = []
    for some in _slices(ids):
        query = select(entries.c.request_id).where(entries.c.request_id.in_(some), _of_job(job))
        found += connection.execute(query).scalars()
        # A parcel that was refused whole went on under other ids.
        mine = parcels.c.run_id.in_(select(runs.c.id).where(runs.c.job == job))
        found += connection.execute(select(parcels.c.request_id).where(parcels.c.request_id.in_(some), mine)).scalars()
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
