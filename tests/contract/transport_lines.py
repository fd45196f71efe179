"""A line to a scripted server: an Api, a transport, and one attempt at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest

from batchrunner.api import Api
from batchrunner.config import ConnectionTable
from batchrunner.model import Accepted, Claim, Key, Rejected, Request, RequestId, Row
from batchrunner.retrying import Answered, Doubtful, NeverSent, RefusedUs, Throttled, Verdict
from batchrunner.submit import Facts, connection_facts, make_transport, new_event_loop
from batchrunner.submit.flight import Post, post_of

Engine = Literal["fast", "posted", "pyreqwest", "httpx"]
"""`posted` is the fast one, asked without waiting wherever a connection is open."""

engines = pytest.mark.parametrize("engine", ["fast", "posted", "pyreqwest", "httpx"])

REQUEST_ID = RequestId("0b0f1a9e-6f0e-4f0e-8f0e-000000000001")
CLAIM = Claim(1, Request(Key(b"k" * 16), Row(1, 2, ("a@b.example",)), b'{"workflow_id":12}'), REQUEST_ID, 0)
PROFILE = "5eeb54a2ce9448518e85fdad"


@dataclass(frozen=True)
class Target:
    """A `[target]` with short time-outs."""

    url: str
    token_in: Literal["header", "body"] = "header"
    connect_timeout: timedelta = timedelta(seconds=1)  # a busy machine takes its time for a handshake
    timeout: timedelta = timedelta(seconds=0.25)


@dataclass(frozen=True)
class Line:
    """An API and a transport to it."""

    api: Api
    transport: httpx.AsyncBaseTransport
    post: Post | None = None

    async def attempt(self) -> Verdict:
        """Make one attempt."""
        try:
            return self.api.read_answer(await self._answer(self.api.request_for(CLAIM)))
        except Exception as error:  # noqa: BLE001  that is what is tested
            return self.api.read_exception(error)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        told = Told()
        way = None if self.post is None else self.post(request, told)
        if way is None:
            return await self.transport.handle_async_request(request)
        try:
            return await told.answer
        finally:
            way.give_up(told)


class Told:
    """Somebody who has asked, and is told once."""

    def __init__(self) -> None:
        """Nothing has been told."""
        self.answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()

    def answered(self, answer: httpx.Response) -> None:
        """There is an answer."""
        self.answer.set_result(answer)

    def failed(self, error: httpx.TransportError) -> None:
        """There is none."""
        self.answer.set_exception(error)


def facts(
    target: Target,
    environ: dict[str, str] | None = None,
    connection: dict[str, object] | None = None,
    insecure: bool = False,
    plain: bool = False,
) -> Facts:
    """What environment and job say of the way there."""
    table = ConnectionTable.model_validate(connection or {})
    return connection_facts(target, table, insecure=insecure, environ=environ or {}, beside=Path, plain=plain)


@asynccontextmanager
async def line_to(
    engine: Engine,
    url: str,
    environ: dict[str, str] | None = None,
    connection: dict[str, object] | None = None,
    insecure: bool = False,
) -> AsyncIterator[Line]:
    """Open a line and close it. `connection` is the job's table of that name."""
    target = Target(url)
    transport = make_transport(
        "fast" if engine == "posted" else engine, facts(target, environ, connection, insecure=insecure), 4
    )
    try:
        yield Line(Api(target, "secret-token"), transport, post_of(transport) if engine == "posted" else None)
    finally:
        await transport.aclose()


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run on the loop that the product uses."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_within(story))


async def _within(story: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(10):
        await story()


def short(verdict: Verdict) -> tuple[str, str]:
    """The kind of a verdict, and its code."""
    match verdict:
        case Answered(Accepted(profile_id)):
            return "accepted", str(profile_id)
        case Answered(Rejected(code)):
            return "rejected", code
        case Throttled(retry_after_s):
            return "throttled", str(retry_after_s)
        case Doubtful(code) | NeverSent(code) | RefusedUs(code):
            return type(verdict).__name__, code
        case _:
            pytest.fail(f"no other verdict is known: {verdict}")
