"""What every HTTP engine must keep: the same exchange on the wire ends in the same verdict."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib

import pytest
from scripted_server import (
    SUCCESS,
    Conversation,
    Server,
    Step,
    answer,
    closed_port,
    head,
    raw,
    reset_before_reading,
    scripted_server,
    silence,
)
from transport_lines import CLAIM, PROFILE, REQUEST_ID, Engine, engines, line_to, run, short

from batchrunner.retrying import Verdict

pytestmark = engines


def verdict_of(engine: Engine, *script: Step, times: int = 1) -> tuple[list[Verdict], Server]:
    """Make attempts, one after another, against a server that follows the script."""
    found: list[Verdict] = []
    servers: list[Server] = []

    async def story() -> None:
        async with scripted_server(*script) as server, line_to(engine, server.url) as line:
            servers.append(server)
            found.extend([await line.attempt() for _ in range(times)])

    run(story)
    return found, servers[0]


JSON = "Content-Type: application/json"
HALF = head("200 OK", JSON, "Content-Length: 200") + SUCCESS[:20]
CHUNKED = head("200 OK", JSON, "Transfer-Encoding: chunked")
CHUNK = b"%x\r\n%s\r\n" % (len(SUCCESS), SUCCESS)
BIG = b'{"error":0,"pad":"' + b"x" * 1_200_000 + b'"}'
REJECTION = b'{"error":400,"error_text":"bad e-mail"}'
BOMB = zlib.compress(b'{"error":0,"pad":"' + b" " * 50_000_000 + b'"}', 9)

EXCHANGES: dict[str, tuple[Step, tuple[str, str]]] = {
    "a success": (answer(), ("accepted", PROFILE)),
    "header names in any case": (
        answer(SUCCESS, "DUPLICATE-request: True", status="200 fine", kind="APPLICATION/json"),
        ("accepted", PROFILE),
    ),
    "a chunked success": (raw(CHUNKED + CHUNK[:30], CHUNK[30:] + b"0\r\n\r\n"), ("accepted", PROFILE)),
    "a success that ends with the connection": (
        raw(head("200 OK", JSON) + SUCCESS, then="close"),
        ("accepted", PROFILE),
    ),
    "a success in pieces": (
        raw(*(bytes([byte]) for byte in head("200 OK", f"Content-Length: {len(SUCCESS)}") + SUCCESS)),
        ("accepted", PROFILE),
    ),
    "an informational answer first": (
        raw(head("103 Early Hints", "Link: </x>") + head("200 OK", f"Content-Length: {len(SUCCESS)}") + SUCCESS),
        ("accepted", PROFILE),
    ),
    "an unasked gzip": (answer(gzip.compress(SUCCESS), "Content-Encoding: gzip"), ("accepted", PROFILE)),
    "an unasked deflate": (answer(zlib.compress(SUCCESS), "Content-Encoding: deflate"), ("accepted", PROFILE)),
    "a gzip that is none": (answer(b"not gzip", "Content-Encoding: gzip"), ("Doubtful", "unparsable")),
    "an encoding nobody knows": (answer(b"\x01\x02", "Content-Encoding: br"), ("Doubtful", "unparsable")),
    "a decompression bomb": (answer(BOMB, "Content-Encoding: deflate"), ("Doubtful", "unparsable")),
    "a body too big": (answer(BIG), ("Doubtful", "unparsable")),
    "an empty success": (answer(b"", status="204 No Content"), ("Doubtful", "unparsable")),
    "a rejection": (answer(REJECTION, status="400 Bad Request"), ("rejected", "400")),
    "an HTML 502": (
        answer(b"<h1>Bad Gateway</h1>", status="502 Bad Gateway", kind="text/html"),
        ("Doubtful", "http_502"),
    ),
    "a redirect": (
        answer(b"", "Location: http://127.0.0.2:1/", status="307 Temporary Redirect"),
        ("RefusedUs", "http_307"),
    ),
    "a throttle": (answer(b"", "Retry-After: 7", status="429 Too Many Requests"), ("throttled", "7.0")),
    "a reset before reading": (reset_before_reading(), ("Doubtful", "reset")),
    "a reset after reading": (raw(then="reset"), ("Doubtful", "reset")),
    "a close after reading": (raw(then="close"), ("Doubtful", "protocol")),
    "half a head": (raw(b"HTTP/1.1 200 OK\r\nContent-", then="close"), ("Doubtful", "protocol")),
    "half an answer": (raw(HALF, then="close"), ("Doubtful", "protocol")),
    "half an answer and a reset": (raw(HALF, then="reset"), ("Doubtful", "reset")),
    "half an answer and silence": (raw(HALF), ("Doubtful", "read_timeout")),
    "chunks cut short": (raw(CHUNKED + CHUNK, then="close"), ("Doubtful", "protocol")),
    "chunks that are none": (raw(CHUNKED + b"zz\r\n\r\n"), ("Doubtful", "protocol")),
    "another protocol": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", then="close"), ("Doubtful", "protocol")),
    "silence": (silence(), ("Doubtful", "read_timeout")),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_ends_in_its_verdict(engine: Engine, name: str) -> None:
    """Whatever the engine, the same bytes mean the same."""
    step, expected = EXCHANGES[name]
    verdicts, server = verdict_of(engine, step)
    assert short(verdicts[0]) == expected
    assert len(server.seen) <= 1, "the engine must not repeat a request by itself"


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_ends_so_on_a_kept_connection_too_and_when_it_comes_again(engine: Engine, name: str) -> None:
    """What is left of one exchange, or known from it, does not change the next one."""
    step, expected = EXCHANGES[name]
    verdicts, server = verdict_of(engine, answer(), step, step, answer(), times=4)
    assert [short(verdict) for verdict in verdicts] == [
        ("accepted", PROFILE),
        expected,
        expected,
        ("accepted", PROFILE),
    ]
    assert len(server.seen) <= 4, "the engine must not repeat a request by itself"


def test_the_request_is_on_the_wire_as_it_was_built(engine: Engine) -> None:
    """Nothing is added that matters, nothing is compressed, nothing waits for 100-continue."""
    _, server = verdict_of(engine, answer())
    seen = server.seen[0]
    assert seen.head.split(b"\r\n")[0] == b"POST /api/v1.1/workflows/import_and_start HTTP/1.1"
    assert seen.body == CLAIM.request.payload
    assert seen.headers["request-id"] == seen.headers["x-request-id"] == REQUEST_ID
    assert seen.headers["authorization"] == "Bearer secret-token"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["content-type"] == seen.headers["accept"] == "application/json"
    assert not {"expect", "cookie", "referer", "transfer-encoding", "content-encoding"} & set(seen.headers)
    assert seen.head.lower().count(b"\r\nhost:") == seen.head.lower().count(b"\r\ncontent-length:") == 1


def test_a_connection_is_used_again(engine: Engine) -> None:
    """Keep-alive works, after rejections and bodies of any framing, too."""
    script = (answer(), raw(CHUNKED + CHUNK + b"0\r\n\r\n"), answer(REJECTION, status="400 Bad Request"), answer())
    verdicts, server = verdict_of(engine, *script, times=4)
    assert [short(verdict)[0] for verdict in verdicts] == ["accepted", "accepted", "rejected", "accepted"]
    assert server.connections == 1


def test_a_cookie_is_not_kept(engine: Engine) -> None:
    """What one answer sets must not reach the next row's request."""
    _, server = verdict_of(engine, answer(SUCCESS, "Set-Cookie: session=1"), answer(), times=2)
    assert "cookie" not in server.seen[1].headers


def test_a_big_answer_does_not_spoil_the_next_one(engine: Engine) -> None:
    """The rest of an answer that was not read must not be taken for the next one."""
    verdicts, _ = verdict_of(engine, answer(BIG), answer(), times=2)
    assert [short(verdict)[0] for verdict in verdicts] == ["Doubtful", "accepted"]


def test_a_connection_that_the_server_has_closed_is_not_used(engine: Engine) -> None:
    """A server may close between requests: that is no doubt, and no error."""

    async def answer_and_close(talk: Conversation) -> None:
        await answer()(talk)
        talk.writer.close()

    async def story() -> None:
        async with scripted_server(answer_and_close) as server, line_to(engine, server.url) as line:
            for number in range(1, 4):
                assert short(await line.attempt()) == ("accepted", PROFILE)
                await server.closed.wait()
                server.closed.clear()
                await asyncio.sleep(0.02)  # the engine's own thread has to see the end of the connection
                assert len(server.seen) == server.connections == number

    run(story)


def test_a_stale_connection_that_swallows_a_request_is_in_doubt(engine: Engine) -> None:
    """The second request went out on the kept connection and got no answer: it must not be sent again unseen."""
    verdicts, server = verdict_of(engine, answer(), raw(then="close"), answer(), times=2)
    assert short(verdicts[1]) == ("Doubtful", "protocol")
    assert len(server.seen) == 2


def test_a_refused_connection_was_never_sent(engine: Engine) -> None:
    """Nobody listens."""

    async def story() -> None:
        async with line_to(engine, f"http://127.0.0.1:{closed_port()}") as line:
            assert short(await line.attempt()) == ("NeverSent", "connect")

    run(story)


def test_a_name_that_does_not_resolve_was_never_sent(engine: Engine) -> None:
    """`.invalid` never resolves."""

    async def story() -> None:
        async with line_to(engine, "http://no-such-host.invalid") as line:
            assert short(await line.attempt())[0] == "NeverSent"

    run(story)


def test_a_connection_that_does_not_open_in_time_was_never_sent(engine: Engine) -> None:
    """A full backlog leaves the connection hanging."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        guests = [socket.socket() for _ in range(3)]
        for guest in guests:
            guest.setblocking(False)
            guest.connect_ex(full.getsockname())

        async def story() -> None:
            async with line_to(engine, f"http://127.0.0.1:{full.getsockname()[1]}") as line:
                assert short(await line.attempt()) == ("NeverSent", "connect_timeout")

        run(story)
        for guest in guests:
            guest.close()


def test_a_tls_handshake_that_fails_was_never_sent(engine: Engine) -> None:
    """The server does not speak TLS: it saw a greeting and not the request."""

    async def hang_up(talk: Conversation) -> None:
        talk.reset()

    async def story() -> None:
        async with scripted_server(hang_up) as server, line_to(engine, server.url.replace("http", "https")) as line:
            assert short(await line.attempt()) == ("NeverSent", "connect")

    run(story)


def test_an_attempt_that_is_cancelled_lets_go_of_its_connection(engine: Engine) -> None:
    """After a second signal nothing may linger."""

    async def story() -> None:
        async with scripted_server(silence(), answer()) as server, line_to(engine, server.url) as line:
            attempt = asyncio.create_task(line.attempt())
            await server.arrived.wait()
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert short(await line.attempt()) == ("accepted", PROFILE)
            assert server.connections == 2

    run(story)


def test_many_at_once_share_the_connections(engine: Engine) -> None:
    """Four connections are allowed and kept; twenty attempts all succeed."""

    async def story() -> None:
        async with scripted_server(answer()) as server, line_to(engine, server.url) as line:
            for _ in range(5):
                verdicts = await asyncio.gather(*(line.attempt() for _ in range(4)))
                assert {short(verdict)[0] for verdict in verdicts} == {"accepted"}
            assert server.connections <= 8  # a connection opened while another came back is a spare one

    run(story)
