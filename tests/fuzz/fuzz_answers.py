"""Answers of the platform, in JSON, in XML and in anything else: each has a verdict, and none is believed too easily.

As bytes: a status, a line feed, headers, an empty line, the body.
"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx

from batchrunner.api import Items, ParcelApi, read_answer
from batchrunner.endpoints import ENDPOINTS
from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Rejected
from batchrunner.retrying import Answered, Doubtful, RefusedUs, Throttled

ROWS = 2
MINUTE = timedelta(minutes=1)
TARGET: Any = SimpleNamespace(url="https://a.example", token_in="header", connect_timeout=MINUTE, timeout=MINUTE)
NESTED = b"[" * 3_000
SEEDS = (
    b'200\n\n{"error":0,"error_text":"","profile_id":"5f1e9c0a5f1e9c0a5f1e9c0a"}',
    b'200\nDuplicate-Request: true\n\n{"error":"0","profile_id":12}',
    b'200\n\n{"error":0,"result":[{"error":0,"profile_id":"a"},{"error":435,"error_text":"no"}]}',
    b"200\n\n<?xml version='1.0'?><xml><error>0</error><profile_id>5f</profile_id></xml>",
    b"200\n\n<xml><error>0</error><result array='true'><error>0</error></result><result array='true'/></xml>",
    b"200\n\n<!DOCTYPE x [<!ENTITY a 'a'>]><xml><error>&a;</error></xml>",
    b'429\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\nDate: 5\n\n{"error":429}',
    b"429\nRetry-After: 1e999\n\n",
    b"302\nLocation: http://[::1\n\n",
    b"502\nContent-Type: text/html\n\n<html>Bad gateway of someone@example.com</html>",
    b"200\n\n" + NESTED,
)
PIECES = (b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud800", b"<a/>", b"<!ENTITY ", b"&a;", b"1e999", b"-0", b"NaN",
          b"\xff", b"\xef\xbb\xbf", b"null", b"0", b'"error":0,', b"<error>0</error>", b"\n", b"\x00")  # fmt: skip


def try_one(data: bytes) -> None:
    """A verdict, and success only where a success was said."""
    head, _, body = data.partition(b"\n\n")
    status, *headers = head.split(b"\n")
    code = int(status) if status.isascii() and status.isdigit() and 200 <= int(status[:3]) <= 999 else 200
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in headers) if name]
    response = _response(min(code, 999), pairs, body)
    verdict = read_answer(response)
    assert isinstance(verdict, Answered | Doubtful | RefusedUs | Throttled), verdict
    if isinstance(verdict, Answered) and isinstance(verdict.outcome, Accepted):
        assert response.status_code < 300
        assert b"error" in body
    api = ParcelApi(TARGET, "t", ENDPOINTS["workflows/import_and_start_batch"])
    items = api.read_answer(_response(min(code, 999), pairs, body), ROWS)
    if isinstance(items, Items):
        assert len(items.outcomes) == ROWS
        assert all(isinstance(one, Accepted | Rejected | Failed | InDoubt) for one in items.outcomes)
        texts(items.outcomes)


def texts(outcomes: tuple[Outcome, ...]) -> None:
    """What is kept of an answer is text that a file can hold."""
    for one in outcomes:
        if not isinstance(one, Accepted):
            one.text.encode("utf-8", "surrogatepass")


def _response(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
