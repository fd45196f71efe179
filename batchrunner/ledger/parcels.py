"""What the ledger keeps of requests about many profiles, and of how a platform wants to be asked about them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.schema import entries, parcels, shapes, tasks
from batchrunner.ledger.statements import HERE, Writing
from batchrunner.model import Claim, ParcelRecord, RequestId, RunId, Shape, TaskRecord
from batchrunner.ports import Onward

IDS_A_QUERY = 500

_GO_ON = update(entries).where(*HERE).values(request_id=bindparam("request"), requested_s=bindparam("requested"))
_GO_ON_ORDER = ("request", "requested", "run", "source", "row")


class OnwardStatements:
    """What is written row by row of claims that go on, on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Compile it."""
        self.connection = connection
        self.go_on = Writing(connection, _GO_ON, _GO_ON_ORDER)


def note_onward(statements: OnwardStatements, run: RunId, onward: Onward) -> None:
    """Inside the caller's transaction: claims under their new Request-IDs, and parcels that are new."""
    connection = statements.connection
    if onward.claims:
        statements.go_on(_going_on(run, claim) for claim in onward.claims)
    if onward.parcels:
        values = [
            {
                "request_id": codec.pack_request_id(one.request_id),
                "run_id": run,
                "rows": one.rows,
                "digest": one.digest,
            }
            for one in onward.parcels
        ]
        connection.execute(insert(parcels), values)
    if onward.tasks:
        connection.execute(insert(tasks), [_task_values(run, one) for one in onward.tasks])


def _task_values(run: RunId, one: TaskRecord) -> dict[str, object]:
    return {
        "run_id": run,
        "request_id": codec.pack_request_id(one.request_id),
        "task": one.task,
        "rows": one.rows,
        "first_source": one.first[0],
        "first_row": one.first[1],
        "last_source": one.last[0],
        "last_row": one.last[1],
    }


def find_tasks(connection: Connection, run: RunId) -> list[TaskRecord]:
    """What the platform has queued of a run, in file order."""
    query = select(tasks).where(tasks.c.run_id == run).order_by(tasks.c.first_source, tasks.c.first_row)
    return [
        TaskRecord(
            row.task,
            codec.unpack_request_id(row.request_id),
            row.rows,
            (row.first_source, row.first_row),
            (row.last_source, row.last_row),
        )
        for row in connection.execute(query)
    ]


def _going_on(run: RunId, claim: Claim) -> tuple[Any, ...]:
    request = codec.pack_request_id(claim.request_id)
    return request, claim.requested_at_ms // 1000, run, claim.source_no, claim.request.row.number


def find_parcels(connection: Connection, request_ids: Collection[RequestId]) -> dict[RequestId, ParcelRecord]:
    """Which of these Request-IDs were those of parcels."""
    wanted = sorted({codec.pack_request_id(one) for one in request_ids})
    found: dict[RequestId, ParcelRecord] = {}
    for start in range(0, len(wanted), IDS_A_QUERY):
        query = select(parcels).where(parcels.c.request_id.in_(wanted[start : start + IDS_A_QUERY]))
        for row in connection.execute(query):
            request_id = codec.unpack_request_id(row.request_id)
            found[request_id] = ParcelRecord(request_id, row.rows, row.digest)
    return found


def knows_shape(connection: Connection, shape: Shape) -> bool:
    """Whether an answer to a request of this shape was ever understood."""
    return connection.execute(select(shapes.c.since_ms).where(*_is(shape))).first() is not None


def note_shape(connection: Connection, shape: Shape, now_ms: int) -> None:
    """Inside the caller's transaction: remember that it was."""
    if not knows_shape(connection, shape):
        values = {
            "installation": shape.installation,
            "endpoint": shape.endpoint,
            "written": shape.written,
            "since_ms": now_ms,
        }
        connection.execute(insert(shapes).values(**values))


def _is(shape: Shape) -> tuple[ColumnElement[bool], ...]:
    return (
        shapes.c.installation == shape.installation,
        shapes.c.endpoint == shape.endpoint,
        shapes.c.written == shape.written,
    )
