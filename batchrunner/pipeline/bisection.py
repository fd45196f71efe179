"""Bisection: a parcel that was refused whole is halved, and halved again, until the rows that are to blame stand alone.

So that 9,999 good rows do not wait for one bad one. Each half is a new request under a new Request-ID: the platform
has answered the old one, and would answer it alike for ever. Pure decisions: the run claims the halves before they
leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.model import Claim, Failed, InDoubt, Outcome, Rejected, Settled


@dataclass(slots=True)
class Search:
    """The requests that may still be spent on one parcel and all that it is halved into."""

    left: int


@dataclass(frozen=True, slots=True)
class Halves:
    """Two requests to make."""

    first: tuple[Claim, ...]
    second: tuple[Claim, ...]


def halves(claims: Sequence[Claim], search: Search) -> Halves | None:
    """What a parcel that was refused whole is halved into; None when the search has used up its requests."""
    if search.left < 2:  # noqa: PLR2004  one for each half
        return None
    search.left -= 2
    middle = len(claims) // 2
    return Halves(tuple(claims[:middle]), tuple(claims[middle:]))


def unsearched(end: Settled) -> Settled:
    """How a row ends that was refused with others, when nobody may ask which of them was meant. It was not done."""
    return Settled(
        end.claim, _not_done(end.outcome, end.claim), end.attempts, end.requests, end.replayed, end.elapsed_ms
    )


def _not_done(outcome: Outcome, claim: Claim) -> Outcome:
    code, text = (outcome.code, outcome.text) if isinstance(outcome, Rejected) else ("refused", "refused")
    why = f"the whole batch was refused: {text}; which row is to blame was not found within batch.search requests"
    return InDoubt(code, why) if claim.doubtful else Failed(code, why)
