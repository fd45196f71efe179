"""What an attempt came to, and what to do about it: pure decisions; the submitter does the deeds.

    verdict       sent?      effect?    then
    Answered      yes        known      settle
    Doubtful      perhaps    unknown    again under the same Request-ID, or settle as in doubt
    NeverSent     no         none       again, then Failed
    Throttled     yes        none       everybody waits; not an attempt; Failed when patience is used up
    RefusedUs     yes        none       Failed, and the run stops

The law: once a claim is doubtful, only an answer lifts the doubt. It can never end as Failed.
"""

from __future__ import annotations

import math
from typing import assert_never

from msgspec.structs import replace

from batchrunner.gate import within_window
from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Rejected, Value

LONGEST_RETRY_AFTER_S = 300.0
"""A server that asks for more is asked again after this: a typing error in a proxy must not park a run for a day."""

SHORTEST_THROTTLE_S = 0.1
"""However small the back-off is: throttled rows use their patience up, and do not hammer."""

_MOST_DOUBLINGS = 60


# --- verdicts: the closed set of what one attempt can come to -----------------------------------


class Answered(Value, frozen=True):
    """The API gave an answer that can be trusted."""

    outcome: Accepted | Rejected
    replayed: bool = False
    """It is the stored answer to an earlier request with this Request-ID."""


class Doubtful(Value, frozen=True):
    """It left us, or may have, and no answer came that can be trusted."""

    code: str
    text: str
    retry_after_s: float | None = None
    replayed: bool = False
    """The platform replays a stored error: every repeat under this Request-ID will be answered alike."""
    transient: bool = False
    """The server itself is in trouble, so its Retry-After is meant for everybody."""


class NeverSent(Value, frozen=True):
    """Certainly not one byte of the request left us: no connection was ever open."""

    code: str
    text: str


class Throttled(Value, frozen=True):
    """Turned away unprocessed (429): too many requests."""

    retry_after_s: float | None = None


class RefusedUs(Value, frozen=True):
    """The sender is refused and not the row: the next row would be refused too."""

    code: str
    text: str


Verdict = Answered | Doubtful | NeverSent | Throttled | RefusedUs


# --- what decisions are made from ---------------------------------------------------------------


class RetryPolicy(Value, frozen=True):
    """What the job says about trying again."""

    attempts: int
    """At most so many tries a claim, throttled ones not counted."""
    backoff_s: float
    """The longest wait before the second try; doubles with each further one."""
    backoff_max_s: float
    throttle_patience_s: float
    resend: bool
    """A doubtful claim may be sent again: the installation deduplicates and the job does not say hold."""
    window_ms: int
    """How long the platform recognises a Request-ID."""


class History(Value, frozen=True):
    """What has happened to one claim in this run so far."""

    attempts: int = 0
    """POSTs that may have been looked at."""
    requests: int = 0
    """POSTs that left, throttled ones included."""
    unsent: int = 0
    """Tries that ended before a connection was open."""
    throttled_s: float = 0.0
    """Time given to waiting because of 429."""
    doubtful: bool = False
    """An attempt of this run or of an earlier one may have taken effect."""
    exposed: bool = False
    """An attempt under this very Request-ID may have taken effect: the platform's window binds it."""

    @property
    def tries(self) -> int:
        """What the job's `attempts` limits."""
        return self.attempts + self.unsent


class Moment(Value, frozen=True):
    """When a decision is made."""

    now_ms: int
    requested_at_ms: int
    """When the Request-ID was first claimed."""
    random: float
    """In [0, 1): the jitter."""
    draining: bool = False
    """The run is being stopped: nothing is started any more, nobody waits."""


# --- decisions ----------------------------------------------------------------------------------


class Settle(Value, frozen=True):
    """The claim has ended."""

    outcome: Outcome
    history: History
    replayed: bool = False
    refusal: str | None = None


class Again(Value, frozen=True):
    """Try again after a wait that concerns this claim only."""

    wait_s: float
    history: History


class Pause(Value, frozen=True):
    """Try again after a wait that holds everybody."""

    wait_s: float
    history: History


Decision = Settle | Again | Pause


def decide(verdict: Verdict, history: History, policy: RetryPolicy, moment: Moment) -> Decision:
    """What to do after an attempt. `history` is how things stood before it."""
    match verdict:
        case Answered():
            return settle(verdict, history)
        case RefusedUs():
            failed = Failed(verdict.code, verdict.text)
            return Settle(lawful(failed, doubtful=history.doubtful), _attempted(history), refusal=verdict.text)
        case Doubtful():
            return _after_doubt(verdict, replace(_attempted(history), doubtful=True, exposed=True), policy, moment)
        case NeverSent():
            return _after_no_connection(verdict, replace(history, unsent=history.unsent + 1), policy, moment)
        case Throttled():
            return _after_throttle(verdict, replace(history, requests=history.requests + 1), policy, moment)
        case _:
            assert_never(verdict)


def settle(verdict: Answered, history: History) -> Settle:
    """An answer ends every claim, and lifts every doubt."""
    return Settle(verdict.outcome, _attempted(history), verdict.replayed)


def hold_back(history: History, policy: RetryPolicy, moment: Moment) -> Settle | None:
    """The last look before a send: an end instead of a send, or None when it may leave."""
    if moment.draining:
        return _end(Failed("stopped", "the run was stopped before this could be sent"), history)
    if history.exposed and not _recognised(policy, moment, wait_s=0.0):
        return _end(
            Failed("window", "the platform may no longer recognise this Request-ID, so it was not sent"), history
        )
    return None


def backoff_s(tries: int, policy: RetryPolicy, random: float) -> float:
    """Capped exponential back-off with full jitter, after so many tries."""
    return random * _ceiling_s(tries, policy)


def obeyed_s(retry_after_s: float | None) -> float:
    """The part of a Retry-After that is obeyed: never negative, never absurd."""
    if retry_after_s is None or math.isnan(retry_after_s):
        return 0.0
    return min(max(retry_after_s, 0.0), LONGEST_RETRY_AFTER_S)


def _after_doubt(verdict: Doubtful, history: History, policy: RetryPolicy, moment: Moment) -> Decision:
    wait_s = max(backoff_s(history.tries, policy, moment.random), obeyed_s(verdict.retry_after_s))
    final = (
        verdict.replayed
        or not policy.resend
        or moment.draining
        or history.tries >= policy.attempts
        or not _recognised(policy, moment, wait_s)
    )
    if final:
        return Settle(InDoubt(verdict.code, verdict.text), history, verdict.replayed)
    if verdict.transient and verdict.retry_after_s is not None:
        return Pause(wait_s, history)
    return Again(wait_s, history)


def _after_no_connection(verdict: NeverSent, history: History, policy: RetryPolicy, moment: Moment) -> Decision:
    wait_s = backoff_s(history.tries, policy, moment.random)
    if moment.draining:
        return _end(Failed("stopped", f"the run was stopped before this could be sent: {verdict.text}"), history)
    if history.tries >= policy.attempts or _too_late(history, policy, moment, wait_s):
        return _end(Failed(verdict.code, verdict.text), history)
    return Again(wait_s, history)


def _after_throttle(verdict: Throttled, history: History, policy: RetryPolicy, moment: Moment) -> Decision:
    left_s = policy.throttle_patience_s - history.throttled_s
    # Half of the jitter only: it spreads the rows, and patience is certain to be used up in the end.
    own_s = _ceiling_s(history.requests - history.attempts, policy) * (0.5 + moment.random / 2)
    wait_s = min(max(own_s, obeyed_s(verdict.retry_after_s), SHORTEST_THROTTLE_S), max(left_s, 0.0))
    if moment.draining:
        return _end(Failed("stopped", "the run was stopped while the API asked to wait (429)"), history)
    if wait_s <= 0 or _too_late(history, policy, moment, wait_s):
        return _end(
            Failed("throttled", f"the API asked to wait (429) for more than {history.throttled_s:.0f} s"), history
        )
    return Pause(wait_s, replace(history, throttled_s=history.throttled_s + wait_s))


def _ceiling_s(tries: int, policy: RetryPolicy) -> float:
    return min(policy.backoff_max_s, policy.backoff_s * 2.0 ** min(max(tries - 1, 0), _MOST_DOUBLINGS))


def _too_late(history: History, policy: RetryPolicy, moment: Moment, wait_s: float) -> bool:
    # A Request-ID that certainly never took effect may leave at any time: there is nothing to be repeated.
    return history.exposed and not _recognised(policy, moment, wait_s)


def _recognised(policy: RetryPolicy, moment: Moment, wait_s: float) -> bool:
    return within_window(moment.requested_at_ms, moment.now_ms + math.ceil(wait_s * 1000), policy.window_ms)


def _attempted(history: History) -> History:
    return replace(history, attempts=history.attempts + 1, requests=history.requests + 1)


def _end(outcome: Failed, history: History) -> Settle:
    return Settle(lawful(outcome, doubtful=history.doubtful), history)


def lawful(outcome: Failed | Rejected, *, doubtful: bool) -> Failed | Rejected | InDoubt:
    """The law: what ends without an answer to the claim itself cannot lift a doubt."""
    if doubtful:
        return InDoubt(outcome.code, f"{outcome.text}; an earlier attempt may have taken effect")
    return outcome
