"""Whole answers within bounds: what every HTTP engine hands on."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import httpx

from batchrunner.ports import TEXT_HEADERS

LARGEST_ANSWER_BYTES = 1 << 20
"""What is read of an answer, unless its request says otherwise (`answer_bytes` of its extensions). One byte more is
handed on, so that a reader sees that there was more."""

Pairs = Sequence[tuple[str, str]]


class WholeAnswer(httpx.Response):
    """An answer whose headers become httpx.Headers when somebody looks at them: for an accepted row, nobody does.

    What httpx would make of the same, at a quarter of the time: it has been read and closed, and nothing is decoded.
    """

    next_request = None
    is_closed = is_stream_consumed = True
    default_encoding = "utf-8"
    _request = None

    def __init__(self, status: int, pairs: Pairs, content: bytes) -> None:
        """Around bytes that have been read already."""
        self.status_code = status
        self.extensions = {TEXT_HEADERS: pairs}
        self._content = content
        self._pairs = pairs
        self._made: httpx.Headers | None = None

    @property
    def content(self) -> bytes:
        """The body."""
        return self._content

    @property
    def stream(self) -> httpx.ByteStream:  # type: ignore[override]  # nobody here puts another in its place
        """The body once more."""
        return httpx.ByteStream(self._content)

    @property
    def history(self) -> list[httpx.Response]:  # type: ignore[override]  # as above
        """There is none: no redirect is followed."""
        return []

    @property
    def num_bytes_downloaded(self) -> int:
        """Of the body."""
        return len(self._content)

    @property
    def headers(self) -> httpx.Headers:
        """As httpx has them."""
        if self._made is None:
            self._made = httpx.Headers(list(self._pairs))
        return self._made

    @headers.setter
    def headers(self, headers: httpx.Headers) -> None:
        self._made = headers


def whole_answer(status: int, headers: Pairs, content: bytes) -> httpx.Response:
    """An httpx.Response around bytes that have been read already. Names are in lower case; a compression is undone."""
    for name, value in headers:
        if name == "content-encoding":
            content = _decompressed(content, value)
            headers = [pair for pair in headers if pair[0] != "content-encoding"]
            break
    return WholeAnswer(status, headers, content)


def _decompressed(content: bytes, encoding: str) -> bytes:
    """We ask for no compression; some proxy may compress all the same. Bounded: a bomb must not go off here."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return content
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, LARGEST_ANSWER_BYTES + 1)
    except zlib.error:
        return content
