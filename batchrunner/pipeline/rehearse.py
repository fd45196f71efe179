"""Rehearsals: reading, mapping and asking the gate without sending or writing anything.

`--dry-run` counts what a run would do; the guard counts what a changed job would send a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batchrunner.gate import Hold
from batchrunner.model import MAY_HAVE_ARRIVED, Filtered, Key, Known, Mapped, Request, SkipReason, Unusable, Who
from batchrunner.pipeline.admission import Batch
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
    unusable: Counter[str] = field(default_factory=Counter)
    """By code."""

    @property
    def would_send(self) -> int:
        """Rows that would become requests."""
        return self.new + self.changed + self.again


def rehearse(batches: Iterator[Batch], people: KnowsPeople, on_batch: Callable[[Batch], None]) -> Rehearsal:
    """Count what a run over these batches would do."""
    found = Rehearsal()
    seen: set[Key] = set()
    for batch in batches:
        fresh = _count(batch, found, seen)
        known = people.known_people(fresh)
        changed = sum(who in known for who in fresh)
        found.changed += changed
        found.new += len(fresh) - changed
        on_batch(batch)
    return found


def _count(batch: Batch, found: Rehearsal, seen: set[Key]) -> list[Who]:
    """Count what the gate alone decides; whom the other rows are about comes back."""
    fresh: list[Who] = []
    found.read += batch.rows
    for judged in batch.judged:
        if isinstance(judged, Unusable):
            found.unusable[judged.code] += 1
            continue
        if isinstance(judged, Filtered | Known):
            found.skipped[judged.reason.value] += judged.rows if isinstance(judged, Known) else 1
            continue
        request, judgement = judged
        if isinstance(judgement.decision, Hold):
            found.skipped[judgement.decision.reason.value] += 1
        elif request.key in seen:
            found.skipped[SkipReason.REPEAT_IN_RUN.value] += 1
        elif judgement.takes_over:
            found.again += 1
        else:
            fresh.append(request.who)
        seen.add(request.key)
    return fresh


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
