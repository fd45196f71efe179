"""One HTTP/1.1 connection: a request out, its answer back, and again. llhttp, the parser of Node, reads the answers.

Everything is certain here that a verdict rests on: a line has been opened before it is asked, so whatever goes wrong
from then on may have left.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from batchrunner.submit.deadline import Deadline
from batchrunner.submit.heads import Heads
from batchrunner.submit.whole import whole_answer

LARGEST_HEAD_BYTES = 1 << 18
"""Of an answer that has not come to the end of its headers. Real ones have some hundred bytes."""

_SWITCHING = 101

_FRAMES = ("content-length", "transfer-encoding")
"""Headers that say where the body ends."""

_NAMES: dict[bytes, str] = {}
"""Names of headers in lower case, by how they came: servers say the same few in every answer."""

_MOST_NAMES = 200


class Hearer(Protocol):
    """Who has asked: told once, and never while asking."""

    def answered(self, answer: httpx.Response) -> None:
        """The answer is whole, or more than was to be read of it."""
        ...

    def failed(self, error: httpx.TransportError) -> None:
        """There is none."""
        ...


class Line(asyncio.Protocol):
    """Carries one request at a time. Used from one event loop only."""

    def __init__(self, patience: Deadline, heads: Heads, free: list[Line]) -> None:
        """To be connected by the event loop. It puts itself among the `free` ones after each answer.

        `patience` is how long an answer is waited for, from the request or from the last byte.
        """
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._heads = heads
        self._free = free
        self._parser = HttpResponseParser(self)
        self._hearer: Hearer | None = None
        self._answer: httpx.Response | None = None
        self.usable = True
        """It is open, and nothing is left of an earlier answer."""
        self.free_since_s = 0.0
        self._pairs: list[tuple[str, str]] = []

    def ask(self, message: bytes, largest: int, hearer: Hearer) -> None:
        """Send a whole request. The hearer gets an answer within bounds, or an exception of httpx."""
        self._hearer = hearer
        self._answer = None
        self._begun = False
        self._status = 0
        self._room = largest + 1
        self._patience.begin(self)
        try:
            self._transport.write(message)
        except Exception as error:  # noqa: BLE001  a part may have left, so it is the hearer's to know
            self._loop.call_soon(self.fail, httpx.WriteError(f"{type(error).__name__}: {error}"))

    def give_up(self, hearer: Hearer) -> None:
        """Nobody waits for this answer any more. If it is still to come, the line is of no use."""
        if self._hearer is hearer:
            self.drop()

    def drop(self) -> None:
        """Close it at once: whatever is still under way is given up."""
        self.usable = False
        self._hearer = None
        self._patience.end(self)
        self._transport.abort()

    def cancel(self) -> None:
        """Nothing has come for too long."""
        self.fail(httpx.ReadTimeout(f"nothing came for {self._patience.limit_s:g} s"))

    def fail(self, error: httpx.TransportError) -> None:
        """Whatever was asked gets no answer."""
        hearer = self._hearer
        self.drop()
        if hearer is not None:
            hearer.failed(error)

    # --- what the event loop says --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # asyncio's own typing says less

    def data_received(self, data: bytes) -> None:
        """A part of an answer, usually all of it."""
        if self._hearer is None:  # nobody has asked
            self.drop()
            return
        at_once = not self._begun
        answer = self._heads.answer(data, self._room) if at_once else None
        if answer is not None:
            self._end_with(answer)
        elif self._parse(data):
            if at_once and self.usable:
                self._heads.learn(data, self._status, self._pairs)
            self._end_with(self._answer)

    def _parse(self, data: bytes) -> bool:
        """Whether the answer is whole now."""
        if not self._begun:
            self._begun = True
            self._pairs = []
            self._parts: list[bytes] = []
            self._head_room = LARGEST_HEAD_BYTES
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.usable = False
            if self._answer is None:
                self.fail(httpx.RemoteProtocolError(f"the answer is no HTTP/1.1: {error}"))
        if self._answer is None and self._hearer is not None:
            self._more_is_to_come(len(data))
        return self._answer is not None

    def _more_is_to_come(self, came: int) -> None:
        self._patience.end(self)
        self._patience.begin(self)
        if not self._status:
            self._head_room -= came
            if self._head_room < 0:
                self.fail(httpx.RemoteProtocolError("the headers of the answer do not end"))

    def _end_with(self, answer: httpx.Response | None) -> None:
        """Be free again, or close; then tell: whoever hears of it may have the next request for this very line."""
        hearer, self._hearer = self._hearer, None
        if hearer is None or answer is None:
            return
        if self.usable:
            self._patience.end(self)
            self.free_since_s = self._loop.time()
            self._free.append(self)
        else:
            self.drop()
        hearer.answered(answer)

    def eof_received(self) -> None:
        """The other side has closed: for an answer that says no length, this is its end."""
        framed = any(name in _FRAMES for name, _ in self._pairs)
        if self._hearer is not None and self._status and not framed:
            self.usable = False
            self._complete()
            self._end_with(self._answer)
        self._closed(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._closed(error)

    def _closed(self, error: Exception | None) -> None:
        if error is None:
            self.fail(httpx.RemoteProtocolError("the connection was closed before the answer had ended"))
        elif isinstance(error, TimeoutError):
            self.fail(httpx.WriteTimeout(f"the other side takes nothing: {error}"))
        else:
            self.fail(httpx.ReadError(f"the connection was lost: {error}"))

    # --- what the parser says ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins, though perhaps it is one that nobody asked for."""
        if self._answer is not None:
            self.usable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which nobody wants."""
        if not self._status:
            self._pairs.append((_NAMES.get(name) or _name(name), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The head has been read."""
        self._status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if self._answer is not None:
            return
        self._parts.append(part[: self._room])
        self._room -= len(part)
        if self._room <= 0:  # more than anybody looks at
            self.usable = False
            self._complete()

    def on_message_complete(self) -> None:
        """The answer is whole; if it was no more than an announcement, the real one follows."""
        if self._answer is not None:
            return
        if self._status == _SWITCHING:
            self.fail(httpx.RemoteProtocolError("the answer changes to another protocol"))
            return
        if self._status < 200:  # noqa: PLR2004  informational
            self._status, self._pairs = 0, []
            return
        if not self._parser.should_keep_alive():
            self.usable = False
        self._complete()

    def _complete(self) -> None:
        self._answer = whole_answer(self._status, self._pairs, b"".join(self._parts))


class TlsLine(Line):
    """Over TLS, an answer and the end of the connection come in one call where they were read together.

    So whoever hears of the answer, and has the next request for this line, has to be told a moment later.
    """

    def data_received(self, data: bytes) -> None:
        """A part of an answer, usually all of it."""
        self._loop.call_soon(super().data_received, data)

    def eof_received(self) -> None:
        """The other side has closed: nobody may ask this line any more, from now on."""
        self.usable = False
        self._loop.call_soon(super().eof_received)


def _name(came: bytes) -> str:
    name = came.lower().decode("latin-1")
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[came] = name
    return name
