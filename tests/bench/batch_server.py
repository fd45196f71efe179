"""A server that takes batches: python batch_server.py PORT. It accepts each item at once, and looks at none.

Items are counted by a key that each of them has once, so that its own work stays small beside the client's.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from slow_server import length_of_body

ONCE_AN_ITEM = b'"crm_id":'
ITEM = b'{"error":0,"error_text":"Successful operation","profile_id":"5f4b7c8d9e0a1b2c3d4e5f60"}'


def answer(items: int) -> bytes:
    """The documented answer of a sister call: one result for each item, in order."""
    body = b'{"error":0,"error_text":"Successful operation","result":[%s]}' % b",".join([ITEM] * items)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request after the other, with a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing."""
        self._transport = transport
        self._held = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._held += data
        while (head_end := self._held.find(b"\r\n\r\n", 0, 4096)) >= 0:
            end = head_end + 4 + length_of_body(bytes(self._held[:head_end]))
            if len(self._held) < end:
                return
            items = self._held.count(ONCE_AN_ITEM, head_end, end)
            del self._held[:end]
            self._transport.write(answer(items))  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
