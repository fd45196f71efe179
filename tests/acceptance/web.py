"""A real server of exports: one that breaks off, sends elsewhere, refuses, and knows ranges or does not."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """What lies at one path, and how it is given."""

    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    """Without one, nothing tells one content from another."""
    says_length: bool = True
    knows_ranges: bool = False
    breaks_after: list[int] = field(default_factory=list)
    """For each of the next answers: the connection is reset behind so many bytes."""
    statuses: list[int] = field(default_factory=list)
    """For each of the next answers: this status and no content."""
    redirect: str | None = None
    becomes: bytes | None = None
    """The content from the second answer on."""
    hangs_after: int | None = None
    """Behind so many bytes nothing comes any more, until the server is closed."""


@dataclass
class Web:
    """The server, what it gives, and what it was asked."""

    url: str = ""
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, content: bytes = b"", **how: Any) -> str:
        """Serve something; its address."""
        self.files[path] = Served(content, **how)
        return self.url + path

    def ranges(self) -> list[str | None]:
        """What was asked for, in order."""
        return [headers.get("range") for _, headers in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        """Give what lies there, as it was told to."""
        web = self.web
        path = self.path.partition("?")[0]
        web.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        served = web.files.get(path)
        if served is None:
            self._say(404)
        elif served.statuses:
            self._say(served.statuses.pop(0), **served.headers)
        elif served.redirect is not None:
            self._say(302, Location=served.redirect)
        else:
            self._give(served)

    def _say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _give(self, served: Served) -> None:
        content, begin = served.content, self._begin(served)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if served.etag:
            self.send_header("ETag", served.etag)
        for name, value in served.headers.items():
            self.send_header(name, value)
        if served.says_length:
            self.send_header("Content-Length", str(len(content) - begin))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self._send(served, content[begin:])
        if served.becomes is not None:
            served.content, served.etag = served.becomes, served.etag and '"another"'

    def _begin(self, served: Served) -> int:
        asked = self.headers.get("Range")
        if not asked or not served.knows_ranges or self.headers.get("If-Range") != served.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, served: Served, data: bytes) -> None:
        if served.hangs_after is not None:
            self.wfile.write(data[: served.hangs_after])
            self.web.hanging.set()
            self.web.closing.wait()
            self.close_connection = True
        elif served.breaks_after:
            self.wfile.write(data[: served.breaks_after.pop(0)])
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Tests look at `asked`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Connections break: that is what this is for."""


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """Run a server until the block ends."""
    web = Web()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    web.url = f"http{'s' if tls else ''}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
