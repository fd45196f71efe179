"""What every submitter must keep: a claim goes in, a settled claim comes out, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import httpx
import pytest
from msgspec.structs import replace
from scripted_server import Conversation, answer, closed_port, drip, raw, scripted_server, silence

from batchrunner.api import Api
from batchrunner.clock import SystemClock
from batchrunner.model import Accepted, Claim, Failed, InDoubt, Key, Rejected, Request, RequestId, Row
from batchrunner.ports import Submitter
from batchrunner.retrying import RetryPolicy, Verdict
from batchrunner.submit import Facts, HttpSubmitter, Pacer, Throttle, make_transport, new_event_loop

Engine = Literal["fast", "pyreqwest", "httpx"]
engines = pytest.mark.parametrize("engine", ["fast", "pyreqwest", "httpx"])

REQUEST_ID = RequestId("0b0f1a9e-6f0e-4f0e-8f0e-000000000001")
POLICY = RetryPolicy(
    attempts=3, backoff_s=0.01, backoff_max_s=0.02, throttle_patience_s=0.5, resend=True, window_ms=86_400_000
)
ERROR_500 = answer(b"<h1>oops</h1>", status="500 Internal Server Error", kind="text/html")
THROTTLE = answer(b"", "Retry-After: 0.1", status="429 Too Many Requests")
TOKEN_REQUIRED = answer(b'{"error":401,"error_text":"API token required"}')


@dataclass(frozen=True)
class Target:
    """A `[target]` with short time-outs."""

    url: str
    token_in: Literal["header", "body"] = "header"
    connect_timeout: timedelta = timedelta(seconds=0.2)
    timeout: timedelta = timedelta(seconds=0.25)


@dataclass
class Bench:
    """A submitter and what it was made of."""

    submitter: HttpSubmitter
    throttle: Throttle


def a_claim(**changes: object) -> Claim:
    """A fresh claim."""
    claim = Claim(
        1, Request(Key(b"k" * 16), Row(1, 2, ("a",)), b'{"workflow_id":12}'), REQUEST_ID, SystemClock().now_ms()
    )
    return replace(claim, **changes)  # type: ignore[arg-type]


class ShortApi(Api):
    """An Api whose hard bound on an attempt is short."""

    def __init__(self, target: Target, token: str) -> None:
        """Shorten it."""
        super().__init__(target, token)
        self.attempt_limit_s = 0.5


@asynccontextmanager
async def bench(engine: Engine, url: str, policy: RetryPolicy = POLICY) -> AsyncIterator[Bench]:
    """Put a submitter together, and close it."""
    clock = SystemClock()
    throttle = Throttle(None, clock)
    transport = make_transport(engine, Facts(url, connect_timeout_s=0.2, timeout_s=0.25), 4)
    submitter = HttpSubmitter(ShortApi(Target(url), "t"), transport, throttle, policy, clock, lambda: 0.5)
    try:
        yield Bench(submitter, throttle)
    finally:
        await submitter.aclose()


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run on the loop that the product uses."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_within(story))


async def _within(story: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(10):
        await story()


def test_it_is_a_submitter() -> None:
    """The pipeline asks for nothing else. The type checker reads this test."""

    async def story() -> None:
        async with bench("httpx", "http://127.0.0.1:1") as b:
            submitter: Submitter = b.submitter
            assert submitter is b.submitter

    run(story)


@engines
def test_a_success_settles_the_claim(engine: Engine) -> None:
    """One attempt, one request."""

    async def story() -> None:
        async with scripted_server(answer()) as server, bench(engine, server.url) as b:
            claim = a_claim()
            settled = await b.submitter.submit(claim)
            assert settled.claim is claim
            assert settled.outcome == Accepted("5eeb54a2ce9448518e85fdad")
            assert (settled.attempts, settled.requests, settled.replayed, settled.refusal) == (1, 1, False, None)
            assert 0 <= settled.elapsed_ms < 1000

    run(story)


@engines
def test_every_retry_carries_the_same_request_id_and_body(engine: Engine) -> None:
    """So that the platform recognises a repeat; and a replayed answer is marked."""

    async def story() -> None:
        replay = answer(b'{"error":0}', "Duplicate-Request: true")
        async with scripted_server(ERROR_500, raw(then="close"), replay) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert settled.outcome == Accepted(None)
            assert (settled.attempts, settled.requests, settled.replayed) == (3, 3, True)
            assert {seen.headers["request-id"] for seen in server.seen} == {REQUEST_ID}
            assert {seen.body for seen in server.seen} == {b'{"workflow_id":12}'}

    run(story)


@engines
def test_a_throttled_request_does_not_lose_an_attempt(engine: Engine) -> None:
    """Two throttles, and all three attempts are still there."""

    async def story() -> None:
        script = (THROTTLE, THROTTLE, ERROR_500, ERROR_500, answer())
        async with scripted_server(*script) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, Accepted)
            assert (settled.attempts, settled.requests) == (3, 5)
            assert settled.elapsed_ms >= 200

    run(story)


@engines
def test_a_throttle_holds_the_other_claims_too(engine: Engine) -> None:
    """The second claim does not go to be throttled in its turn."""

    async def story() -> None:
        async with scripted_server(THROTTLE, answer()) as server, bench(engine, server.url) as b:
            first = asyncio.create_task(b.submitter.submit(a_claim()))
            await server.arrived.wait()
            await asyncio.sleep(0.03)
            second = asyncio.create_task(b.submitter.submit(a_claim()))
            await asyncio.sleep(0.02)
            assert len(server.seen) == 1
            assert (await first).requests == 2
            assert (await second).requests == 1

    run(story)


@engines
def test_patience_with_throttling_ends(engine: Engine) -> None:
    """And then the row certainly had no effect."""

    async def story() -> None:
        async with scripted_server(THROTTLE) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, Failed)
            assert (settled.outcome.code, settled.attempts) == ("throttled", 0)
            assert settled.requests == len(server.seen) >= 3

    run(story)


@engines
def test_attempts_end_in_doubt(engine: Engine) -> None:
    """The last evidence is kept."""

    async def story() -> None:
        async with scripted_server(ERROR_500) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert settled.outcome == InDoubt("http_500", "HTTP 500, text/html: <h1>oops</h1>")
            assert settled.attempts == len(server.seen) == POLICY.attempts

    run(story)


@engines
def test_without_deduplication_a_doubtful_request_is_never_sent_again(engine: Engine) -> None:
    """It might be done twice."""

    async def story() -> None:
        policy = replace(POLICY, resend=False)
        async with scripted_server(raw(then="close")) as server, bench(engine, server.url, policy) as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, InDoubt)
            assert (settled.attempts, len(server.seen)) == (1, 1)

    run(story)


@engines
def test_a_server_that_is_not_there_fails_the_row(engine: Engine) -> None:
    """No attempt was made, no request left; in doubt if an earlier run left it so."""

    async def story() -> None:
        async with bench(engine, f"http://127.0.0.1:{closed_port()}") as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, Failed)
            assert (settled.outcome.code, settled.attempts, settled.requests) == ("connect", 0, 0)
            settled = await b.submitter.submit(a_claim(doubtful=True))
            assert isinstance(settled.outcome, InDoubt)

    run(story)


@engines
def test_a_refusal_says_why_the_run_must_stop(engine: Engine) -> None:
    """At once, without a retry."""

    async def story() -> None:
        async with scripted_server(TOKEN_REQUIRED) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, Failed)
            assert settled.refusal == "the API refuses us with error 401: API token required"
            assert len(server.seen) == 1

    run(story)


@engines
def test_an_answer_that_drips_in_is_given_up(engine: Engine) -> None:
    """No single read times out, the attempt does; and the next attempt may succeed."""

    async def story() -> None:
        async with scripted_server(drip(every_s=0.05), answer()) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim())
            assert isinstance(settled.outcome, Accepted)
            assert (settled.attempts, len(server.seen)) == (2, 2)
        policy = replace(POLICY, attempts=1)
        async with scripted_server(drip(every_s=0.05)) as server, bench(engine, server.url, policy) as b:
            settled = await b.submitter.submit(a_claim())
            assert settled.outcome == InDoubt("read_timeout", "no whole answer within 0.5 s")
            current = asyncio.current_task()
            assert current is not None
            assert not current.cancelling()

    run(story)


@engines
def test_a_doubtful_claim_whose_window_is_over_is_not_sent(engine: Engine) -> None:
    """The platform would not recognise it."""

    async def story() -> None:
        async with scripted_server(answer()) as server, bench(engine, server.url) as b:
            settled = await b.submitter.submit(a_claim(doubtful=True, resent=True, requested_at_ms=0))
            assert isinstance(settled.outcome, InDoubt)
            assert (settled.outcome.code, settled.requests, server.seen) == ("window", 0, [])

    run(story)


@engines
def test_draining_waits_for_what_flies_and_sends_nothing_more(engine: Engine) -> None:
    """In flight: its answer counts. Waiting: settled at once. New: stopped."""

    async def story() -> None:
        gate = asyncio.Event()

        async def slow(talk: Conversation) -> None:
            await gate.wait()
            await answer()(talk)

        async with scripted_server(slow) as server, bench(engine, server.url) as b:
            flying = asyncio.create_task(b.submitter.submit(a_claim()))
            await server.connected.wait()
            b.throttle.pause(3600)
            waiting = asyncio.create_task(b.submitter.submit(a_claim()))
            doubtful = asyncio.create_task(b.submitter.submit(a_claim(doubtful=True)))
            await asyncio.sleep(0.01)
            b.submitter.drain()
            settled = await asyncio.gather(waiting, doubtful, b.submitter.submit(a_claim()))
            assert [type(one.outcome) for one in settled] == [Failed, InDoubt, Failed]
            assert {getattr(one.outcome, "code", "") for one in settled} == {"stopped"}
            assert {one.requests for one in settled} == {0}
            assert not flying.done()
            gate.set()
            assert isinstance((await flying).outcome, Accepted)
            assert len(server.seen) == 1

    run(story)


@engines
def test_draining_ends_the_wait_between_attempts(engine: Engine) -> None:
    """In doubt, and not sent again."""

    async def story() -> None:
        policy = replace(POLICY, backoff_s=3600.0, backoff_max_s=3600.0)
        async with scripted_server(ERROR_500) as server, bench(engine, server.url, policy) as b:
            task = asyncio.create_task(b.submitter.submit(a_claim()))
            await server.arrived.wait()
            await asyncio.sleep(0.05)
            b.submitter.drain()
            settled = await task
            assert isinstance(settled.outcome, InDoubt)
            assert (settled.attempts, len(server.seen)) == (1, 1)

    run(story)


@engines
def test_a_cancelled_submit_is_cancelled(engine: Engine) -> None:
    """The second signal is not turned into a verdict."""

    async def story() -> None:
        async with scripted_server(silence()) as server, bench(engine, server.url) as b:
            task = asyncio.create_task(b.submitter.submit(a_claim()))
            await server.arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(story)


# --- what cannot happen, but must not lose a row either ------------------------------------------


@dataclass
class OddApi:
    """An API room with a bug."""

    fails_in: str
    attempt_limit_s: float = 1.0
    calls: list[str] = field(default_factory=list)
    real: Api = field(default_factory=lambda: Api(Target("http://127.0.0.1:1"), "t"))

    def request_for(self, claim: Claim) -> httpx.Request:
        """Fail, or build."""
        self._step("request_for")
        return self.real.request_for(claim)

    def read_answer(self, response: httpx.Response) -> Verdict:
        """Fail, or read."""
        self._step("read_answer")
        return self.real.read_answer(response)

    def read_exception(self, error: Exception) -> Verdict:
        """Read."""
        return self.real.read_exception(error)

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails_in:
            raise KeyError(name)


@pytest.mark.parametrize(
    ("fails_in", "outcome"),
    [("request_for", Failed), ("read_answer", InDoubt), ("send", InDoubt), ("nothing", Rejected)],
)
def test_a_bug_of_ours_ends_in_an_outcome(fails_in: str, outcome: type) -> None:
    """Failed only if nothing can have left."""

    def handle(_: httpx.Request) -> httpx.Response:
        if fails_in == "send":
            raise ZeroDivisionError
        return httpx.Response(200, json={"error": 409})

    async def story() -> None:
        clock = SystemClock()
        transport = httpx.MockTransport(handle)
        submitter = HttpSubmitter(OddApi(fails_in), transport, Throttle(None, clock), POLICY, clock, lambda: 0.0)
        settled = await submitter.submit(a_claim())
        assert type(settled.outcome) is outcome
        await submitter.aclose()

    run(story)


def test_a_rate_is_kept() -> None:
    """Through the whole submitter: forty a second, twelve claims at once."""

    async def story() -> None:
        clock = SystemClock()
        left: list[float] = []

        def handle(_: httpx.Request) -> httpx.Response:
            left.append(clock.elapsed_s())
            return httpx.Response(200, json={"error": 0})

        throttle = Throttle(Pacer(40), clock)
        api = Api(Target("http://127.0.0.1:1"), "t")
        submitter = HttpSubmitter(api, httpx.MockTransport(handle), throttle, POLICY, clock, lambda: 0.0)
        await asyncio.gather(*(submitter.submit(a_claim()) for _ in range(12)))
        assert left[-1] - left[0] >= 11 / 40 - 0.06
        await submitter.aclose()

    run(story)
