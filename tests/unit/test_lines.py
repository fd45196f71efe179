"""A line reads answers in whatever pieces they come, and nothing that comes can make it raise."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import httpx
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.submit.deadline import Deadline
from batchrunner.submit.heads import Heads
from batchrunner.submit.lines import LARGEST_HEAD_BYTES, Line, TlsLine
from batchrunner.submit.whole import whole_answer

BODY = b'{"error": 0, "profile_id": "5eeb54a2ce9448518e85fdad"}'
LENGTH = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-b:\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LENGTH
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
    BODY[:5],
    len(BODY) - 5,
    BODY[5:],
)
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\n" + BODY


class Wire(asyncio.Transport):
    """What a line writes to: it only notes whether it was closed."""

    closed = False

    def write(self, data: object) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """Closed."""
        self.closed = True


class Asking:
    """Somebody who has asked."""

    told: httpx.Response | httpx.TransportError | None = None

    def answered(self, answer: httpx.Response) -> None:
        """Once."""
        assert self.told is None
        self.told = answer

    def failed(self, error: httpx.TransportError) -> None:
        """Once."""
        assert self.told is None
        self.told = error


def a_line(patience: Deadline, heads: Heads | None = None) -> tuple[Line, Wire, list[Line]]:
    """An open one, and where it puts itself when it is free."""
    free: list[Line] = []
    line, wire = Line(patience, heads or Heads(), free), Wire()
    line.connection_made(wire)
    return line, wire, free


Heard = tuple[httpx.Response | httpx.TransportError | None, Line, Wire]


def hear(*pieces: bytes, largest: int = 1000, end: bool = False, heads: Heads | None = None) -> Heard:
    """What a line makes of these pieces: an answer, an exception, or nothing yet."""

    async def story() -> Heard:
        line, wire, free = a_line(Deadline(60), heads)
        asking = Asking()
        line.ask(b"POST / HTTP/1.1\r\n\r\n", largest, asking)
        for piece in pieces:
            if not wire.closed:
                line.data_received(piece)
        if end and not wire.closed:
            line.eof_received()
        if line.usable:
            assert free == ([line] if isinstance(asking.told, httpx.Response) else [])
        return asking.told, line, wire

    return asyncio.run(story())


def cut(whole: bytes, places: Sequence[int]) -> list[bytes]:
    """In pieces."""
    ends = [*sorted({place % len(whole) for place in places}), len(whole)]
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


@given(st.sampled_from([LENGTH, EARLY, CHUNKED]), st.lists(st.integers(0, 400), max_size=6))
def test_pieces_make_no_difference(whole: bytes, places: list[int]) -> None:
    """However the network cuts an answer, it is the same, and the line can be used again."""
    answer, line, wire = hear(*cut(whole, places))
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, answer.read()) == (200, BODY)
    assert "x-trailer" not in answer.headers
    assert "link" not in answer.headers
    assert line.usable
    assert not wire.closed


@given(st.lists(st.integers(0, 400), max_size=4))
def test_without_a_length_the_end_of_the_connection_is_the_end(places: list[int]) -> None:
    """And not before."""
    answer, line, wire = hear(*cut(UNTIL_THE_END, places))
    assert answer is None
    answer, line, wire = hear(*cut(UNTIL_THE_END, places), end=True)
    assert isinstance(answer, httpx.Response)
    assert answer.read() == BODY
    assert not line.usable
    assert wire.closed


@given(st.lists(st.binary(max_size=40), max_size=4), st.sampled_from([b"", LENGTH[:20], CHUNKED[:60], EARLY[:50]]))
def test_whatever_comes_ends_in_an_answer_or_an_exception_of_httpx(pieces: list[bytes], before: bytes) -> None:
    """Nothing is raised into the event loop, and nobody waits once the connection has ended."""
    answer, line, wire = hear(*filter(None, [before, *pieces]), end=True)
    assert isinstance(answer, httpx.Response | httpx.TransportError)
    assert not line.usable
    assert wire.closed


@given(
    st.sampled_from([LENGTH, EARLY, CHUNKED, UNTIL_THE_END]),
    st.lists(st.binary(max_size=40), max_size=3),
    st.lists(st.integers(0, 400), max_size=4),
    st.booleans(),
)
def test_a_head_that_is_known_makes_no_difference(whole: bytes, more: list[bytes], at: list[int], end: bool) -> None:
    """Whatever was read before, the same bytes are the same answer, and leave the line as it was."""
    heads = Heads()
    hear(whole, heads=heads)
    first, known = (hear(*cut(whole, at), *filter(None, more), end=end, heads=one) for one in (Heads(), heads))
    assert type(first[0]) is type(known[0])
    if isinstance(first[0], httpx.Response) and isinstance(known[0], httpx.Response):
        assert (first[0].status_code, first[0].content, first[0].headers) == (
            known[0].status_code, known[0].content, known[0].headers,
        )  # fmt: skip
    assert (first[1].usable, first[2].closed) == (known[1].usable, known[2].closed)


def test_what_nobody_asked_for_ends_the_line() -> None:
    """An answer too many must not be taken for that to the next request."""
    answer, line, wire = hear(LENGTH + LENGTH)
    assert isinstance(answer, httpx.Response)
    assert not line.usable
    assert wire.closed
    answer, line, wire = hear(LENGTH, LENGTH)
    assert isinstance(answer, httpx.Response)
    assert not line.usable
    assert wire.closed


def test_an_answer_that_says_goodbye_is_the_last() -> None:
    """`Connection: close`, and HTTP/1.0 without keep-alive."""
    for last in (LENGTH.replace(b"X-A: 1", b"Connection: close"), LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0")):
        answer, line, wire = hear(last)
        assert isinstance(answer, httpx.Response)
        assert not line.usable
        assert wire.closed


def test_over_tls_nobody_is_given_a_line_whose_end_has_come_with_the_answer() -> None:
    """Both come in one call: whoever hears of the answer has to know that the line is of no more use."""

    class Heard(Asking):
        def __init__(self) -> None:
            self.come = asyncio.Event()

        def answered(self, answer: httpx.Response) -> None:
            super().answered(answer)
            assert not line.usable
            assert not free
            self.come.set()

    async def story() -> None:
        nonlocal line
        asking, line = Heard(), TlsLine(Deadline(60), Heads(), free)
        line.connection_made(Wire())
        line.ask(b"", 1000, asking)
        line.data_received(LENGTH)
        line.eof_received()
        assert asking.told is None
        await asyncio.wait_for(asking.come.wait(), 10)

    line: Line
    free: list[Line] = []
    asyncio.run(story())


def test_more_than_anybody_looks_at_is_not_read() -> None:
    """One byte more is handed on, so that it is seen, and the line ends."""
    answer, line, wire = hear(LENGTH, largest=10)
    assert isinstance(answer, httpx.Response)
    assert answer.read() == BODY[:11]
    assert not line.usable
    assert wire.closed


def test_headers_that_do_not_end_are_given_up() -> None:
    """They would fill the memory."""
    piece = b"X-A: " + b"a" * 8000 + b"\r\n"
    answer, _, wire = hear(b"HTTP/1.1 200 OK\r\n", *[piece] * (LARGEST_HEAD_BYTES // len(piece) + 1))
    assert isinstance(answer, httpx.RemoteProtocolError)
    assert wire.closed


def test_a_switch_to_another_protocol_is_no_answer() -> None:
    """Nobody asked for one."""
    answer, _, wire = hear(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
    assert isinstance(answer, httpx.RemoteProtocolError)
    assert wire.closed


def test_each_byte_is_waited_for_anew() -> None:
    """The time-out is for silence; an answer that goes on is bounded elsewhere."""

    async def story() -> None:
        patience, asking = Deadline(2.0), Asking()
        line, _, _ = a_line(patience)
        line.ask(b"", 1000, asking)
        for part in (LENGTH[:10], LENGTH[10:60]):
            await asyncio.sleep(1.2)
            line.data_received(part)
        assert asking.told is None
        line.data_received(LENGTH[60:])
        assert isinstance(asking.told, httpx.Response)
        patience.close()

    asyncio.run(story())


def test_an_answer_is_what_httpx_would_make_of_it() -> None:
    """It is made without httpx's own constructor: nothing that has been read and closed may lack anything."""
    answer = whole_answer(200, [("content-type", "application/json"), ("x-a", "1")], BODY)
    theirs = httpx.Response(200, headers=[("Content-Type", "application/json"), ("X-A", "1")], content=BODY)
    assert answer.read() == theirs.content
    assert (answer.json(), answer.text, answer.headers["x-a"]) == (theirs.json(), theirs.text, "1")
    own = {"_decoder", "_elapsed", "_text", "_num_bytes_downloaded", "extensions", "headers", "stream"}
    for name in set(vars(theirs)) - own:
        assert getattr(answer, name) == getattr(theirs, name), name
    assert b"".join(cast("httpx.ByteStream", answer.stream)) == BODY
    assert answer.num_bytes_downloaded == len(BODY)
    assert (answer.is_closed, answer.is_stream_consumed) == (theirs.is_closed, theirs.is_stream_consumed)
    assert repr(answer) == repr(theirs)
