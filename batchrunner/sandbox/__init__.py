"""A stand-in for the Altcraft platform: a real HTTP server that keeps its contract, and breaks it when asked.

An independent implementation: it shares no code with the rest of batchrunner, so the two check each other.

    with running(Settings(fail=((435, 2.0),))) as sandbox:
        ...  # send to sandbox.url with sandbox.token
        assert max(sandbox.engagement_counts().values()) == 1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrunner.sandbox.process import Handle, running
from batchrunner.sandbox.settings import (
    DEFAULT_TOKEN,
    Settings,
    parse_fail,
    parse_fault_share,
    parse_share,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = [
    "DEFAULT_TOKEN",
    "Handle",
    "Settings",
    "parse_fail",
    "parse_fault_share",
    "parse_share",
    "run",
    "running",
    "serve",
]


async def serve(
    settings: Settings, host: str, port: int, ready: Callable[[str], None], *, stop_on_stdin_eof: bool = False
) -> None:
    """Run a sandbox until SIGINT, SIGTERM, cancellation or (if asked) the end of standard input.

    Port 0 takes a free one. `ready` is called once with the URL, when the socket listens. Requests in flight get
    a second to end.
    """
    from batchrunner.sandbox import server  # noqa: PLC0415 - aiohttp is slow to import and not always needed

    await server.serve(settings, host, port, ready, stop_on_stdin_eof=stop_on_stdin_eof)


def run(coroutine: Coroutine[object, object, None]) -> None:
    """Run `serve(...)` to its end on the fastest event loop there is."""
    from batchrunner.sandbox import server  # noqa: PLC0415

    server.run(coroutine)
