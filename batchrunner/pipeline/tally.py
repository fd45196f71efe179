"""Counting: the one mutable place in which a run's totals grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from batchrunner.model import Accepted, Failed, Filtered, InDoubt, Known, Rejected, Settled, Skipped, Totals, Unusable


class Tally:
    """Counts rows as they are taken up and as they end."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._ends: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._claimed = 0
        self._requests = 0
        self._updated = 0
        self._replays = 0

    def claimed(self, claims: int) -> None:
        """So many rows were taken up and have yet to end."""
        self._claimed += claims

    def skipped(self, ends: Sequence[Skipped | Filtered | Known]) -> None:
        """Rows that the gate or the job's `when` held back."""
        for reason, count in Counter(end.reason for end in ends).items():
            self._skipped[reason.value] += count
        for end in ends:
            if isinstance(end, Known):
                self._skipped[end.reason.value] += end.rows - 1

    def unusable(self, ends: Iterable[Unusable]) -> None:
        """Rows that never became requests."""
        for end in ends:
            self._ends["unusable"] += 1
            self._codes[f"unusable:{end.code}"] += 1

    def settled(self, ends: Sequence[Settled]) -> None:
        """Claims that have ended."""
        self._requests += sum([end.requests for end in ends])
        self._replays += sum([end.replayed for end in ends])
        bad = [end.outcome for end in ends if not isinstance(end.outcome, Accepted)]
        self._ends["accepted"] += len(ends) - len(bad)
        for outcome in bad:
            match outcome:
                case Rejected(code, _):
                    self._bad("rejected", code)
                case Failed(code, _):
                    self._bad("failed", code)
                case InDoubt(code, _):
                    self._bad("in_doubt", code)

    def went_on(self, requests: int) -> None:
        """So many requests left for rows that have not ended by them."""
        self._requests += requests

    def updated(self, rows: int) -> None:
        """So many of the accepted rows engaged nobody."""
        self._updated += rows

    def _bad(self, outcome: str, code: str) -> None:
        self._ends[outcome] += 1
        self._codes[f"{outcome}:{code}"] += 1

    def totals(self) -> Totals:
        """What it adds up to now. Claims that have not ended count as read: the ledger knows them as open."""
        ends = self._ends
        return Totals(
            read=self._claimed + ends["unusable"] + self._skipped.total(),
            accepted=ends["accepted"],
            rejected=ends["rejected"],
            failed=ends["failed"],
            in_doubt=ends["in_doubt"],
            unusable=ends["unusable"],
            skipped=dict(self._skipped),
            codes=dict(self._codes),
            requests=self._requests,
            replays=self._replays,
            updated=self._updated,
        )
