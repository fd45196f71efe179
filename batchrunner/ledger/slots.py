"""Which slots of a job's schedule were fired: here, and not in any scheduler, a slot is made to fire once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from batchrunner.ledger.database import saying, transaction
from batchrunner.ledger.schema import notices, slots
from batchrunner.ledger.store import SqlLedger

FIRED = "fired"
PASSED = "passed"
"""No run of its own: it came before the schedule was known, or others were chosen instead."""

FINISHED = (0, 1, 5)
"""Exit codes of runs that came to the end of their rows."""


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """A slot that was fired or passed over."""

    job: str
    slot_s: int
    state: str
    claimed_ms: int
    passed_over: int
    run: str | None
    exit_code: int | None
    ended_ms: int | None


class Slots:
    """The memory of schedules, on an open ledger."""

    def __init__(self, ledger: SqlLedger) -> None:
        """Share the ledger's connection."""
        self._connection = ledger.connection
        self._path = ledger.path

    def last_s(self, job: str) -> int | None:
        """The job's latest slot that was fired or passed over."""
        with saying(self._path):
            found: int | None = self._connection.execute(
                select(func.max(slots.c.slot_s)).where(slots.c.job == job)
            ).scalar()
        return found

    def recent(self, job: str, limit: int) -> list[SlotRecord]:
        """The latest slots first."""
        query = select(slots).where(slots.c.job == job).order_by(slots.c.slot_s.desc()).limit(limit)
        with saying(self._path):
            return [_record(row) for row in self._connection.execute(query)]

    def claim(self, job: str, slot_s: int, now_ms: int, *, passed_over: int = 0) -> bool:
        """Make a slot one's own; False where somebody has it already. Durable on return."""
        return self._insert(job, slot_s, now_ms, FIRED, passed_over)

    def begin(self, job: str, slot_s: int, now_ms: int) -> None:
        """The schedule of a job is known from here on: this slot, and any before it, will not be fired."""
        self._insert(job, slot_s, now_ms, PASSED, 0)

    def _insert(self, job: str, slot_s: int, now_ms: int, state: str, passed_over: int) -> bool:
        values = {"job": job, "slot_s": slot_s, "state": state, "claimed_ms": now_ms, "passed_over": passed_over}
        with saying(self._path), transaction(self._connection):
            try:
                self._connection.execute(insert(slots).values(**values))
            except IntegrityError:
                return False
        return True

    def give_back(self, job: str, slot_s: int) -> None:
        """A claimed slot whose run could not begin is anybody's again."""
        with saying(self._path), transaction(self._connection):
            self._connection.execute(delete(slots).where(*_at(job, slot_s)))

    def end(self, job: str, slot_s: int, *, run: str | None, exit_code: int, now_ms: int) -> None:
        """What became of a fired slot."""
        values = {"run": run, "exit_code": exit_code, "ended_ms": now_ms}
        with saying(self._path), transaction(self._connection):
            self._connection.execute(update(slots).where(*_at(job, slot_s)).values(**values))

    def old(self, job: str, before_ms: int) -> int:
        """How many slots `forget` would forget."""
        with saying(self._path):
            found: int = self._connection.execute(select(func.count()).where(*self._old(job, before_ms))).scalar_one()
        return found

    def forget(self, job: str, before_ms: int) -> int:
        """Slots that were claimed before a moment go; how many."""
        these = self._old(job, before_ms)
        with saying(self._path), transaction(self._connection):
            return self._connection.execute(delete(slots).where(*these)).rowcount

    def _old(self, job: str, before_ms: int) -> list[ColumnElement[bool]]:
        """Without the job's last slot, or those before it would be due again; nor the last that went well."""
        these = [slots.c.job == job, slots.c.claimed_ms < before_ms, slots.c.slot_s != self.last_s(job)]
        well_ms = self.last_finished_ms(job)
        return these if well_ms is None else [*these, slots.c.ended_ms.is_distinct_from(well_ms)]

    def last_finished_ms(self, job: str) -> int | None:
        """When a slot of the job last ended with a run that came to the end of its rows."""
        finished = slots.c.job == job, slots.c.exit_code.in_(FINISHED)
        with saying(self._path):
            found: int | None = self._connection.execute(select(func.max(slots.c.ended_ms)).where(*finished)).scalar()
        return found

    # --- what somebody was told --------------------------------------------------------------------

    def last_event(self, job: str) -> str | None:
        """What kind of event the job's last run was; None before the first."""
        with saying(self._path):
            found: str | None = self._connection.execute(select(notices.c.event).where(notices.c.job == job)).scalar()
        return found

    def note_event(self, job: str, event: str, now_ms: int) -> None:
        """From now on this is the job's last event."""
        with saying(self._path), transaction(self._connection):
            self._connection.execute(delete(notices).where(notices.c.job == job))
            self._connection.execute(insert(notices).values(job=job, event=event, at_ms=now_ms))


def _at(job: str, slot_s: int) -> tuple[ColumnElement[bool], ...]:
    return slots.c.job == job, slots.c.slot_s == slot_s


def _record(row: Row[Any]) -> SlotRecord:
    return SlotRecord(**row._mapping)  # noqa: SLF001  the documented way to a row's columns
