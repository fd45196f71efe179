"""What the ledger tells of the past."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.model import RunId, Source, State, Totals

DIED = "no_answer"
"""The code of a claim that a dead run left behind."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run, as the ledger remembers it."""

    id: RunId
    name: str
    job: str
    verb: str
    started_ms: int
    ended_ms: int | None
    ending: str | None
    exit_code: int | None
    totals: Totals
    run_dir: str | None
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """One claimed row, as the ledger remembers it."""

    source_no: int
    row_number: int
    line: int
    state: State
    code: str | None
    profile_id: str | None
    attempts: int
    requested_ms: int
    taken_over: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """A job that a person has paused."""

    job: str
    since_ms: int
    until_ms: int | None
    why: str | None

    def at(self, now_ms: int) -> Pause | None:
        """The pause, if it is not over by then."""
        return None if self.until_ms is not None and self.until_ms <= now_ms else self
