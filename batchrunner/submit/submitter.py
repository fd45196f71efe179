"""A claim in, a settled claim out: throttle, attempt, verdict, decision, until there is an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, assert_never

from batchrunner.model import Claim, Settled
from batchrunner.ports import Durable, durable_of
from batchrunner.retrying import (
    Again,
    Answered,
    Doubtful,
    History,
    Moment,
    NeverSent,
    Pause,
    RefusedUs,
    RetryPolicy,
    Settle,
    Throttled,
    Verdict,
    decide,
    hold_back,
    settle,
)
from batchrunner.submit.adaptive import End
from batchrunner.submit.deadline import Deadline

if TYPE_CHECKING:
    import httpx

    from batchrunner.clock import Clock
    from batchrunner.submit.slots import Slots
    from batchrunner.submit.throttle import Throttle


_NEW = History()


class SpeaksApi(Protocol):
    """What the submitter asks of the API room: words for a claim, and the meaning of an answer."""

    @property
    def attempt_limit_s(self) -> float:
        """The hard bound on one attempt, from connecting to the last byte of the answer."""
        ...

    def request_for(self, claim: Claim) -> httpx.Request:
        """The HTTP request of a claim: always the same one, with the same Request-ID."""
        ...

    def read_answer(self, response: httpx.Response) -> Verdict:
        """What an answer that was read to its end means."""
        ...

    def read_exception(self, error: Exception) -> Verdict:
        """What it means that no answer could be read."""
        ...


class HttpSubmitter:
    """The HTTP side of a run. Many claims may be submitted at once, all on one event loop."""

    def __init__(  # noqa: PLR0913, PLR0917  the parts that make it up
        self,
        api: SpeaksApi,
        transport: httpx.AsyncBaseTransport,
        throttle: Throttle,
        policy: RetryPolicy,
        clock: Clock,
        random: Callable[[], float],
        attempt_limit_s: float | None = None,
    ) -> None:
        """`transport` gives back whole answers (see `transports`) and belongs to the submitter from now on.

        `attempt_limit_s` bounds one attempt in all; without it the API's own time-outs do.
        """
        self._api = api
        self._transport = transport
        self._throttle = throttle
        self._slots = throttle.slots
        self._policy = policy
        self._clock = clock
        self._random = random
        self._limit_s = attempt_limit_s or api.attempt_limit_s
        self._deadline = Deadline(self._limit_s)

    async def submit(self, claim: Claim, api: SpeaksApi | None = None, policy: RetryPolicy | None = None) -> Settled:
        """Send a claimed request until it is settled. Never raises for what the network or the API does.

        `api` has other words for this one claim, `policy` says how far it may be repeated.
        """
        api, policy = api or self._api, policy or self._policy
        started_s = self._clock.elapsed_s()
        history = History(doubtful=True, exposed=claim.resent) if claim.doubtful else _NEW
        while True:
            may_leave = self._throttle.open or await self._throttle.turn()
            if not may_leave or history.doubtful:  # nothing else can hold it back
                held = hold_back(history, policy, self._moment(claim))
                if held is not None:
                    if may_leave and self._slots is not None:
                        self._slots.give_back()
                    return self._settled(claim, held, started_s)
            verdict = await (
                self._attempt(claim, api) if self._slots is None else self._attempt_in(self._slots, claim, api)
            )
            if isinstance(verdict, Answered):  # nearly every row, and there is nothing to be weighed
                return self._settled(claim, settle(verdict, history), started_s)
            decision = decide(verdict, history, policy, self._moment(claim))
            match decision:
                case Settle():
                    return self._settled(claim, decision, started_s)
                case Again(wait_s, history):
                    await self._throttle.rest(wait_s)
                case Pause(wait_s, history):
                    self._throttle.pause(wait_s)
                case _:
                    assert_never(decision)

    @property
    def durable(self) -> Durable | None:
        """The transport's own, where its answers wait for that."""
        return durable_of(self._transport)

    def drain(self) -> None:
        """Send nothing from now on. What is in flight is waited for; everything else settles at once."""
        self._throttle.drain()

    async def aclose(self) -> None:
        """Close connections."""
        self._deadline.close()
        await self._transport.aclose()

    async def _attempt(self, claim: Claim, api: SpeaksApi) -> Verdict:
        try:
            request = api.request_for(claim)
        except Exception as error:  # noqa: BLE001  an edge: a row must end in an outcome, and nothing was sent
            return NeverSent(f"bug:{type(error).__name__}", "the request could not be built; please report this")
        try:
            # Time-outs are per read, and an answer that drips in beats each of them: hence the deadline.
            answer = await self._deadline.within(self._transport.handle_async_request(request))
            return api.read_answer(answer)
        except TimeoutError:
            return Doubtful("read_timeout", f"no whole answer within {self._limit_s:g} s")
        except Exception as error:  # noqa: BLE001  an edge: whatever happens once a byte may have left is a verdict
            return api.read_exception(error)

    async def _attempt_in(self, slots: Slots, claim: Claim, api: SpeaksApi) -> Verdict:
        began_s, end = slots.left(), End.FAILED  # also when it is given up
        try:
            verdict = await self._attempt(claim, api)
            end = _told_by(verdict)
        finally:
            slots.landed(began_s, end)
        return verdict

    def _moment(self, claim: Claim) -> Moment:
        return Moment(self._clock.now_ms(), claim.requested_at_ms, self._random(), self._throttle.draining)

    def _settled(self, claim: Claim, end: Settle, started_s: float) -> Settled:
        return Settled(
            claim,
            end.outcome,
            attempts=end.history.attempts,
            requests=end.history.requests,
            replayed=end.replayed,
            elapsed_ms=round((self._clock.elapsed_s() - started_s) * 1000),
            refusal=end.refusal,
        )


def _told_by(verdict: Verdict) -> End:
    """What an adaptive limit learns from an attempt."""
    match verdict:
        case Throttled():
            return End.THROTTLED
        case Doubtful(replayed=False) | NeverSent():
            return End.FAILED
        case Answered() | RefusedUs() | Doubtful():
            return End.WELL
        case _:
            assert_never(verdict)
