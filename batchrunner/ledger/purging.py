"""Forgetting: what old runs left in the ledger goes, and no answer of the gate changes by it.

    history         entries whose place a later one has taken                                   deleted
    forgotten       accepted longer ago than the job's `repeat_after`                           deleted
    remembered      other accepted entries: profile id and Request-ID go, the digest stays      stripped
    unfinished      rejected, failed, in doubt: somebody still has to decide                    kept

A run that has no entries left goes with its sources, but for the job's last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, true, update

from batchrunner.ledger.database import saying, transaction
from batchrunner.ledger.schema import entries, live, loads, runs, sources, steps, stretches, tasks, unfinished
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import RunId, State

ENTRIES_AT_ONCE = 10_000
"""In one transaction: other jobs on the same ledger wait for milliseconds only."""

STRIPPED = b""
"""In place of the Request-ID of an accepted entry: it will never be sent again."""


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run that ended before the moment up to which is purged."""

    id: RunId
    name: str
    run_dir: str | None


@dataclass(frozen=True, slots=True)
class OldFile:
    """An archived file that was loaded before that moment."""

    id: int
    kept_at: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Purged:
    """What went, or would go."""

    deleted: int = 0
    """Entries: history, and what the job has forgotten."""
    stripped: int = 0
    """Accepted entries of which only the digest is left."""
    runs: int = 0
    waiting: int = 0
    """Unfinished entries of those runs, which stay."""


class Purge:
    """What the runs of one job that ended before a moment left behind."""

    def __init__(self, ledger: SqlLedger, job: str, before_ms: int, forgotten_before_ms: int | None) -> None:
        """The holder of the job's lock. What was accepted before `forgotten_before_ms` may be sent again (None: never).

        Only what is also older than `before_ms` goes.
        """
        self._connection = ledger.connection
        self._path = ledger.path
        self._job = job
        self._before_ms = before_ms
        self._forgotten_before_s = None if forgotten_before_ms is None else min(forgotten_before_ms, before_ms) // 1000

    # --- what there is ------------------------------------------------------------------------------

    def runs(self) -> list[OldRun]:
        """The old runs, oldest first."""
        query = select(runs.c.id, runs.c.name, runs.c.run_dir).where(self._old()).order_by(runs.c.id)
        with saying(self._path):
            return [OldRun(RunId(one.id), one.name, one.run_dir) for one in self._connection.execute(query)]

    def files(self) -> list[OldFile]:
        """Archived files that are old."""
        these = loads.c.job == self._job, loads.c.loaded_ms < self._before_ms, loads.c.kept_at.is_not(None)
        query = select(loads.c.id, loads.c.kept_at, loads.c.size_bytes).where(*these).order_by(loads.c.id)
        with saying(self._path):
            return [OldFile(one.id, one.kept_at, one.size_bytes) for one in self._connection.execute(query)]

    def count(self) -> Purged:
        """What would go."""
        people = self._people_with_business()
        with saying(self._path):
            looked = [self._look(run.id, people) for run in self.runs()]
        return Purged(*(sum(column) for column in zip(*looked, strict=True))) if looked else Purged()

    def _look(self, run: RunId, people: frozenset[bytes]) -> tuple[int, int, int, int]:
        """Of one run: what `Purged` counts."""
        forgotten = [one for page in self._forgotten(run, people) for one in page]
        whole = sum(1 for *_, request_id in forgotten if bytes(request_id) != STRIPPED)
        deleted = self._count(run, ~live) + len(forgotten)
        stripped = self._count(run, _remembered()) - whole
        empty = deleted == self._count(run, true()) and run != self._last_run()
        return deleted, stripped, int(empty), self._count(run, unfinished)

    # --- and its going --------------------------------------------------------------------------------

    def go(self) -> Purged:
        """Delete and strip; durable when it returns."""
        deleted = stripped = waiting = 0
        people = self._people_with_business()
        old = [run.id for run in self.runs()]
        for run in old:
            deleted += sum(self._delete(run, page) for page in self._pages(run, ~live))
            deleted += sum(self._delete(run, page) for page in self._forgotten(run, people))
            stripped += sum(self._strip(run, page) for page in self._pages(run, _remembered()))
            with saying(self._path):
                waiting += self._count(run, unfinished)
        with saying(self._path), transaction(self._connection):
            self._connection.execute(delete(steps).where(steps.c.run_id.in_(old), ~_in_doubt_at_it()))
            empty = self._empty_runs(old)
            self._connection.execute(delete(tasks).where(tasks.c.run_id.in_(old)))
            self._connection.execute(delete(sources).where(sources.c.run_id.in_(empty)))
            self._connection.execute(delete(runs).where(runs.c.id.in_(empty)))
            self._connection.execute(delete(stretches).where(stretches.c.run_id.in_(old)))
        return Purged(deleted, stripped, len(empty), waiting)

    def wipe_log(self) -> bool:
        """Empty the write-ahead log, which still holds pages as they were; False while other programs read it."""
        with saying(self._path):
            busy, *_ = self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def note_gone(self, file: OldFile) -> None:
        """An archived file is no more; that its content was loaded stays known."""
        with saying(self._path), transaction(self._connection):
            self._connection.execute(update(loads).where(loads.c.id == file.id).values(kept_at=None))

    # --- conditions -----------------------------------------------------------------------------------

    def _old(self) -> ColumnElement[bool]:
        return and_(runs.c.job == self._job, runs.c.ended_ms < self._before_ms)

    def _count(self, run: RunId, condition: ColumnElement[bool]) -> int:
        query = select(func.count()).where(entries.c.run_id == run, condition)
        count: int = self._connection.execute(query).scalar_one()
        return count

    def _people_with_business(self) -> frozenset[bytes]:
        """Those about whom some row was rejected or failed: that they were served later holds it back."""
        bad = unfinished, entries.c.state.in_((int(State.REJECTED), int(State.FAILED)))
        query = select(entries.c.key).join(runs, runs.c.id == entries.c.run_id).where(runs.c.job == self._job, *bad)
        with saying(self._path):
            return frozenset(bytes(key)[:8] for key in self._connection.execute(query).scalars())

    def _forgotten(self, run: RunId, people: frozenset[bytes]) -> Iterator[list[tuple[int, int, bytes]]]:
        """Entries that the gate would let pass as if they had never been, in pages, with their Request-IDs."""
        if self._forgotten_before_s is None:
            return
        # A second earlier: entries know whole seconds, rounded down.
        old = entries.c.requested_s < self._forgotten_before_s - 1
        for page in self._pages(run, and_(live, entries.c.state == int(State.ACCEPTED), old)):
            yield [(source, row, asked) for source, row, key, asked in page if bytes(key)[:8] not in people]

    def _pages(self, run: RunId, condition: ColumnElement[bool]) -> Iterator[list[Any]]:
        """Entries of a run, by its primary key: what has been given out may change or go meanwhile."""
        columns = (entries.c.source_no, entries.c.row_number, entries.c.key, entries.c.request_id)
        after = (-1, -1)
        while True:
            beyond = or_(
                entries.c.source_no > after[0],
                and_(entries.c.source_no == after[0], entries.c.row_number > after[1]),
            )
            query = select(*columns).where(entries.c.run_id == run, condition, beyond)
            order = query.order_by(entries.c.source_no, entries.c.row_number).limit(ENTRIES_AT_ONCE)
            with saying(self._path):
                page = [tuple(one) for one in self._connection.execute(order)]
            if not page:
                return
            yield page
            after = page[-1][0], page[-1][1]

    # --- deeds ----------------------------------------------------------------------------------------

    def _delete(self, run: RunId, page: Sequence[Any]) -> int:
        return self._each(delete(entries), run, page)

    def _strip(self, run: RunId, page: Sequence[Any]) -> int:
        return self._each(update(entries).values(profile_id=None, request_id=STRIPPED), run, page)

    def _each(self, statement: Any, run: RunId, page: Sequence[Any]) -> int:  # noqa: ANN401  either of two
        by_source: dict[int, list[int]] = {}
        for source_no, row_number, *_ in page:
            by_source.setdefault(source_no, []).append(row_number)
        with saying(self._path), transaction(self._connection):
            for source_no, rows in by_source.items():
                for start in range(0, len(rows), 500):
                    here = entries.c.run_id == run, entries.c.source_no == source_no
                    these = entries.c.row_number.in_(rows[start : start + 500])
                    self._connection.execute(statement.where(*here, these))
        return len(page)

    def _empty_runs(self, old: Sequence[RunId]) -> list[RunId]:
        """Old runs without entries; the job's last run stays, for `status`."""
        left = exists().where(entries.c.run_id == runs.c.id)
        found = set(self._connection.execute(select(runs.c.id).where(self._old(), ~left)).scalars())
        return [run for run in old if run in found and run != self._last_run()]

    def _last_run(self) -> int | None:
        last = select(func.max(runs.c.id)).where(runs.c.job == self._job)
        found: int | None = self._connection.execute(last).scalar()
        return found


def _in_doubt_at_it() -> ColumnElement[bool]:
    """Steps whose entry somebody still asks for: by one that a person has decided about, nothing is told any more."""
    here = [getattr(entries.c, name) == getattr(steps.c, name) for name in ("run_id", "source_no", "row_number")]
    states = [int(state) for state in (State.CLAIMED, State.IN_DOUBT, State.RESEND)]
    return exists().where(*here, live, entries.c.state.in_(states))


def _remembered() -> ColumnElement[bool]:
    """Accepted entries that still have more than their digest."""
    return and_(live, entries.c.state == int(State.ACCEPTED), entries.c.request_id != STRIPPED)
