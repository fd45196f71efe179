"""The short way of a claim keeps what the long one keeps, and is taken only where nothing has to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from msgspec.structs import replace
from scripted_server import Conversation, Step, answer, drip, head, raw, scripted_server, silence
from test_submitters import ERROR_500, POLICY, REQUEST_ID, THROTTLE, Bench, a_claim, bench, run

from batchrunner.model import Accepted, Claim, Failed, InDoubt, Settled
from batchrunner.submit.heads import Heads

PAIRS = [("content-type", "application/json"), ("content-length", "11")]
HEAD = head("200 OK", "Content-Type: application/json", "Content-Length: 11")


class Landed:
    """Where claims come back; what needs a task is given one."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.ends: list[Settled] = []
        self.went_on = 0
        self.come = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def landed(self, end: Settled) -> None:
        """It has been settled."""
        self.ends.append(end)
        self.come.set()

    def goes_on(self, claim: Claim, rest: Coroutine[Any, Any, Settled]) -> None:
        """It needs a task."""
        assert claim.request_id == REQUEST_ID
        self.went_on += 1
        self._tasks.append(asyncio.create_task(self._finish(rest)))

    async def _finish(self, rest: Coroutine[Any, Any, Settled]) -> None:
        self.landed(await rest)


async def begun(b: Bench) -> Landed:
    """One claim the long way, for its connection; the next one the short way."""
    landed = Landed()
    assert not b.submitter.begin(a_claim(), landed), "there is no connection yet"
    assert isinstance((await b.submitter.submit(a_claim())).outcome, Accepted)
    claim = a_claim()
    assert b.submitter.begin(claim, landed)
    assert not landed.ends, "nobody is told while he asks"
    await landed.come.wait()
    assert landed.ends[0].claim is claim
    return landed


@pytest.mark.parametrize(
    ("steps", "outcome", "attempts", "went_on"),
    [
        ([answer()], Accepted("5eeb54a2ce9448518e85fdad"), 1, 0),
        ([ERROR_500, answer()], Accepted("5eeb54a2ce9448518e85fdad"), 2, 1),
        ([THROTTLE, answer()], Accepted("5eeb54a2ce9448518e85fdad"), 1, 1),
        ([raw(then="close"), raw(then="close"), answer()], Accepted("5eeb54a2ce9448518e85fdad"), 3, 1),
        ([silence()], InDoubt("read_timeout", "ReadTimeout: nothing came for 0.25 s"), 3, 1),
        ([drip(every_s=0.05)], InDoubt("read_timeout", "no whole answer within 0.5 s"), 3, 1),
    ],
)
def test_it_ends_as_by_the_long_way(steps: list[Step], outcome: object, attempts: int, went_on: int) -> None:
    """What is not settled by one answer goes on from there, under the same Request-ID, its first attempt counted."""

    async def story() -> None:
        async with scripted_server(answer(), *steps) as server, bench("fast", server.url) as b:
            landed = await begun(b)
            assert (landed.ends[0].outcome, landed.ends[0].attempts, landed.went_on) == (outcome, attempts, went_on)
            assert len(landed.ends) == 1
            assert {seen.headers["request-id"] for seen in server.seen} == {REQUEST_ID}

    run(story)


def test_the_next_claim_leaves_on_the_same_connection_before_the_loop_turns() -> None:
    """Whoever is told of an end may begin at once."""

    async def story() -> None:
        async with scripted_server(answer()) as server, bench("fast", server.url) as b:

            class Again(Landed):
                def landed(self, end: Settled) -> None:
                    if len(self.ends) < 5:
                        assert b.submitter.begin(a_claim(), self)
                    self.ends.append(end)
                    if len(self.ends) == 6:
                        self.come.set()

            await b.submitter.submit(a_claim())
            landed = Again()
            assert b.submitter.begin(a_claim(), landed)
            await landed.come.wait()
            assert (len(server.seen), server.connections) == (7, 1)

    run(story)


def test_it_is_not_taken_where_something_has_to_be_waited_for_or_weighed() -> None:
    """A pause, a doubt, the end of the run: nothing is sent."""

    async def story() -> None:
        async with scripted_server(answer()) as server, bench("fast", server.url) as b:
            await begun(b)
            sent = len(server.seen)
            assert not b.submitter.begin(a_claim(doubtful=True, resent=True), Landed())
            b.throttle.pause(60.0)
            assert not b.submitter.begin(a_claim(), Landed())
            b.submitter.drain()
            assert not b.submitter.begin(a_claim(), Landed())
            assert (await b.submitter.submit(a_claim())).outcome == Failed(
                "stopped", "the run was stopped before this could be sent"
            )
            assert len(server.seen) == sent

    run(story)


def test_a_run_that_is_stopped_gives_up_its_next_attempt() -> None:
    """What the first one has left in doubt stays so."""

    async def story() -> None:
        async with scripted_server(answer(), ERROR_500) as server, bench("fast", server.url) as b:
            landed = Landed()
            await b.submitter.submit(a_claim())
            assert b.submitter.begin(a_claim(), landed)
            b.submitter.drain()
            await landed.come.wait()
            assert isinstance(landed.ends[0].outcome, InDoubt)
            assert len(server.seen) == 2

    run(story)


def test_a_policy_without_repeats_leaves_the_doubt() -> None:
    """Where the platform would not recognise a repeat, the one attempt is all there is."""

    async def story() -> None:
        policy = replace(POLICY, resend=False)
        async with scripted_server(answer(), ERROR_500) as server, bench("fast", server.url, policy) as b:
            landed = await begun(b)
            assert isinstance(landed.ends[0].outcome, InDoubt)
            assert len(server.seen) == 2

    run(story)


def test_nobody_is_told_after_the_end() -> None:
    """What flies when everything is closed is given up, and its connection with it."""

    async def story() -> None:
        gone = asyncio.Event()

        async def wait_for_the_end(talk: Conversation) -> None:
            await talk.read_request()
            assert await talk.reader.read() == b""
            gone.set()

        async with scripted_server(answer(), wait_for_the_end) as server:
            landed = Landed()
            async with bench("fast", server.url) as b:
                await b.submitter.submit(a_claim())
                server.arrived.clear()
                assert b.submitter.begin(a_claim(), landed)
                await server.arrived.wait()
            await gone.wait()
            assert not landed.ends
            assert not landed.went_on

    run(story)


# --- heads that are known ---------------------------------------------------------------------------


def test_an_answer_with_a_known_head_is_known() -> None:
    """Its body is its own."""
    heads = Heads()
    assert heads.answer(HEAD + b'{"error":0}', 100) is None
    heads.learn(HEAD + b'{"error":0}', 200, PAIRS)
    found = heads.answer(HEAD + b'{"error":1}', 100)
    assert found is not None
    assert (found.status_code, found.content, found.headers["content-type"]) == (
        200, b'{"error":1}', "application/json",
    )  # fmt: skip


@pytest.mark.parametrize("data", [HEAD, HEAD + b'{"error":0', HEAD + b'{"error":0} ', HEAD[:-2] + b"X: y\r\n\r\n{}"])
def test_what_is_not_all_of_one_answer_is_left_to_the_parser(data: bytes) -> None:
    """Too little, too much, another head."""
    heads = Heads()
    heads.learn(HEAD + b'{"error":0}', 200, PAIRS)
    assert heads.answer(data, 100) is None


def test_an_answer_that_is_larger_than_its_reader_wants_is_left_to_the_parser() -> None:
    """Known or not, bounds hold."""
    heads = Heads()
    heads.learn(HEAD + b'{"error":0}', 200, PAIRS)
    assert heads.answer(HEAD + b'{"error":0}', 11) is None
    assert heads.answer(HEAD + b'{"error":0}', 12) is not None


@pytest.mark.parametrize(
    ("status", "pairs"),
    [
        (201, PAIRS),
        (200, [*PAIRS, ("transfer-encoding", "chunked")]),
        (200, [*PAIRS, ("content-encoding", "gzip")]),
        (200, [*PAIRS, ("upgrade", "h2c")]),
        (200, [("content-length", "12")]),
        (200, [*PAIRS, ("content-length", "11")]),
        (200, []),
    ],
)
def test_a_head_that_says_more_than_a_length_is_not_learned(status: int, pairs: list[tuple[str, str]]) -> None:
    """Only a plain success is so common that it pays."""
    heads = Heads()
    heads.learn(HEAD + b'{"error":0}', status, pairs)
    assert heads.answer(HEAD + b'{"error":0}', 100) is None


def test_heads_are_forgotten_before_they_are_many() -> None:
    """A server that says another one in each answer does not fill the memory."""
    heads = Heads()
    for number in range(1000):
        heads.learn(HEAD[:-2] + b"N: %d\r\n\r\n" % number + b'{"error":0}', 200, PAIRS)
    assert heads.answer(HEAD[:-2] + b'N: 1\r\n\r\n{"error":0}', 100) is None
    assert heads.answer(HEAD[:-2] + b'N: 999\r\n\r\n{"error":0}', 100) is not None
