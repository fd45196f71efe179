"""The gate: send now, or hold back, and why? Pure decisions over what the ledger knows of a key.

Resume, re-run failed and skip repeats are this one question.
"""

from __future__ import annotations

from msgspec.structs import replace

from batchrunner.model import RunId, SkipReason, State, Value
from batchrunner.ports import Standing

WINDOW_MARGIN_MS = 5 * 60 * 1000
"""How much earlier than the platform we consider its window over: clocks differ, and a request takes time."""


class SendNew(Value, frozen=True):
    """Send under a new Request-ID."""


class SendSame(Value, frozen=True):
    """Send again under the Request-ID of the earlier claim, so that the platform recognises a repeat."""

    or_new: bool = False
    """Where the very same request cannot be made again, a new one may be: nobody is engaged, or a person decided so."""


class Hold(Value, frozen=True):
    """Do not send."""

    reason: SkipReason


Decision = SendNew | SendSame | Hold

_HOLD_ACCEPTED = Hold(SkipReason.ACCEPTED)


class GatePolicy(Value, frozen=True):
    """What the job says about rows that the ledger already knows."""

    resend_in_doubt: bool
    """The job says `resend`, and the installation deduplicates or nobody is engaged."""
    window_ms: int
    """How long the platform recognises a Request-ID."""
    repeat_after_ms: int | None = None
    """Accepted rows older than this are forgotten."""
    again: frozenset[State] = frozenset()
    """States that the user has asked to send again (`retry`): may hold REJECTED."""
    repeat_safe: bool = False
    """What is sent engages nobody: to do it twice changes nothing, whether or not the platform recognises it."""
    holds: bool = False
    """The job says `hold`: what is in doubt waits for a person, even where nobody is engaged by it."""

    @property
    def of_harmless(self) -> GatePolicy:
        """For requests of the job that engage nobody."""
        return replace(self, resend_in_doubt=not self.holds, repeat_safe=True)


def within_window(requested_at_ms: int, now_ms: int, window_ms: int) -> bool:
    """Whether a repeat of a Request-ID first used then is still certain to be recognised now."""
    return 0 <= now_ms - requested_at_ms < window_ms - WINDOW_MARGIN_MS


def judge(standing: Standing | None, run: RunId, policy: GatePolicy, now_ms: int) -> Decision:
    """Decide about one key, given how it stands in the ledger (None: never claimed)."""
    if standing is None:
        return SendNew()
    if standing.ref.run == run:
        return Hold(SkipReason.REPEAT_IN_RUN)
    match standing.state:
        case State.ACCEPTED:
            return _judge_accepted(standing, policy, now_ms)
        case State.REJECTED:
            return SendNew() if State.REJECTED in policy.again else Hold(SkipReason.REJECTED)
        case State.FAILED:
            return SendNew()
        case State.RESEND:
            safe = not standing.replayed and within_window(standing.requested_at_ms, now_ms, policy.window_ms)
            return SendSame(or_new=True) if safe else SendNew()
        case State.IN_DOUBT | State.CLAIMED:
            return _judge_in_doubt(standing, policy, now_ms)


def _judge_accepted(standing: Standing, policy: GatePolicy, now_ms: int) -> Decision:
    forgotten = policy.repeat_after_ms is not None and now_ms - standing.requested_at_ms >= policy.repeat_after_ms
    return SendNew() if forgotten else _HOLD_ACCEPTED


def _judge_in_doubt(standing: Standing, policy: GatePolicy, now_ms: int) -> Decision:
    if not policy.resend_in_doubt:
        return Hold(SkipReason.IN_DOUBT)
    # A replayed error answers every repeat of this Request-ID alike: sending it again tells us nothing new.
    if not standing.replayed and within_window(standing.requested_at_ms, now_ms, policy.window_ms):
        return SendSame(or_new=policy.repeat_safe)
    if policy.repeat_safe:
        return SendNew()
    return Hold(SkipReason.IN_DOUBT if standing.replayed else SkipReason.WINDOW)
