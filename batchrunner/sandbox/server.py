"""HTTP around an installation: a real server on real sockets, which can also behave badly on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING, Final

from aiohttp import web

from batchrunner.sandbox.broker import consuming
from batchrunner.sandbox.endpoints import PREFIX, observe
from batchrunner.sandbox.faults import plain
from batchrunner.sandbox.installation import Delivery, Installation
from batchrunner.sandbox.observing import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader
    from aiohttp.web_protocol import RequestHandler

    from batchrunner.sandbox.answers import Reply
    from batchrunner.sandbox.settings import Settings

_LARGEST_BODY_BYTES: Final = 100 * 1024 * 1024  # the documented limit, with files
_BACKLOG: Final = 1024
_FAREWELL_S: Final = 1.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


async def serve(
    settings: Settings, host: str, port: int, ready: Callable[[str], None], *, stop_on_stdin_eof: bool = False
) -> None:
    """Run a sandbox until SIGINT, SIGTERM, cancellation or (if asked) the end of standard input.

    Port 0 takes a free one. `ready` is called once with the URL, when the socket listens. Requests in flight get
    a second to end.
    """
    stop = asyncio.Event()
    installation = Installation(settings)
    handler = _Handler(installation)
    runner = web.ServerRunner(_server(handler), shutdown_timeout=_FAREWELL_S)
    await runner.setup()
    consumers = contextlib.AsyncExitStack()
    try:
        if settings.amqp:
            await consumers.enter_async_context(consuming(installation, settings.amqp))
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        with _stopping_on_signals(stop):
            if stop_on_stdin_eof:
                _stop_at_end_of_stdin(stop)
            ready(_url(host, runner))
            await stop.wait()
    finally:
        await consumers.aclose()
        await runner.cleanup()


def run(coroutine: Coroutine[object, object, None]) -> None:
    """Run `serve(...)` to its end on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(coroutine)


class _Handler:
    """What aiohttp calls with each request."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if "Expect" in request.headers and request.transport is not None:
            # curl holds back large bodies until it is told to go on.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw = await request.read()
        path = request.path
        if path.startswith("/api/"):
            incoming = Incoming(request.method, path, request.headers, raw)
            return await _send(request, await self._installation.answer(incoming))
        if path.startswith(PREFIX):
            return _whole(observe(self._installation, request.method, path, request.query, raw))
        return _whole(plain(404))


async def _send(request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    response = _whole(delivery.reply)
    if delivery.cut is None:
        return response
    if delivery.cut == "half":
        await _send_half(request, delivery.reply)
        _reset(request.transport)
    elif request.transport is not None:
        request.transport.close()
    return response  # aiohttp finds the connection gone and sends nothing


def _whole(reply: Reply) -> web.Response:
    response = web.Response(body=reply.body, status=reply.status)
    response.headers["Content-Type"] = reply.content_type
    for name, value in reply.headers:
        response.headers[name] = value
    return response


async def _send_half(request: web.BaseRequest, reply: Reply) -> None:
    response = web.StreamResponse(status=reply.status)
    response.headers["Content-Type"] = reply.content_type
    response.content_length = len(reply.body)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])


def _reset(transport: asyncio.Transport | None) -> None:
    """Close so that the peer sees a reset, not an orderly end."""
    if transport is None:
        return
    wrapped = transport.get_extra_info("socket")
    # uvloop's socket cannot set options; a duplicate of the descriptor can, and they share them.
    with socket.socket(fileno=os.dup(wrapped.fileno())) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _server(handler: _Handler) -> web.Server:
    loop = asyncio.get_running_loop()

    def request_factory(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY_BYTES)

    return web.Server(handler, request_factory=request_factory, access_log=None)


@contextlib.contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []
    # Off the main thread, and on Windows, there are no signal handlers to set: cancellation still ends the server.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def _stop_at_end_of_stdin(stop: asyncio.Event) -> None:
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def wait() -> None:
        # os.read and not sys.stdin: a thread inside sys.stdin would hold its lock while the interpreter ends.
        with contextlib.suppress(OSError):
            while os.read(descriptor, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="stdin-watch", daemon=True).start()


def _url(host: str, runner: web.ServerRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
