"""What the ledger knows of nights: which files were loaded, how large they were, where they lie, which jobs pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.database import reading, saying, transaction
from batchrunner.ledger.records import Pause
from batchrunner.ledger.schema import entries, loads, pauses, runs
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import RunId


@dataclass(frozen=True, slots=True)
class Load:
    """A file that a run of a job has read to its end."""

    job: str
    fingerprint: str
    path: str
    size_bytes: int
    modified_ns: int
    rows: int
    loaded_ms: int
    run: RunId
    arrived: bool
    """At the job's own path; else a person named it."""
    kept_at: str | None = None
    """Where it was moved to, if it was."""


class Nights:
    """The memory of nights, on an open ledger."""

    def __init__(self, ledger: SqlLedger) -> None:
        """Share the ledger's connection."""
        self._connection = ledger.connection
        self._path = ledger.path

    # --- loads -------------------------------------------------------------------------------------

    def note(self, done: Sequence[Load]) -> None:
        """Remember files as loaded, once their run has ended."""
        values = [
            {
                "job": one.job, "fingerprint": one.fingerprint, "path": codec.printable(one.path),
                "size_bytes": one.size_bytes, "modified_ns": one.modified_ns, "rows": one.rows,
                "loaded_ms": one.loaded_ms, "run_id": one.run, "arrived": one.arrived, "kept_at": one.kept_at,
            }
            for one in done
        ]  # fmt: skip
        if values:
            with saying(self._path), transaction(self._connection):
                self._connection.execute(insert(loads), values)

    def note_kept(self, job: str, fingerprint: str, path: str, kept_at: str) -> None:
        """A loaded file that lay at `path` lies elsewhere now."""
        these = loads.c.job == job, loads.c.fingerprint == fingerprint, loads.c.kept_at.is_(None)
        here = loads.c.path == codec.printable(path)
        with saying(self._path), transaction(self._connection):
            self._connection.execute(update(loads).where(*these, here).values(kept_at=codec.printable(kept_at)))

    def loaded(self, job: str, fingerprint: str) -> Load | None:
        """The last load of this content by the job."""
        return self._first(select(loads).where(loads.c.job == job, loads.c.fingerprint == fingerprint))

    def loaded_as(self, job: str, path: str, size_bytes: int, modified_ns: int) -> Load | None:
        """The load of this very file: nothing about it has changed since, so its content has not."""
        same = loads.c.path == codec.printable(path), loads.c.size_bytes == size_bytes
        return self._first(select(loads).where(loads.c.job == job, *same, loads.c.modified_ns == modified_ns))

    def sent_since(self, job: str, since_ms: int) -> int:
        """How many rows runs of the job have taken up to send since a moment, whatever became of them."""
        late = or_(runs.c.ended_ms.is_(None), runs.c.ended_ms >= since_ms)
        query = select(runs.c.id, runs.c.started_ms, runs.c.totals).where(runs.c.job == job, late)
        with reading(self._path):
            found = self._connection.execute(query).all()
            return sum(self._sent(RunId(run_id), started, totals, since_ms) for run_id, started, totals in found)

    def _sent(self, run: RunId, started_ms: int, noted: str, since_ms: int) -> int:
        if started_ms >= since_ms:
            totals = codec.unpack_totals(noted)
            return totals.accepted + totals.rejected + totals.failed + totals.in_doubt
        # It was under way at that moment: its entries tell.
        since = entries.c.run_id == run, entries.c.requested_s >= since_ms // 1000
        sent: int = self._connection.execute(select(func.count()).where(*since)).scalar_one()
        return sent

    def has_size(self, job: str, size_bytes: int) -> bool:
        """Whether the job has loaded any file of this size: only then can one with this content be among them."""
        query = select(loads.c.id).where(loads.c.job == job, loads.c.size_bytes == size_bytes)
        with saying(self._path):
            return self._connection.execute(query.limit(1)).first() is not None

    def newest_ns(self, job: str) -> int | None:
        """When the newest file that arrived for the job and was loaded had been written."""
        newest = select(func.max(loads.c.modified_ns)).where(loads.c.job == job, loads.c.arrived)
        with saying(self._path):
            found: int | None = self._connection.execute(newest).scalar()
        return found

    def last_rows(self, job: str, count: int) -> list[int]:
        """The records of the last files that arrived for the job, newest first."""
        query = select(loads.c.rows).where(loads.c.job == job, loads.c.arrived).order_by(loads.c.id.desc())
        with saying(self._path):
            return list(self._connection.execute(query.limit(count)).scalars())

    def kept(self, job: str, fingerprint: str) -> list[Path]:
        """Where files with this content were moved to, the last one first."""
        query = select(loads.c.kept_at).where(
            loads.c.job == job, loads.c.fingerprint == fingerprint, loads.c.kept_at.is_not(None)
        )
        with saying(self._path):
            return [Path(path) for path in self._connection.execute(query.order_by(loads.c.id.desc())).scalars()]

    def _first(self, query: Any) -> Load | None:  # noqa: ANN401  any select over `loads`
        with saying(self._path):
            row = self._connection.execute(query.order_by(loads.c.id.desc()).limit(1)).first()
        return None if row is None else _load(row)

    # --- pauses ------------------------------------------------------------------------------------

    def pause(self, pause: Pause) -> None:
        """From now on no run of the job begins, until the pause is over or lifted."""
        values = {"since_ms": pause.since_ms, "until_ms": pause.until_ms, "why": pause.why}
        with saying(self._path), transaction(self._connection):
            self._connection.execute(delete(pauses).where(pauses.c.job == pause.job))
            self._connection.execute(insert(pauses).values(job=pause.job, **values))

    def unpause(self, job: str) -> bool:
        """Lift a pause; whether there was one."""
        with saying(self._path), transaction(self._connection):
            return self._connection.execute(delete(pauses).where(pauses.c.job == job)).rowcount > 0

    def paused(self, job: str, now_ms: int) -> Pause | None:
        """The job's pause, if it is not over."""
        query = select(pauses).where(pauses.c.job == job)
        with saying(self._path):
            row = self._connection.execute(query).first()
        return None if row is None else Pause(row.job, row.since_ms, row.until_ms, row.why).at(now_ms)


def _load(row: Row[Any]) -> Load:
    return Load(
        job=row.job,
        fingerprint=row.fingerprint,
        path=row.path,
        size_bytes=row.size_bytes,
        modified_ns=row.modified_ns,
        rows=row.rows,
        loaded_ms=row.loaded_ms,
        run=RunId(row.run_id),
        arrived=row.arrived,
        kept_at=row.kept_at,
    )
