"""Whole answers within bounds: what every HTTP engine hands on."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import httpx

LARGEST_ANSWER_BYTES = 1 << 20
"""What is read of an answer. One byte more is handed on, so that a reader sees that there was more."""


def whole_answer(status: int, headers: Sequence[tuple[str, str]], content: bytes) -> httpx.Response:
    """An httpx.Response around bytes that have been read already; `content-encoding` is undone."""
    for name, value in headers:
        if name.lower() == "content-encoding":
            content = _decompressed(content, value)
            headers = [pair for pair in headers if pair[0].lower() != "content-encoding"]
            break
    # As a stream, because `content=` makes httpx run its decoders: ten microseconds for nothing.
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def _decompressed(content: bytes, encoding: str) -> bytes:
    """We ask for no compression; some proxy may compress all the same. Bounded: a bomb must not go off here."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return content
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, LARGEST_ANSWER_BYTES + 1)
    except zlib.error:
        return content
