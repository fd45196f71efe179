"""From candidates to claims: pure decisions, for the loop that makes them durable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchrunner.gate import SendSame, within_window
from batchrunner.model import Claim, Failed, Importing, InDoubt, Parcel, RequestId, Settled, Updating
from batchrunner.pipeline.admission import NEW, Candidate
from batchrunner.request_ids import new_request_ids


def claims_of(candidates: Sequence[Candidate], now_ms: int) -> list[Claim]:
    """A claim for each, in order."""
    return claims_under(candidates, new_request_ids(len(candidates)), now_ms)


def claims_under(candidates: Iterable[Candidate], fresh: Iterable[RequestId], now_ms: int) -> list[Claim]:
    """A claim for each of these, under these Request-IDs where the gate does not name earlier ones."""
    return [
        Claim(one.source_no, one.request, request_id, now_ms)
        if one.judgement is NEW  # as nearly all are: half the time
        else claim_of(one, request_id, now_ms)
        for one, request_id in zip(candidates, fresh, strict=False)
    ]


def claim_of(candidate: Candidate, fresh: RequestId, now_ms: int) -> Claim:
    """A candidate under its earlier Request-ID where the gate says so, otherwise under a fresh one."""
    judgement = candidate.judgement
    same = judgement.request_id is not None
    return Claim(
        candidate.source_no,
        candidate.request,
        judgement.request_id or fresh,
        judgement.requested_at_ms if same else now_ms,
        judgement.doubtful,
        resent=same,
        takes_over=judgement.takes_over,
        step=judgement.step,
    )


def each_of(loads: Sequence[Claim | Parcel]) -> list[Claim]:
    """The claims, one by one, of what leaves alone or together."""
    return [claim for load in loads for claim in ((load,) if isinstance(load, Claim) else load.claims)]


def too_late(candidate: Candidate, now_ms: int, window_ms: int) -> bool:
    """Whether a repeat that the gate allowed has waited until the platform may have forgotten its Request-ID."""
    judgement = candidate.judgement
    if judgement.request_id is None or not isinstance(judgement.decision, SendSame):
        return False
    if isinstance(judgement.step, Importing | Updating):  # nobody is engaged by it, however often it is done
        return False
    return not within_window(judgement.requested_at_ms, now_ms, window_ms)


def unsent(claim: Claim) -> Settled:
    """A claim whose request was refused with others, and that nobody asks about any more."""
    why = "the run was stopped before this could be sent"
    return Settled(claim, InDoubt("stopped", why) if claim.doubtful else Failed("stopped", why), 0, 0)
