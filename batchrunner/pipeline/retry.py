"""Sending unfinished rows again: the same straight way, with a gate that lets only wanted rows pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from batchrunner.gate import Hold, SendNew
from batchrunner.model import EntryRef, Key, Mapped, Request, SkipReason, State, Who
from batchrunner.pipeline.admission import Judged, Judgement
from batchrunner.pipeline.feed import PlainGate, merged
from batchrunner.ports import Standing

WantedEntry = tuple[Key, Standing]


class WantedRows(Protocol):
    """The wanted entries of each source of this run, read as they are needed."""

    def between(self, source_no: int, first: int, last: int) -> Mapping[int, WantedEntry]:
        """Wanted entries among the rows first to last of a source, by row number."""
        ...


class RetryGate:
    """The gate of `retry`: only rows with a wanted entry are part of the run.

    The job's mapping may have changed since, so that a row now has another key than its entry. Then the new request
    takes the old entry's place, unless the old one is in doubt: two different messages must not both be a guess.
    """

    def __init__(self, plain: PlainGate, wanted: WantedRows) -> None:
        """Judge wanted rows as the plain gate does."""
        self._plain = plain
        self._wanted = wanted
        self.stale: list[EntryRef] = []
        """Entries whose row asks for something else by now, which needs no sending: nobody waits for them any more."""

    def judge(self, source_no: int, rows: Sequence[Mapped]) -> list[Judged]:
        """Leave out what is not wanted, and judge the rest."""
        if not rows:
            return []
        wanted = self._wanted.between(source_no, rows[0].row.number, rows[-1].row.number)
        kept = [row for row in rows if row.row.number in wanted]
        judged = self._plain.judge(source_no, kept)
        replaced = self._plain.replaced([(Who(key[:8]), standing) for key, standing in wanted.values()])
        return [
            one if not isinstance(one, tuple) else (one[0], self._replacing(*one, wanted[one[0].row.number], replaced))
            for one in judged
        ]

    def _replacing(
        self, request: Request, judgement: Judgement, entry: WantedEntry, replaced: set[EntryRef]
    ) -> Judgement:
        key, standing = entry
        if key == request.key:
            return judgement
        if standing.ref in replaced and not isinstance(judgement.decision, Hold):
            return replace(judgement, decision=Hold(SkipReason.REPLACED))
        if isinstance(judgement.decision, Hold):
            if judgement.decision.reason is SkipReason.ACCEPTED:
                self.stale.append(standing.ref)
            return judgement
        if standing.state in (State.IN_DOUBT, State.CLAIMED):
            return replace(judgement, decision=Hold(SkipReason.IN_DOUBT))
        if isinstance(judgement.decision, SendNew):
            return replace(judgement, takes_over=merged(judgement, standing.ref))
        return judgement


class LeftoverGate:
    """The gate of `retry` where some rows are read from result files, because their source is gone.

    There a row is known by its key: what would be sent for it now is what was to be sent then.
    """

    def __init__(self, retry: RetryGate, plain: PlainGate, keys: Collection[Key], after: int) -> None:
        """Sources numbered above `after` are result files; only rows with one of `keys` are taken from them."""
        self._retry = retry
        self._plain = plain
        self._keys = keys
        self._after = after
        self.met: set[Key] = set()
        """Keys that were found in result files."""

    def judge(self, source_no: int, rows: Sequence[Mapped]) -> list[Judged]:
        """As the gate of the source judges."""
        if source_no <= self._after:
            return self._retry.judge(source_no, rows)
        kept = [row for row in rows if isinstance(row, Request) and row.key in self._keys]
        self.met.update(row.key for row in kept)
        return self._plain.judge(source_no, kept)
