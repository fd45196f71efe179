"""The two HTTP engines behind one face: an `httpx.AsyncBaseTransport` that gives back whole answers.

    fast    pyreqwest (Rust: reqwest, hyper); a tenth of the cost
    httpx   httpx's own; works wherever Python works

Both: HTTP/1.1, keep-alive, no redirects, no cookies, no retries, answers within bounds, proxies and certificates as
the environment says. Both tell apart what certainly was not sent: that is what their contract suite is about.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import httpx

from batchrunner.errors import ConfigError
from batchrunner.submit.proxies import proxy_for
from batchrunner.submit.whole import LARGEST_ANSWER_BYTES, whole_answer

IDLE_S = 45.0
"""How long an unused connection is kept. Common servers close theirs after 60 s or more: we go first."""


def make_transport(  # noqa: PLR0913  all of it is configuration
    kind: Literal["fast", "httpx"],
    *,
    url: str,
    connect_timeout_s: float,
    timeout_s: float,
    connections: int,
    environ: Mapping[str, str],
) -> httpx.AsyncBaseTransport:
    """Make a transport for requests to `url`, to be used on one event loop.

    Answers come back whole: `response.read()` returns at once, and `content-encoding` has been undone.
    Raises ConfigError when the engine is missing, or when a proxy or a certificate file cannot be used.
    """
    proxy, certificates = proxy_for(url, environ), _certificates(environ)
    try:
        if kind == "httpx":
            return HttpxTransport(_httpx_engine(proxy, certificates, connections))
        return _fast_transport(proxy, certificates, connections, connect_timeout_s, timeout_s)
    except (ValueError, OSError, httpx.InvalidURL) as error:
        raise ConfigError(f"the HTTP engine does not start: {error}; check HTTPS_PROXY and SSL_CERT_FILE") from error


def _certificates(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("SSL_CERT_FILE")
    if not name:
        return None
    if not Path(name).is_file():
        raise ConfigError(f"SSL_CERT_FILE names {name}, which is not a file; correct it or unset it")
    return Path(name)


def _fast_transport(
    proxy: str | None, certificates: Path | None, connections: int, connect_timeout_s: float, timeout_s: float
) -> httpx.AsyncBaseTransport:
    try:
        from batchrunner.submit import fast  # noqa: PLC0415  its engine may be missing
    except ImportError as error:
        raise ConfigError(f'the fast HTTP engine does not load: {error}; set target.transport = "httpx"') from error
    client = fast.fast_client(
        proxy=proxy,
        certificates=certificates,
        connections=connections,
        connect_timeout_s=connect_timeout_s,
        timeout_s=timeout_s,
        idle_s=IDLE_S,
    )
    return fast.FastTransport(client)


class HttpxTransport(httpx.AsyncBaseTransport):
    """httpx's own transport, with answers read to their end and within bounds."""

    def __init__(self, engine: httpx.AsyncBaseTransport) -> None:
        """Take the engine over: it is closed with the transport."""
        self._engine = engine

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read the answer."""
        answer = await self._engine.handle_async_request(request)
        try:
            return whole_answer(answer.status_code, answer.headers.multi_items(), await _read(answer))
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._engine.aclose()


def _httpx_engine(proxy: str | None, certificates: Path | None, connections: int) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_S)
    context = ssl.create_default_context(cafile=certificates) if certificates else httpx.create_ssl_context()
    return httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy, trust_env=False)


async def _read(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.stream:  # type: ignore[union-attr]  # an async engine gives an async stream
        content += part
        if len(content) > LARGEST_ANSWER_BYTES:
            break
    return bytes(content[: LARGEST_ANSWER_BYTES + 1])
