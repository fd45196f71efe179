"""A look at a ledger without SQLAlchemy, whose loading takes three quarters of the time of `status`.

People ask it all day, and monitors every minute. What it finds is what `History` and `Nights` find, and a test holds
them to each other; whatever is not as it should be (an older ledger, a damaged one, none of ours) it leaves to them,
for they know how to mend it or what to say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from batchrunner.errors import LedgerError
from batchrunner.ledger import codec
from batchrunner.ledger.files import file_named, is_held, must_not_be_cut_off
from batchrunner.ledger.records import Pause, RunRecord
from batchrunner.model import RunId, Source, State

T = TypeVar("T")

VERSION = 10
"""The only version of a ledger that it understands: the present one."""

_PATIENCE_S = 30.0

_RUN = (
    "SELECT id, name, job, verb, started_ms, ended_ms, ending, exit_code, totals, run_dir FROM runs "
    "WHERE {} ORDER BY id DESC LIMIT 1"
)
_LAST, _SAME = _RUN.format("job = ?"), _RUN.format("id = ?")
_SOURCES = "SELECT path, fingerprint, size_bytes FROM sources WHERE run_id = ? ORDER BY source_no"
# By its own index, and with the very condition of that: left to itself, the database reads every accepted row instead.
_UNFINISHED = (
    "SELECT entries.state, entries.code, count(*) FROM entries INDEXED BY entries_unfinished "
    "JOIN runs ON runs.id = entries.run_id WHERE runs.job = ? AND entries.state >= 2 "
    "AND entries.superseded_by IS NULL GROUP BY entries.state, entries.code"
)
_OPEN = "SELECT count(*) FROM entries WHERE run_id = ? AND state = 0"
_PAUSE = "SELECT job, since_ms, until_ms, why FROM pauses WHERE job = ?"


class Looks(Protocol):
    """What `status` asks."""

    def jobs(self) -> list[str]:
        """The names of all jobs that ever ran."""
        ...

    def last_run(self, job: str) -> RunRecord | None:
        """The newest run of a job."""
        ...

    def again(self, run: RunRecord) -> RunRecord:
        """The same run as it stands now."""
        ...

    def open_claims(self, run: RunRecord) -> int:
        """How many of its claims have not ended."""
        ...

    def unfinished_counts(self, job: str) -> Mapping[tuple[State, str], int]:
        """How many rows of a job wait for something, by state and code."""
        ...

    def is_running(self, job: str) -> bool:
        """Whether some process runs it now."""
        ...

    def paused(self, job: str, now_ms: int) -> Pause | None:
        """The job's pause, if it is not over."""
        ...


def at_a_glance(ledger: str, look: Callable[[Looks], T]) -> T | None:
    """What a look finds. None: this ledger has to be opened as a whole."""
    if "://" in ledger:
        return None
    try:
        path = file_named(ledger)
        if not path.exists():
            return look(_Nothing())
        must_not_be_cut_off(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE_S)) as connection:
            connection.execute("PRAGMA query_only = ON")
            if connection.execute("SELECT version FROM schema_version").fetchone() != (VERSION,):
                return None
            return look(_Glance(path, connection))
    except (sqlite3.Error, OSError, LedgerError, msgspec.MsgspecError, ValueError, KeyError, TypeError):
        return None  # it will be said in its own words, by those who can


class _Glance:
    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def jobs(self) -> list[str]:
        return [job for (job,) in self._connection.execute("SELECT DISTINCT job FROM runs ORDER BY job")]

    def last_run(self, job: str) -> RunRecord | None:
        row = self._connection.execute(_LAST, (job,)).fetchone()
        return self._record(row) if row else None

    def again(self, run: RunRecord) -> RunRecord:
        return self._record(self._connection.execute(_SAME, (run.id,)).fetchone())

    def open_claims(self, run: RunRecord) -> int:
        count: int = self._connection.execute(_OPEN, (run.id,)).fetchone()[0]
        return count

    def unfinished_counts(self, job: str) -> Mapping[tuple[State, str], int]:
        found = self._connection.execute(_UNFINISHED, (job,))
        return {(State(state), code or ""): count for state, code, count in found}

    def is_running(self, job: str) -> bool:
        return is_held(self._path, job)

    def paused(self, job: str, now_ms: int) -> Pause | None:
        row = self._connection.execute(_PAUSE, (job,)).fetchone()
        return Pause(*row).at(now_ms) if row else None

    def _record(self, row: tuple[Any, ...]) -> RunRecord:
        run_id, name, job, verb, started_ms, ended_ms, ending, exit_code, totals, run_dir = row
        read = tuple(Source(*source) for source in self._connection.execute(_SOURCES, (run_id,)))
        return RunRecord(
            RunId(run_id), name, job, verb, started_ms, ended_ms, ending, exit_code,
            codec.unpack_totals(totals), run_dir, read,
        )  # fmt: skip


class _Nothing:
    """A ledger that there is not yet."""

    def jobs(self) -> list[str]:
        return []

    def last_run(self, job: str) -> RunRecord | None:
        del job
        return None

    def again(self, run: RunRecord) -> RunRecord:
        return run

    def open_claims(self, run: RunRecord) -> int:
        del run
        return 0

    def unfinished_counts(self, job: str) -> Mapping[tuple[State, str], int]:
        del job
        return {}

    def is_running(self, job: str) -> bool:
        del job
        return False

    def paused(self, job: str, now_ms: int) -> Pause | None:
        del job, now_ms
        return None
