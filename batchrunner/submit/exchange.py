"""One request and its answer, outside a run: on the very engine and connection that a run would use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from batchrunner.clock import Clock
from batchrunner.submit.facts import Facts
from batchrunner.submit.loop import new_event_loop
from batchrunner.submit.transports import Kind, make_transport


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back, and when."""

    response: httpx.Response | None
    error: Exception | None
    """Why no answer could be read."""
    sent_ms: int
    came_ms: int


def exchange_all(kind: Kind, facts: Facts, requests: Sequence[httpx.Request], clock: Clock) -> list[Exchange]:
    """Send requests one after the other, and stop at the first that gets no answer. Raises ConfigError."""

    async def ask() -> list[Exchange]:
        transport = make_transport(kind, facts, 1)
        limit_s = facts.attempt_timeout_s or facts.connect_timeout_s + facts.timeout_s
        answers: list[Exchange] = []
        try:
            for request in requests:
                answers.append(await _one(transport, _with_timeouts(request, facts), limit_s, clock))
                if answers[-1].error is not None:
                    break
        finally:
            await transport.aclose()
        return answers

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(ask())


async def _one(transport: httpx.AsyncBaseTransport, request: httpx.Request, limit_s: float, clock: Clock) -> Exchange:
    sent_ms = clock.now_ms()
    try:
        async with asyncio.timeout(limit_s):
            response = await transport.handle_async_request(request)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return Exchange(None, error, sent_ms, clock.now_ms())
    return Exchange(response, None, sent_ms, clock.now_ms())


def _with_timeouts(request: httpx.Request, facts: Facts) -> httpx.Request:
    timeouts = {
        "connect": facts.connect_timeout_s, "pool": facts.connect_timeout_s,
        "read": facts.timeout_s, "write": facts.send_timeout_s or facts.timeout_s,
    }  # fmt: skip
    request.extensions = {**request.extensions, "timeout": timeouts}
    return request
