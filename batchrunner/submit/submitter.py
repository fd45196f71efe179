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
from batchrunner.submit.flight import Flight, Reads, post_of

if TYPE_CHECKING:
    import httpx

    from batchrunner.clock import Clock
    from batchrunner.ports import Landing
    from batchrunner.submit.slots import Slots
    from batchrunner.submit.throttle import Throttle


_NEW = History()


class SpeaksApi(Reads, Protocol):
    """What the submitter asks of the API room: words for a claim, and the meaning of an answer."""

    @property
    def attempt_limit_s(self) -> float:
        """The hard bound on one attempt, from connecting to the last byte of the answer."""
        ...

    def request_for(self, claim: Claim) -> httpx.Request:
        """The HTTP request of a claim: always the same one, with the same Request-ID."""
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
        limit_s = attempt_limit_s or api.attempt_limit_s
        self._deadline = Deadline(limit_s)
        self._overdue = Doubtful("read_timeout", f"no whole answer within {limit_s:g} s")
        self._post = post_of(transport)

    async def submit(self, claim: Claim, api: SpeaksApi | None = None, policy: RetryPolicy | None = None) -> Settled:
        """Send a claimed request until it is settled. Never raises for what the network or the API does.

        `api` has other words for this one claim, `policy` says how far it may be repeated.
        """
        return await self._until_settled(claim, api or self._api, policy or self._policy, self._clock.elapsed_s())

    def begin(self, claim: Claim, landing: Landing) -> bool:
        """Send a claim at once, where nothing has to be waited for. False: nothing was sent; it has to be submitted."""
        if self._post is None or claim.doubtful or not self._throttle.open:
            return False
        flight = Flight(claim, landing, self._clock.elapsed_s(), self._api, self._came, self._overdue)
        try:
            flight.way = self._post(self._api.request_for(claim), flight)
        except Exception:  # noqa: BLE001  nothing was sent: `submit` meets the same, and says what it means
            return False
        if flight.way is None:
            return False
        self._deadline.begin(flight)
        return True

    def _came(self, flight: Flight, verdict: Verdict) -> None:
        """A claim that has been begun has come to something: nearly always to its end."""
        self._deadline.end(flight)
        claim, landing = flight.claim, flight.landing
        if isinstance(verdict, Answered):
            landing.landed(self._settled(claim, settle(verdict, _NEW), flight.started_s))
        else:
            rest = self._until_settled(claim, self._api, self._policy, flight.started_s, verdict)
            landing.goes_on(claim, rest)

    async def _until_settled(
        self, claim: Claim, api: SpeaksApi, policy: RetryPolicy, started_s: float, verdict: Verdict | None = None
    ) -> Settled:
        """Attempt after attempt. With a `verdict`, the first one has been made, and came to that."""
        history = History(doubtful=True, exposed=claim.resent) if claim.doubtful else _NEW
        while True:
            if verdict is None:
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
            verdict = None
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
            return self._overdue
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
