"""Proxies and certificates: every HTTP engine reads the environment in the same way."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_server import answer, closed_port, head, raw, scripted_server
from transport_lines import PROFILE, Engine, Target, engines, facts, line_to, run, short

from batchrunner.errors import ConfigError
from batchrunner.submit import make_transport
from batchrunner.submit.proxies import proxy_for


@engines
def test_a_proxy_from_the_environment_is_used(engine: Engine) -> None:
    """Plain HTTP goes through a proxy in absolute form."""

    async def story() -> None:
        async with scripted_server(answer()) as proxy:
            async with line_to(engine, "http://platform.invalid", {"HTTP_PROXY": proxy.url}) as line:
                assert short(await line.attempt()) == ("accepted", PROFILE)
            assert proxy.seen[0].head.startswith(b"POST http://platform.invalid/api/")
            assert proxy.seen[0].headers["host"] == "platform.invalid"

    run(story)


@engines
def test_no_proxy_is_obeyed(engine: Engine) -> None:
    """An address that is excepted is reached directly."""

    async def story() -> None:
        async with scripted_server(answer()) as server:
            environ = {"http_proxy": f"http://127.0.0.1:{closed_port()}", "NO_PROXY": "localhost,127.0.0.0/8"}
            async with line_to(engine, server.url, environ) as line:
                assert short(await line.attempt()) == ("accepted", PROFILE)

    run(story)


@engines
@pytest.mark.parametrize(("status", "headers"), [("403 Forbidden", ()), ("407 Login", ("Proxy-Authenticate: Basic",))])
def test_a_proxy_that_refuses_a_tunnel_has_not_sent_anything(
    engine: Engine, status: str, headers: tuple[str, ...]
) -> None:
    """CONNECT was answered with a refusal: the request never left us."""

    async def story() -> None:
        async with scripted_server(raw(head(status, "Content-Length: 0", *headers), then="close")) as proxy:
            async with line_to(engine, "https://platform.invalid", {"HTTPS_PROXY": proxy.url}) as line:
                assert short(await line.attempt()) == ("NeverSent", "proxy")
            assert proxy.seen[0].head.startswith(b"CONNECT platform.invalid:443")
            assert b"secret-token" not in proxy.seen[0].head

    run(story)


@engines
def test_a_proxy_that_nobody_runs_was_never_reached(engine: Engine) -> None:
    """For either scheme."""

    async def story() -> None:
        for scheme in ("http", "https"):
            environ = {"ALL_PROXY": f"127.0.0.1:{closed_port()}"}
            async with line_to(engine, f"{scheme}://platform.invalid", environ) as line:
                assert short(await line.attempt()) == ("NeverSent", "connect")

    run(story)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key, and a certificate for 127.0.0.1 that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {cert} -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    )
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return key, cert


@pytest.mark.parametrize("trusted", [True, False])
@engines
def test_only_known_certificates_are_trusted(engine: Engine, certificate: tuple[Path, Path], trusted: bool) -> None:
    """SSL_CERT_FILE makes a private certificate known; without it nothing is sent."""
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def story() -> None:
        async with scripted_server(answer(), tls=context) as server:
            environ = {"SSL_CERT_FILE": str(cert)} if trusted else {}
            async with line_to(engine, server.url, environ) as line:
                expected = ("accepted", PROFILE) if trusted else ("NeverSent", "connect")
                assert short(await line.attempt()) == expected
            assert len(server.seen) == int(trusted)

    run(story)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"SSL_CERT_FILE": "/no/such/file"}, "SSL_CERT_FILE names /no/such/file"),
        ({"HTTP_PROXY": "socks5://127.0.0.1:1"}, "only http and https proxies"),
    ],
)
@engines
def test_an_environment_that_cannot_work_is_a_config_error(engine: Engine, environ: dict[str, str], says: str) -> None:
    """Said before the first row, and in words."""

    async def story() -> None:
        with pytest.raises(ConfigError, match=says):
            async with line_to(engine, "http://platform.invalid", environ):
                pass

    run(story)


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example", {}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example", {"HTTP_PROXY": PROXY}, None),
        ("http://a.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://a.example", {"HTTP_PROXY": "http://x", "http_proxy": PROXY}, PROXY),
        ("http://a.example", {"ALL_PROXY": "proxy.example:3128"}, PROXY),
        ("http://a.example", {"HTTP_PROXY": "  "}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "b.example, example"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*.example"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "no_proxy": "A.EXAMPLE"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "ba.example,xample,a.example.org"}, PROXY),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example:443"}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example:8443"}, PROXY),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.1.2.3:80"}, None),
        ("http://11.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,nonsense/8"}, PROXY),
        ("http://[::1]:8080", {"HTTP_PROXY": PROXY, "NO_PROXY": "[::1]"}, None),
        ("http://[::1]:8080", {"HTTP_PROXY": PROXY, "NO_PROXY": "::1"}, None),
    ],
)
def test_the_proxy_of_an_address(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """As curl and the common libraries understand the variables."""
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    ("engine", "module", "library"), [("fast", "wire", "httptools"), ("pyreqwest", "reqwest", "pyreqwest")]
)
def test_a_missing_engine_is_a_config_error_that_names_another(
    engine: Engine, module: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are platforms that it is not built for."""
    for name in (module, "lines"):
        monkeypatch.delitem(sys.modules, f"batchrunner.submit.{name}", raising=False)
        monkeypatch.delattr(f"batchrunner.submit.{name}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=r'set target\.transport = "httpx"'):
        make_transport(engine, facts(Target("http://a.example")), 1)
