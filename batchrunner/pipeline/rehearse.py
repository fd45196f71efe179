"""Rehearsals: reading, mapping and asking the gate without sending or writing anything.

`--dry-run` counts what a run would do; the guard counts what a changed job would send a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batchrunner.gate import Hold
from batchrunner.model import (
    MAY_HAVE_ARRIVED,
    Engaged,
    Filtered,
    Key,
    Known,
    Mapped,
    Request,
    SkipReason,
    Unusable,
    Who,
)
from batchrunner.pipeline.admission import Batch, Judgement
from batchrunner.pipeline.changes import Changes, is_open
from batchrunner.pipeline.feed import Input
from batchrunner.ports import Ledger, Mapper


class KnowsPeople(Protocol):
    """A ledger that can say whom it has accepted something for."""

    def known_people(self, people: Sequence[Who]) -> set[Who]:
        """Those with at least one accepted entry, whatever was asked."""
        ...


@dataclass(slots=True)
class Rehearsal:
    """What a run would do."""

    read: int = 0
    new: int = 0
    """Would be sent; nothing was ever accepted for this person."""
    changed: int = 0
    """Would be sent; something else was accepted for this person before."""
    again: int = 0
    """Would be sent again: it failed, is in doubt or was asked for."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Would be held back, by reason; `repeat_in_run` are repeats inside the file."""
    updated: int = 0
    """Of those that would be sent: nobody would be engaged, for the person was before."""
    unusable: Counter[str] = field(default_factory=Counter)
    """By code."""

    @property
    def would_send(self) -> int:
        """Rows that would become requests."""
        return self.new + self.changed + self.again


class _Counting:
    """One rehearsal."""

    def __init__(self, people: KnowsPeople, changes: Changes | None, now_ms: int) -> None:
        self.found = Rehearsal()
        self._people = people
        self._changes = changes
        self._now_ms = now_ms
        self._seen: set[Key] = set()
        self._served: set[Who] = set()

    def count(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        self.found.read += batch.rows
        would_send = [judged for judged in batch.judged if isinstance(judged, tuple) and self._passes(*judged)]
        for judged in batch.judged:
            if isinstance(judged, Unusable):
                self.found.unusable[judged.code] += 1
            elif isinstance(judged, Filtered | Known):
                self.found.skipped[judged.reason.value] += judged.rows if isinstance(judged, Known) else 1
        if self._changes is not None:
            would_send = self._those_that_engage(would_send, self._changes)
        self.found.again += sum(bool(judgement.takes_over) for _, judgement in would_send)
        fresh = [request.who for request, judgement in would_send if not judgement.takes_over]
        known = self._people.known_people(fresh)
        changed = sum(who in known for who in fresh)
        self.found.changed += changed
        self.found.new += len(fresh) - changed

    def _passes(self, request: Request, judgement: Judgement) -> bool:
        """What the gate alone decides."""
        repeated = request.key in self._seen
        self._seen.add(request.key)
        if isinstance(judgement.decision, Hold):
            self.found.skipped[judgement.decision.reason.value] += 1
            return False
        if repeated:
            self.found.skipped[SkipReason.REPEAT_IN_RUN.value] += 1
        return not repeated

    def _those_that_engage(
        self, rows: Sequence[tuple[Request, Judgement]], changes: Changes
    ) -> list[tuple[Request, Judgement]]:
        """The others are counted: they would be updated or skipped, as the second row about a person would."""
        known = changes.known([request.who for request, judgement in rows if is_open(judgement)], self._now_ms)
        engaging = []
        for request, judgement in rows:
            who = request.who
            engaged = Engaged.CERTAINLY if who in self._served else known.get(who)
            self._served.add(who)
            if engaged is None or not is_open(judgement):
                engaging.append((request, judgement))
            elif engaged is Engaged.PERHAPS:
                self.found.skipped[SkipReason.IN_DOUBT.value] += 1
            elif changes.skips:
                self.found.skipped[SkipReason.CHANGED.value] += 1
            else:
                self.found.changed += 1
                self.found.updated += 1
        return engaging


def rehearse(
    batches: Iterator[Batch],
    people: KnowsPeople,
    on_batch: Callable[[Batch], None],
    changes: Changes | None = None,
    now_ms: int = 0,
) -> Rehearsal:
    """Count what a run over these batches would do, now."""
    counting = _Counting(people, changes, now_ms)
    for batch in batches:
        counting.count(batch)
        on_batch(batch)
    return counting.found


# --- the guard -----------------------------------------------------------------------------------


class KnowsArrivals(Ledger, Protocol):
    """A ledger that can be asked about keys and about people."""

    def may_have_reached(self, people: Sequence[Who]) -> set[Who]:
        """Those with at least one entry that was accepted or may have been, whatever was asked."""
        ...


def sent_again(
    now: Input, before: Sequence[Mapper], ledger: KnowsArrivals, *, by_person: bool, go_on: Callable[[], bool]
) -> int:
    """How many rows of a source that were accepted (or may have been) under an earlier job would be sent again now.

    `before` maps the same chunks as the job did earlier. `by_person` counts rows whose person is known instead, where
    an earlier job cannot be compared row by row. Stops early when `go_on` says so.
    """
    count = 0
    for chunk in now.reader.chunks():
        if not go_on():
            return count
        requests = now.mapper.map(chunk)
        earlier = [mapper.map(chunk) for mapper in before]
        count += _crossing(requests, earlier, ledger, by_person=by_person)
    return count


def _crossing(
    now: Sequence[Mapped],
    before: Sequence[Sequence[Mapped]],
    ledger: KnowsArrivals,
    *,
    by_person: bool,
) -> int:
    rows = [
        (new, [old.key for old in olds if isinstance(old, Request) and old.key != new.key])
        for new, *olds in zip(now, *before, strict=True)
        if isinstance(new, Request)
    ]
    standing = ledger.standing([key for new, olds in rows for key in (new.key, *olds)])
    arrived = {key for key, stands in standing.items() if stands.state in MAY_HAVE_ARRIVED}
    fresh = [(new, olds) for new, olds in rows if new.key not in arrived]
    known = ledger.may_have_reached([new.who for new, _ in fresh]) if by_person else set()
    return sum(any(old in arrived for old in olds) or new.who in known for new, olds in fresh)
