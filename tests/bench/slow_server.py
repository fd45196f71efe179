"""A server that takes its time: python slow_server.py PORT MILLISECONDS [KNEE,KNEE… SECONDS].

It answers each POST after so many milliseconds, with next to no work of its own: what is measured is the client.
With knees, it is a server that too many requests at once slow down: beyond the knee, an answer takes longer with the
square of what is in flight, so that throughput falls; after so many seconds, the next knee holds.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

BODY = b'{"error":0,"error_text":"Successful operation","profile_id":"5f4b7c8d9e0a1b2c3d4e5f60"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Load:
    """What is in flight, and how long an answer takes because of it."""

    def __init__(self, answer_s: float, knees: list[int], phase_s: float) -> None:
        """Without knees, it always takes the same. The first phase begins with the first request."""
        self._answer_s, self._knees, self._phase_s = answer_s, knees, phase_s
        self._flying, self._began_s = 0, 0.0

    def begin(self) -> float:
        """A request has come: when to answer."""
        self._flying += 1
        if not self._knees:
            return self._answer_s
        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        knee = self._knees[int((now_s - self._began_s) / self._phase_s) % len(self._knees)]
        return self._answer_s * max(1.0, self._flying / knee) ** 2

    def end(self) -> None:
        """A request has been answered, or its connection is gone."""
        self._flying -= 1


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request after the other, with a Content-Length: all that the bench sends."""

    def __init__(self, load: Load, loop: asyncio.AbstractEventLoop) -> None:
        """Share the load."""
        self._load, self._loop = load, loop
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._held += data
        while (head_end := self._held.find(b"\r\n\r\n")) >= 0:
            end = head_end + 4 + length_of_body(self._held[:head_end])
            if len(self._held) < end:
                return
            self._held = self._held[end:]
            self._loop.call_later(self._load.begin(), self._answer)

    def _answer(self) -> None:
        self._load.end()
        if not self._transport.is_closing():
            self._transport.write(ANSWER)  # type: ignore[attr-defined]


def length_of_body(head: bytes) -> int:
    """What the head of a request announces."""
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])


async def serve(port: int, load: Load) -> None:
    """Until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(load, loop), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    port, answer_s = int(sys.argv[1]), float(sys.argv[2]) / 1000
    knees = [int(knee) for knee in sys.argv[3].split(",")] if len(sys.argv) > 3 else []
    uvloop.run(serve(port, Load(answer_s, knees, float(sys.argv[4]) if knees else 1.0)))
