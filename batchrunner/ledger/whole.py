"""The questions of a look (`glance.Looks`), to a ledger that is open as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from batchrunner.ledger.history import History
from batchrunner.ledger.nights import Nights
from batchrunner.ledger.records import Pause, RunRecord
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import State


class Whole:
    """Asks those who know."""

    def __init__(self, ledger: SqlLedger) -> None:
        """Share the ledger's connection."""
        self._ledger, self._history, self._nights = ledger, History(ledger), Nights(ledger)

    def jobs(self) -> list[str]:
        """The names of all jobs that ever ran."""
        return self._history.jobs()

    def last_run(self, job: str) -> RunRecord | None:
        """The newest run of a job."""
        return next(iter(self._history.runs(job, limit=1)), None)

    def again(self, run: RunRecord) -> RunRecord:
        """The same run as it stands now."""
        return self._history.run(run.name)

    def open_claims(self, run: RunRecord) -> int:
        """How many of its claims have not ended."""
        return self._ledger.count_states(run.id).get(State.CLAIMED, 0)

    def unfinished_counts(self, job: str) -> Mapping[tuple[State, str], int]:
        """How many rows of a job wait for something, by state and code."""
        return self._history.unfinished_counts(job)

    def is_running(self, job: str) -> bool:
        """Whether some process runs it now."""
        return self._ledger.is_running(job)

    def paused(self, job: str, now_ms: int) -> Pause | None:
        """The job's pause, if it is not over."""
        return self._nights.paused(job, now_ms)
