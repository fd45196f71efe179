"""Changes: a row about a person who was engaged before asks for something else now, and the job has said what then.

Asked at the last moment, when the row could be claimed: whatever was sent about this person in this run has ended and
is in the ledger by then. So the first of two rows about one person engages, and the second one does not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from batchrunner.model import Engaged, Importing, SkipReason, Updating, Who
from batchrunner.pipeline.admission import Candidate, Judgement

Held = tuple[Candidate, SkipReason]
"""A row that is not to be sent, and why."""


class KnowsEngaged(Protocol):
    """A ledger, as far as it is asked here."""

    def engaged(self, people: Collection[Who], since_ms: int) -> Mapping[Who, Engaged]:
        """Who of these was engaged by a request that was claimed no earlier, or may have been; others are absent."""
        ...


class Changes:
    """What becomes of rows about people who were engaged before."""

    def __init__(self, ledger: KnowsEngaged, *, updates: bool, forgotten_after_ms: int | None) -> None:
        """With `updates` they are imported, otherwise left out. Who was engaged longer ago counts as nobody known."""
        self._ledger = ledger
        self._updates = updates
        self._forgotten_after_ms = forgotten_after_ms

    def look(self, candidates: Sequence[Candidate], now_ms: int) -> tuple[list[Candidate], list[Held]]:
        """The rows that may be claimed, each as it is to be sent; and those that are held back."""
        known = self.known([one.request.who for one in candidates if is_open(one.judgement)], now_ms)
        if not known:
            return list(candidates), []
        kept: list[Candidate] = []
        held: list[Held] = []
        for one in candidates:
            match known.get(one.request.who) if is_open(one.judgement) else None:
                case None:
                    kept.append(one)
                case Engaged.CERTAINLY if self._updates:
                    kept.append(replace(one, judgement=replace(one.judgement, step=Updating())))
                case Engaged.CERTAINLY:
                    held.append((one, SkipReason.CHANGED))
                case Engaged.PERHAPS:
                    # To engage might be once too often; to update might be the only message that never comes.
                    held.append((one, SkipReason.IN_DOUBT))
        return kept, held

    def known(self, people: Sequence[Who], now_ms: int) -> Mapping[Who, Engaged]:
        """Who of these was engaged before, or may have been."""
        since_ms = 0 if self._forgotten_after_ms is None else now_ms - self._forgotten_after_ms
        return self._ledger.engaged(people, since_ms) if people else {}

    @property
    def skips(self) -> bool:
        """Rows about people who were engaged are left out."""
        return not self._updates


def is_open(judgement: Judgement) -> bool:
    """Whether it is still to be decided what the row is to be: a row in doubt goes on as what it was.

    Unless that is an import with a start behind it: nobody was engaged by it, and another row may have engaged since.
    """
    if judgement.step == Importing(doubtful=False):
        return True
    return judgement.request_id is None and not judgement.doubtful and judgement.step is None
