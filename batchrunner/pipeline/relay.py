"""The relay: a row that goes in two steps is handed from the first to the second, without landing between them.

    claim of the import -> answer with a profile id -> claim of the start, under a Request-ID of its own, durable
    together with what the import has told -> answer -> the row has ended

Nobody is engaged by the first step, so whatever else it comes to is the end of the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    Importing,
    InDoubt,
    Outcome,
    Rejected,
    Settled,
    Starting,
    Updating,
)
from batchrunner.pipeline.steps import Steps
from batchrunner.request_ids import new_request_ids
from batchrunner.retrying import lawful

NO_PROFILE_ID = "no_profile_id"


class Relay:
    """Begins rows with their first step, and takes them on to the next."""

    trouble = None
    """Nothing that it sees stops a run."""

    def __init__(self, steps: Steps) -> None:
        """Hand on as the job says."""
        self._split = steps.split

    def begun(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """The claims as they are to leave: in two steps, those that stand nowhere yet begin with the first."""
        if not self._split:
            return claims
        return [claim if claim.step else replace(claim, step=Importing(doubtful=claim.doubtful)) for claim in claims]

    def unload(self, ends: Sequence[Settled], now_ms: int) -> tuple[list[Settled], list[Claim]]:
        """Which rows have ended, and the claims that go on to their second step."""
        ended: list[Settled] = []
        imported: list[tuple[Claim, bool, str]] = []
        for end in ends:
            step, outcome = end.claim.step, end.outcome
            if isinstance(step, Importing) and isinstance(outcome, Accepted) and outcome.profile_id:
                imported.append((end.claim, step.doubtful, outcome.profile_id))
            else:
                ended.append(replace(end, outcome=_told(end)) if step else end)
        fresh = new_request_ids(len(imported))
        return ended, [
            replace(
                claim,
                request_id=request_id,
                requested_at_ms=now_ms,
                # The answer has lifted every doubt about the import, and none about what went before it.
                doubtful=doubtful,
                resent=False,
                takes_over=(),
                step=Starting(profile_id),
            )
            for (claim, doubtful, profile_id), request_id in zip(imported, fresh, strict=True)
        ]

    def updated(self, ends: Sequence[Settled]) -> int:
        """How many rows were accepted without engaging anybody."""
        return sum(isinstance(end.claim.step, Updating) and isinstance(end.outcome, Accepted) for end in ends)


def _told(end: Settled) -> Outcome:
    """How a row ends, with the step that it ended at."""
    match end.claim.step, end.outcome:
        case Starting(profile_id), Accepted():
            return Accepted(profile_id)
        case Starting(), Rejected() | Failed() | InDoubt() as outcome:
            return replace(outcome, text=f"workflows/start: {outcome.text}")
        case Importing(doubtful), Accepted():
            why = "profiles/import told no profile id, so nobody could be engaged"
            return lawful(Failed(NO_PROFILE_ID, why), doubtful=doubtful)
        case Importing(doubtful), Rejected() | Failed() as outcome:
            return lawful(replace(outcome, text=f"profiles/import: {outcome.text}"), doubtful=doubtful)
        case Importing(doubtful), InDoubt() as outcome:
            engaged = "" if doubtful else "; nobody was engaged"
            return replace(outcome, text=f"profiles/import: {outcome.text}{engaged}")
        case _:
            return end.outcome
