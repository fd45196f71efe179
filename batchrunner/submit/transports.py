"""The HTTP engines behind one face: an `httpx.AsyncBaseTransport` that gives back whole answers.

    fast        lines of our own on the event loop (`wire`); by way of a proxy, pyreqwest
    pyreqwest   Rust: reqwest, hyper; twice the cost, on threads of its own
    httpx       httpx's own; works wherever Python works, at twenty times the cost

All: HTTP/1.1, keep-alive, no redirects, no cookies, no retries, answers within bounds, one address and no other,
proxies and certificates as `facts` says. All tell apart what certainly was not sent: that is what their contract
suite is about.
"""

from __future__ import annotations

import ssl
from typing import Literal

import httpx

from batchrunner.errors import ConfigError
from batchrunner.submit.facts import ANY_ADDRESS, Facts, load_identity
from batchrunner.submit.pin import Pin
from batchrunner.submit.whole import LARGEST_ANSWER_BYTES, whole_answer

Transport = httpx.AsyncBaseTransport
"""What all engines are."""

Kind = Literal["fast", "pyreqwest", "httpx"]


def make_transport(kind: Kind, facts: Facts, connections: int) -> httpx.AsyncBaseTransport:
    """Make a transport for requests to the address of `facts` and no other, to be used on one event loop.

    Answers come back whole: `response.read()` returns at once, and `content-encoding` has been undone.
    Raises ConfigError when the engine is missing, or when a proxy or a certificate file cannot be used.
    """
    try:
        if kind == "httpx":
            return HttpxTransport(_httpx_engine(facts, connections), facts)
        if kind == "fast" and facts.proxy is None:
            return _wire_transport(facts)
        return _pyreqwest_transport(facts, connections)
    except (ValueError, OSError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"the HTTP engine does not start: {error}; check [connection], HTTPS_PROXY and SSL_CERT_FILE"
        ) from error


def _wire_transport(facts: Facts) -> httpx.AsyncBaseTransport:
    try:
        from batchrunner.submit import wire  # noqa: PLC0415  its parser may be missing
    except ImportError as error:
        raise _not_here("fast", error) from error
    tls = httpx.URL(facts.url).scheme == "https"
    return wire.WireTransport(facts, _context(facts) if tls else None)


def _pyreqwest_transport(facts: Facts, connections: int) -> httpx.AsyncBaseTransport:
    try:
        from batchrunner.submit import reqwest  # noqa: PLC0415  its engine may be missing
    except ImportError as error:
        raise _not_here("pyreqwest", error) from error
    return reqwest.ReqwestTransport(reqwest.reqwest_client(facts, connections), Pin(facts.url))


def _not_here(engine: str, error: ImportError) -> ConfigError:
    return ConfigError(f'the HTTP engine "{engine}" does not load: {error}; set target.transport = "httpx"')


class HttpxTransport(httpx.AsyncBaseTransport):
    """httpx's own transport, with answers read to their end and within bounds."""

    def __init__(self, engine: httpx.AsyncBaseTransport, facts: Facts) -> None:
        """Take the engine over: it is closed with the transport."""
        self._engine = engine
        self._pin = Pin(facts.url)
        self._send_timeout_s = facts.send_timeout_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read the answer."""
        self._pin.check(request)
        if self._send_timeout_s is not None:
            timeouts = {**request.extensions.get("timeout", {}), "write": self._send_timeout_s}
            request.extensions = {**request.extensions, "timeout": timeouts}
        largest = request.extensions.get("answer_bytes", LARGEST_ANSWER_BYTES)
        answer = await self._engine.handle_async_request(request)
        try:
            return whole_answer(answer.status_code, _lower(answer.headers), await _read(answer, largest))
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._engine.aclose()


def _httpx_engine(facts: Facts, connections: int) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=facts.idle_s
    )
    return httpx.AsyncHTTPTransport(
        verify=_context(facts),
        limits=limits,
        proxy=facts.proxy,
        trust_env=False,
        local_address=ANY_ADDRESS[facts.ip],
    )


def _context(facts: Facts) -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=facts.verified, trust_env=False)
    if facts.trusted is not None:
        context.load_verify_locations(cadata=facts.trusted.decode("ascii", "ignore"))
    if facts.identity is not None:
        load_identity(context, facts.identity)
    return context


def _lower(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.multi_items()]


async def _read(answer: httpx.Response, largest: int) -> bytes:
    content = bytearray()
    async for part in answer.stream:  # type: ignore[union-attr]  # an async engine gives an async stream
        content += part
        if len(content) > largest:
            break
    return bytes(content[: largest + 1])
