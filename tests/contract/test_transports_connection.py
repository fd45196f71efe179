"""How the platform is reached: real TLS, a real proxy process, IPv6, and an address that is never left."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx
import pytest
from certificates import Authority, new_authority
from scripted_server import answer, closed_port, raw, scripted_server
from transport_lines import CLAIM, PROFILE, Engine, Target, engines, facts, line_to, run, short
from tunnel_proxy import tunnel_proxy

from batchrunner.api import Api
from batchrunner.errors import ConfigError
from batchrunner.model import Request, Row

ACCEPTED = ("accepted", PROFILE)
NO_CONNECTION = ("NeverSent", "connect")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody knows by default."""
    return new_authority(tmp_path_factory.mktemp("authority"))


# --- whom we trust ------------------------------------------------------------------------------


@engines
def test_the_jobs_own_authority_is_trusted(engine: Engine, authority: Authority) -> None:
    """`ca_file` goes before SSL_CERT_FILE, which names another one here."""
    connection: dict[str, object] = {"ca_file": str(authority.file)}

    async def story() -> None:
        async with scripted_server(answer(), tls=authority.server()) as server:
            environ = {"SSL_CERT_FILE": str(authority.client()[0])}
            async with line_to(engine, server.url, environ, connection) as line:
                assert short(await line.attempt()) == ACCEPTED
            async with line_to(engine, server.url) as line:
                assert short(await line.attempt()) == NO_CONNECTION

    run(story)


@engines
def test_a_certificate_for_another_name_is_not_trusted(engine: Engine, authority: Authority) -> None:
    """Even when its authority is."""

    async def story() -> None:
        async with scripted_server(answer(), tls=authority.server("elsewhere.example")) as server:
            async with line_to(engine, server.url, connection={"ca_file": str(authority.file)}) as line:
                assert short(await line.attempt()) == NO_CONNECTION
            assert not server.seen

    run(story)


@engines
def test_insecure_takes_any_certificate(engine: Engine, authority: Authority) -> None:
    """For somebody who has said so."""

    async def story() -> None:
        tls = authority.server("elsewhere.example")
        async with scripted_server(answer(), tls=tls) as server, line_to(engine, server.url, insecure=True) as line:
            assert short(await line.attempt()) == ACCEPTED

    run(story)


# --- who we are ---------------------------------------------------------------------------------


@engines
@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_server_that_asks_for_a_certificate_gets_ours(
    engine: Engine, authority: Authority, tmp_path: Path, in_one_file: bool
) -> None:
    """With its key beside it, or in a file of its own."""
    cert, key = authority.client()
    connection: dict[str, object] = {"ca_file": str(authority.file), "client_cert": str(cert), "client_key": str(key)}
    if in_one_file:
        both = tmp_path / "both.pem"
        both.write_bytes(cert.read_bytes() + key.read_bytes())
        both.chmod(0o600)
        connection = {"ca_file": str(authority.file), "client_cert": str(both)}

    async def story() -> None:
        async with (
            scripted_server(answer(), tls=authority.server(asks_for_clients=True)) as server,
            line_to(engine, server.url, connection=connection) as line,
        ):
            assert short(await line.attempt()) == ACCEPTED

    run(story)


@engines
def test_a_server_that_asks_for_a_certificate_and_gets_none_sees_no_request(
    engine: Engine, authority: Authority
) -> None:
    """In TLS 1.3 it may refuse after we have begun to send: never accepted, whatever it is called."""

    async def story() -> None:
        async with scripted_server(answer(), tls=authority.server(asks_for_clients=True)) as server:
            async with line_to(engine, server.url, connection={"ca_file": str(authority.file)}) as line:
                assert short(await line.attempt())[0] in ("NeverSent", "Doubtful")
            assert not server.seen

    run(story)


def _encrypted(folder: Path) -> Path:
    path = folder / "encrypted.key"
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256"]
    try:
        subprocess.run([*command, "-pass", "pass:secret", "-out", path], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    path.chmod(0o600)
    return path


def test_certificates_that_cannot_work_are_said_before_anything_is_sent(authority: Authority, tmp_path: Path) -> None:
    """Each in one sentence that says what to do."""
    cert, key = authority.client()
    other = authority.client("other")[1]
    readable = tmp_path / "readable.key"
    readable.write_bytes(key.read_bytes())
    readable.chmod(0o644)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    cases: list[tuple[dict[str, object], str]] = [
        ({"ca_file": str(text)}, r"connection.ca_file names .*text.pem, which holds no certificate in PEM form"),
        ({"ca_file": str(tmp_path)}, "connection.ca_file names .*, which is not a file"),
        ({"client_cert": str(cert), "client_key": str(other)}, "do not go together"),
        ({"client_cert": str(cert)}, "other users can read the private key; run: chmod 600 .*client.pem"),
        ({"client_cert": str(cert), "client_key": str(readable)}, "run: chmod 600 .*readable.key"),
        ({"client_cert": str(cert), "client_key": str(_encrypted(tmp_path))}, "is encrypted, .*openssl pkey"),
        ({"client_cert": str(tmp_path / "none.pem")}, "connection.client_cert names .*none.pem, which cannot be read"),
    ]
    for connection, says in cases:
        with pytest.raises(ConfigError, match=says):
            facts(Target("https://a.example"), connection=connection)


def test_certificates_that_the_environment_names_are_looked_into_where_something_is_encrypted(tmp_path: Path) -> None:
    """For an address without TLS, nobody is asked for one; the job's own are looked into whatever the address."""
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    named = {"SSL_CERT_FILE": str(text)}
    assert facts(Target("http://a.example"), named, plain=True).trusted == b"no certificate"
    cases: list[tuple[str, dict[str, str], dict[str, object]]] = [
        ("https://a.example", named, {}),
        ("http://a.example", {**named, "HTTP_PROXY": "https://proxy.example"}, {}),
        ("http://a.example", {}, {"ca_file": str(text)}),
    ]
    for url, environ, connection in cases:
        with pytest.raises(ConfigError, match=r"text\.pem, which holds no certificate in PEM form"):
            facts(Target(url), environ, connection, plain=url.startswith("http:"))


# --- by way of whom -----------------------------------------------------------------------------


@engines
def test_tls_goes_through_a_proxys_tunnel(engine: Engine, authority: Authority) -> None:
    """A proxy in a process of its own, which asks for a login; it sees an address and no token."""

    async def story() -> None:
        with tunnel_proxy(login="ann:secret") as proxy:
            async with scripted_server(answer(), tls=authority.server()) as server:
                connection: dict[str, object] = {"ca_file": str(authority.file)}
                environ = {"HTTPS_PROXY": f"http://ann:secret@127.0.0.1:{proxy.port}"}
                async with line_to(engine, server.url, environ, connection) as line:
                    assert short(await line.attempt()) == ACCEPTED
                environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
                async with line_to(engine, server.url, environ, connection) as line:
                    assert short(await line.attempt()) == ("NeverSent", "proxy")
                assert len(server.seen) == 1
            address = f"CONNECT 127.0.0.1:{server.port}"
            assert proxy.stop() == [f"{address} with a login", f"{address} without"]

    run(story)


@engines
def test_the_jobs_proxy_goes_before_the_environments(engine: Engine) -> None:
    """`proxy` names another one, or none at all."""

    async def story() -> None:
        wrong = {"HTTP_PROXY": f"http://127.0.0.1:{closed_port()}"}
        async with scripted_server(answer()) as server:
            async with line_to(engine, server.url, wrong, {"proxy": "none"}) as line:
                assert short(await line.attempt()) == ACCEPTED
            async with line_to(engine, "http://platform.invalid", wrong, {"proxy": server.url}) as line:
                assert short(await line.attempt()) == ACCEPTED

    run(story)


def test_a_proxys_password_is_not_shown() -> None:
    """Neither in what `doctor` says nor in a traceback."""
    found = facts(Target("https://a.example"), {"HTTPS_PROXY": "http://ann:secret@proxy.example:3128"})
    assert found.proxy_shown == "http://proxy.example:3128"
    assert "secret" not in repr(found)


# --- to whom, and nobody else --------------------------------------------------------------------


@engines
def test_a_request_to_anybody_else_does_not_leave(engine: Engine) -> None:
    """The transport of one address refuses every other, so that no token goes astray."""

    async def story() -> None:
        async with scripted_server(answer()) as right, scripted_server(answer()) as wrong:
            astray = Api(Target(wrong.url), "secret-token").request_for(CLAIM)
            async with line_to(engine, right.url) as line:
                with pytest.raises(httpx.UnsupportedProtocol, match=f"goes to {right.url} and not to"):
                    await line.transport.handle_async_request(astray)
            assert not wrong.connections

    run(story)


@engines
def test_a_redirect_is_not_followed(engine: Engine) -> None:
    """A POST must not move: neither to another server nor to another path."""

    async def story() -> None:
        async with scripted_server(answer()) as elsewhere:
            moved = answer(b"", f"Location: {elsewhere.url}/api", status="308 Permanent Redirect")
            async with scripted_server(moved) as server, line_to(engine, server.url) as line:
                assert short(await line.attempt()) == ("RefusedUs", "http_308")
                assert len(server.seen) == 1
            assert not elsewhere.connections

    run(story)


@engines
def test_ipv6_is_spoken(engine: Engine) -> None:
    """Over loopback; and a family that the address does not have is no connection."""

    async def story() -> None:
        async with scripted_server(answer(), host="::1") as server:
            for ip in ("any", "6"):
                async with line_to(engine, server.url, connection={"ip": ip}) as line:
                    assert short(await line.attempt()) == ACCEPTED
            assert server.seen[0].headers["host"] == f"[::1]:{server.port}"
            async with line_to(engine, server.url, connection={"ip": "4"}) as line:
                assert short(await line.attempt())[0] == "NeverSent"

    run(story)


# --- connections over time -----------------------------------------------------------------------


@engines
def test_after_a_reset_the_next_request_takes_a_new_connection(engine: Engine) -> None:
    """One row in doubt, and no second one because of it; then the new connection is kept."""

    async def story() -> None:
        script = (answer(), raw(then="reset"), answer(), answer())
        async with scripted_server(*script) as server, line_to(engine, server.url) as line:
            told = [short(await line.attempt())[0] for _ in range(4)]
            assert told == ["accepted", "Doubtful", "accepted", "accepted"]
            assert [seen.connection for seen in server.seen] == [1, 1, 2, 2]

    run(story)


@engines
def test_an_idle_connection_is_given_up_before_the_server_does(engine: Engine) -> None:
    """`idle` says when."""

    async def story() -> None:
        async with scripted_server(answer()) as server:
            async with line_to(engine, server.url, connection={"idle": "50ms"}) as line:
                assert short(await line.attempt()) == ACCEPTED
                await asyncio.sleep(0.2)
                assert short(await line.attempt()) == ACCEPTED
            assert server.connections == 2

    run(story)


@engines
def test_a_server_that_takes_nothing_is_given_up(engine: Engine) -> None:
    """A body larger than all buffers, and nobody who reads it: in doubt, within the two time-outs."""
    body = b'{"x":"' + b"x" * 30_000_000 + b'"}'
    claim = CLAIM.__class__(1, Request(CLAIM.request.key, Row(1, 2, ("a",)), body), CLAIM.request_id, 0)
    never = asyncio.Event

    async def stuck(_: object) -> None:
        await never().wait()

    async def story() -> None:
        async with (
            scripted_server(stuck) as server,
            line_to(engine, server.url, connection={"send_timeout": "200ms"}) as line,
        ):
            with pytest.raises(httpx.TransportError) as failed:
                await line.transport.handle_async_request(line.api.request_for(claim))
            assert short(line.api.read_exception(failed.value))[0] == "Doubtful"

    run(story)


@engines
def test_the_next_address_of_a_name_is_tried(engine: Engine) -> None:
    """`localhost` is two addresses where there is IPv6, and the server listens on one of them."""

    async def story() -> None:
        async with scripted_server(answer()) as server:
            async with line_to(engine, f"http://localhost:{server.port}") as line:
                assert short(await line.attempt()) == ACCEPTED
            assert server.seen[0].headers["host"] == f"localhost:{server.port}"

    run(story)


@pytest.mark.parametrize("value", ["1\r\nX-B: 2", "1\nX-B: 2", "1\rX-B: 2", "1\0", b"1\xff\r2"])
def test_a_header_cannot_hold_another_one(value: str | bytes) -> None:
    """Whatever slipped through: nothing of it is sent."""

    async def story() -> None:
        async with scripted_server(answer()) as server, line_to("fast", server.url) as line:
            request = line.api.request_for(CLAIM)
            named = [(b"X-A", value.encode() if isinstance(value, str) else value)]
            astray = httpx.Request("POST", request.url, headers=named, content=b"")
            with pytest.raises(httpx.LocalProtocolError, match="end of a line"):
                await line.transport.handle_async_request(astray)
            assert not server.connections

    run(story)
