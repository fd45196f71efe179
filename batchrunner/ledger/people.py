"""What the ledger knows of people: who was engaged, or may have been."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, select

from batchrunner.ledger.codec import UPDATED
from batchrunner.ledger.schema import entries, live
from batchrunner.ledger.steps import find_steps
from batchrunner.model import Engaged, EntryRef, Importing, State, Step, Updating, Who

_IN_DOUBT = (int(State.CLAIMED), int(State.IN_DOUBT), int(State.RESEND))

# Keys begin with who they are about, so a person's keys lie side by side in the index.
_THEIRS = select(
    entries.c.run_id,
    entries.c.source_no,
    entries.c.row_number,
    entries.c.request_id,
    entries.c.state,
    entries.c.code,
    entries.c.requested_s,
).where(entries.c.key.between(bindparam("first"), bindparam("last")), live)


def find_engaged(connection: Connection, people: Collection[Who], since_ms: int) -> dict[Who, Engaged]:
    """Who of these was engaged by a request that was claimed no earlier, or may have been."""
    asked = str(_THEIRS.compile(dialect=connection.dialect))
    found: dict[Who, Engaged] = {}
    for who in sorted(set(people)):
        rows = connection.exec_driver_sql(asked, (bytes(who) + bytes(8), bytes(who) + b"\xff" * 8)).all()
        known = _known(connection, rows, since_ms // 1000) if rows else None
        if known is not None:
            found[who] = known
    return found


def _known(connection: Connection, rows: Collection[Any], since_s: int) -> Engaged | None:
    accepted = int(State.ACCEPTED)
    if any(row.state == accepted and row.code != UPDATED and row.requested_s > since_s for row in rows):
        return Engaged.CERTAINLY
    doubtful = {
        EntryRef(row.run_id, row.source_no, row.row_number): row.request_id for row in rows if row.state in _IN_DOUBT
    }
    if not doubtful:
        return None
    steps = find_steps(connection, doubtful)
    return None if all(_engaged_nobody(steps.get(ref)) for ref in doubtful) else Engaged.PERHAPS


def _engaged_nobody(step: Step | None) -> bool:
    return isinstance(step, Updating) or step == Importing(doubtful=False)
