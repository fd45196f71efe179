"""A line to a scripted server: an Api, a transport, and one attempt at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import httpx
import pytest

from batchrunner.api import Api
from batchrunner.model import Accepted, Claim, Key, Rejected, Request, RequestId, Row
from batchrunner.retrying import Answered, Doubtful, NeverSent, RefusedUs, Throttled, Verdict
from batchrunner.submit import make_transport, new_event_loop

Engine = Literal["fast", "httpx"]
engines = pytest.mark.parametrize("engine", ["fast", "httpx"])

REQUEST_ID = RequestId("0b0f1a9e-6f0e-4f0e-8f0e-000000000001")
CLAIM = Claim(1, Request(Key(b"k" * 16), Row(1, 2, ("a@b.example",)), b'{"workflow_id":12}'), REQUEST_ID, 0)
PROFILE = "5eeb54a2ce9448518e85fdad"


@dataclass(frozen=True)
class Target:
    """A `[target]` with short time-outs."""

    url: str
    token_in: Literal["header", "body"] = "header"
    connect_timeout: timedelta = timedelta(seconds=0.15)
    timeout: timedelta = timedelta(seconds=0.25)


@dataclass(frozen=True)
class Line:
    """An API and a transport to it."""

    api: Api
    transport: httpx.AsyncBaseTransport

    async def attempt(self) -> Verdict:
        """Make one attempt."""
        try:
            return self.api.read_answer(await self.transport.handle_async_request(self.api.request_for(CLAIM)))
        except Exception as error:  # noqa: BLE001  that is what is tested
            return self.api.read_exception(error)


@asynccontextmanager
async def line_to(engine: Engine, url: str, environ: dict[str, str] | None = None) -> AsyncIterator[Line]:
    """Open a line and close it."""
    target = Target(url)
    transport = make_transport(
        engine,
        url=url,
        connect_timeout_s=target.connect_timeout.total_seconds(),
        timeout_s=target.timeout.total_seconds(),
        connections=4,
        environ=environ or {},
    )
    try:
        yield Line(Api(target, "secret-token"), transport)
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
