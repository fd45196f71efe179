"""HTTP/1.1 on our own event loop, behind httpx's types: no other thread, no other loop, nothing that nobody looks at.

An engine with threads of its own wakes two of them and the loop for every request, which costs more than the request.
Here, what is written and read is a dozen lines of asyncio; llhttp parses (`lines`), aiohappyeyeballs connects, and
Python's ssl encrypts. Only the way through a proxy is left to others.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from weakref import WeakSet

import aiohappyeyeballs
import httpx

from batchrunner.ports import HEAD_LINES
from batchrunner.submit.deadline import Deadline
from batchrunner.submit.facts import Facts
from batchrunner.submit.heads import Heads
from batchrunner.submit.lines import Hearer, Line, TlsLine
from batchrunner.submit.pin import Pin
from batchrunner.submit.whole import LARGEST_ANSWER_BYTES

NEXT_ADDRESS_S = 0.25
"""Before another address of the same name is tried beside the first (RFC 8305)."""

_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


class WireTransport(httpx.AsyncBaseTransport):
    """A pool of lines to one address. Time-outs are those of `facts`; those in a request's extensions are not read."""

    def __init__(self, facts: Facts, tls: ssl.SSLContext | None) -> None:
        """`tls` for an address that begins with https."""
        self._facts = facts
        self._tls = tls
        self._pin = Pin(facts.url)
        self._free: list[Line] = []
        self._lines: WeakSet[Line] = WeakSet()
        """All that are open, and some that are not any more."""
        self._heads = Heads()
        self._checked: httpx.URL | None = None
        self._method = ""
        self._patience: Deadline | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, read the answer, and raise what httpx's own transport would."""
        message = self._message(request)
        line = self._free_line() or await self._open(request)
        waiting = _Waiting(self._loop.create_future())
        line.ask(message, _largest(request), waiting)
        try:
            return await waiting.answer
        except httpx.TransportError as error:
            error.request = request
            raise
        finally:
            line.give_up(waiting)

    def post(self, request: httpx.Request, hearer: Hearer) -> Line | None:
        """Send on a line that is open, without waiting. None: there is none, and nothing was sent.

        Raises only what it does before anything is sent.
        """
        message = self._message(request)
        line = self._free_line()
        if line is not None:
            line.ask(message, _largest(request), hearer)
        return line

    async def aclose(self) -> None:
        """Close connections."""
        for line in list(self._lines):
            line.drop()
        self._free.clear()
        if self._patience is not None:
            self._patience.close()

    # --- what is written -----------------------------------------------------------------------------

    def _look_at(self, request: httpx.Request) -> None:
        self._pin.check(request)
        self._start = f"{request.method} {request.url.raw_path.decode('ascii')} HTTP/1.1\r\n".encode("ascii")
        self._method = request.method
        self._checked = request.url

    def _message(self, request: httpx.Request) -> bytes:
        # An address cannot change, and all requests of a run share it.
        if request.url is not self._checked or request.method != self._method:
            self._look_at(request)
        lines = request.extensions.get(HEAD_LINES) or _head_lines(request)
        return b"%b%b%b" % (self._start, lines, request.read())

    # --- lines ---------------------------------------------------------------------------------------

    def _free_line(self) -> Line | None:
        """The one that was used last: if it has been idle for too long, so have all the others."""
        while self._free:
            line = self._free.pop()
            if line.usable and self._loop.time() - line.free_since_s < self._facts.idle_s:
                return line
            line.drop()
        return None

    async def _open(self, request: httpx.Request) -> Line:
        """A new line. Whatever goes wrong here, nothing of the request has left."""
        if self._patience is None:
            self._loop = asyncio.get_running_loop()
            self._patience = Deadline(self._facts.timeout_s + (self._facts.send_timeout_s or 0.0))
        limit_s = self._facts.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                line = await self._connect(request.url, self._patience)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {limit_s:g} s", request=request) from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error) or type(error).__name__, request=request) from error
        if not line.usable:
            raise httpx.ConnectError("the connection was closed as soon as it was open", request=request)
        return line

    async def _connect(self, url: httpx.URL, patience: Deadline) -> Line:
        host = url.raw_host.decode("ascii").strip("[]")
        port = url.port or (443 if self._tls else 80)
        found = await self._loop.getaddrinfo(
            host, port, family=_FAMILIES[self._facts.ip], type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        opened = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS_S)
        try:
            self._prepare(opened)
            name, kind = (host, TlsLine) if self._tls else (None, Line)
            _, line = await self._loop.create_connection(
                lambda: kind(patience, self._heads, self._free), sock=opened, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            opened.close()
            raise
        self._lines.add(line)
        return line

    def _prepare(self, opened: socket.socket) -> None:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._facts.send_timeout_s is not None and sys.platform == "linux":  # elsewhere the time-out is the bound
            limit_ms = max(1, round(self._facts.send_timeout_s * 1000))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)


class _Waiting:
    """The hearer of somebody who awaits the answer."""

    def __init__(self, answer: asyncio.Future[httpx.Response]) -> None:
        self.answer = answer

    def answered(self, answer: httpx.Response) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def failed(self, error: httpx.TransportError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def _largest(request: httpx.Request) -> int:
    largest: int = request.extensions.get("answer_bytes", LARGEST_ANSWER_BYTES)
    return largest


def _head_lines(request: httpx.Request) -> bytes:
    headers = request.headers.raw
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
        raise httpx.LocalProtocolError("a header holds the end of a line", request=request)
    return lines + b"\r\n"
