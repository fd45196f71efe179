"""A tiny HTTP server that answers as it is told, byte by byte: what a well-behaved server would never do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Step = Callable[["Conversation"], Awaitable[None]]
"""What the server does with one request, or with a connection before its first request."""


@dataclass
class Seen:
    """One request as it arrived."""

    connection: int
    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Header values by lower-case name."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@dataclass
class Conversation:
    """One connection, as a step sees it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: Server

    async def read_request(self) -> Seen:
        """Take one whole request off the wire and note it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        seen = Seen(self.number, head.rstrip(b"\r\n"), b"")
        seen.body = await self.reader.readexactly(int(seen.headers.get("content-length", "0")))
        self.server.seen.append(seen)
        self.server.arrived.set()
        return seen

    async def send(self, raw: bytes) -> None:
        """Put bytes on the wire as they are."""
        self.writer.write(raw)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Server:
    """The server's address, what it saw, and what it is to do next."""

    port: int
    script: list[Step]
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    scheme: str = "http"
    host: str = "127.0.0.1"
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has been opened and a request begins to arrive."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has arrived."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server has closed a connection."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def next_step(self) -> Step:
        """The last step of a script is repeated for ever."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextlib.asynccontextmanager
async def scripted_server(
    *script: Step, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """Run a server that takes one step of the script for each request."""
    server = Server(0, list(script), scheme="https" if tls else "http", host=f"[{host}]" if ":" in host else host)
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        talk = Conversation(server.connections, reader, writer, server)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                if not await _has_more(reader):
                    break
                server.connected.set()
                await server.next_step()(talk)
        writer.close()
        server.closed.set()

    listener = await asyncio.start_server(converse, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _has_more(reader: asyncio.StreamReader) -> bool:
    # A step is drawn only when a request is really coming, so that spare connections do not use the script up.
    while not (waiting := len(reader._buffer)) and not reader.at_eof():  # type: ignore[attr-defined]
        await reader._wait_for_data("_has_more")  # type: ignore[attr-defined]
    return bool(waiting)


SUCCESS = b'{"error": 0, "error_text": "Successful operation", "profile_id": "5eeb54a2ce9448518e85fdad"}'


def head(status: str, *headers: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def answer(body: bytes = SUCCESS, *headers: str, status: str = "200 OK", kind: str = "application/json") -> Step:
    """Read the request, then send a whole answer."""

    async def step(talk: Conversation) -> None:
        await talk.read_request()
        await talk.send(head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers) + body)

    return step


def raw(*parts: bytes, then: str = "keep") -> Step:
    """Read the request, then send bytes; afterwards `keep` the connection open, `close` it or `reset` it."""

    async def step(talk: Conversation) -> None:
        await talk.read_request()
        for part in parts:
            await talk.send(part)
        await _end(talk, then)

    return step


def reset_before_reading() -> Step:
    """Reset the connection as soon as a request begins to arrive."""

    async def step(talk: Conversation) -> None:
        talk.reset()

    return step


def silence() -> Step:
    """Read the request and never answer."""

    async def step(talk: Conversation) -> None:
        await talk.read_request()
        await asyncio.Event().wait()

    return step


def drip(*, every_s: float) -> Step:
    """Answer one byte at a time, for ever: no single read ever times out."""

    async def step(talk: Conversation) -> None:
        await talk.read_request()
        await talk.send(head("200 OK", "Content-Type: application/json", "Content-Length: 100000"))
        while not talk.writer.is_closing():
            await talk.send(b" ")
            await asyncio.sleep(every_s)

    return step


async def _end(talk: Conversation, then: str) -> None:
    match then:
        case "close":
            talk.writer.close()
        case "reset":
            await asyncio.sleep(0.02)  # let the bytes sent so far arrive: a reset overtakes them
            talk.reset()
        case _:
            pass


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
