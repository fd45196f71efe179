"""An address that tells whether all is well with what is served: for the probes of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from batchrunner.errors import UsageError


@asynccontextmanager
async def health(host: str, port: int, look: Callable[[], dict[str, Any]]) -> AsyncIterator[int]:
    """Answer GET /health with what `look` returns: 200 where its `ok` is true, else 503. Yields the port."""

    async def answer(_: web.Request) -> web.Response:
        found = look()
        return web.json_response(found, status=200 if found["ok"] else 503)

    app = web.Application()
    app.router.add_get("/health", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UsageError(f"--health {host}:{port}: {error.strerror or error}; choose another port") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
