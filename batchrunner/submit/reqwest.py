"""pyreqwest (Rust: reqwest, hyper) behind httpx's types: a tenth of the cost of httpx's own engine."""

from __future__ import annotations

import sys
from datetime import timedelta

import httpx
from pyreqwest import exceptions
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest

from batchrunner.submit.facts import ANY_ADDRESS, Facts
from batchrunner.submit.pin import Pin
from batchrunner.submit.whole import LARGEST_ANSWER_BYTES, whole_answer


class ReqwestTransport(httpx.AsyncBaseTransport):
    """httpx's types over pyreqwest. Time-outs are the engine's own; those in a request's extensions are not read.

    One event-loop thread a process, please: pyreqwest 0.15.1 crashes the interpreter when a client is made in a second
    thread after the first has ended. A run is a process of its own, so none of ours does.
    """

    def __init__(self, client: Client, pin: Pin) -> None:
        """Take the client over: it is closed with the transport."""
        self._client = client
        self._pin = pin
        self._checked: httpx.URL | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, read the answer, and raise what httpx's own transport would."""
        if request.url is not self._checked:  # it cannot change, and all requests of a run share it
            self._look_at(request)
        built = self._build(request)
        largest: int = request.extensions.get("answer_bytes", LARGEST_ANSWER_BYTES)
        try:
            # Streamed, because only so is there a bound on what is read. It costs no more.
            async with built as answer:
                content = await answer.body_reader.read(largest + 1)
                return whole_answer(answer.status, list(answer.headers.items()), bytes(content) if content else b"")
        except exceptions.PyreqwestError as error:
            raise _as_httpx(error, request) from error

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    def _look_at(self, request: httpx.Request) -> None:
        self._pin.check(request)
        try:
            self._address = Url(str(request.url))
        except ValueError as error:
            raise httpx.InvalidURL(str(error)) from error
        self._checked = request.url

    def _build(self, request: httpx.Request) -> StreamRequest:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        try:
            builder = self._client.request(request.method, self._address)
            return builder.headers(headers).body_bytes(request.read()).build_streamed()
        except ValueError as error:  # BuilderError is one, too
            raise httpx.InvalidURL(str(error)) from error


def reqwest_client(facts: Facts, connections: int) -> Client:
    """Configure an engine. Raises ValueError or OSError when a proxy or a certificate file is unusable."""
    connect_s, answer_s = facts.connect_timeout_s, facts.timeout_s + (facts.send_timeout_s or 0.0)
    # The engine counts its read time-out from the very start. A connection that is slow to open must not be taken
    # for an answer that is slow to come: the one was certainly not sent.
    read_timeout_s = answer_s if answer_s > connect_s else answer_s + connect_s
    builder = (
        ClientBuilder()
        .http1_only()
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .tcp_nodelay(True)
        .connect_timeout(timedelta(seconds=connect_s))
        .read_timeout(timedelta(seconds=read_timeout_s))
        .pool_max_idle_per_host(connections)
        .pool_idle_timeout(timedelta(seconds=facts.idle_s))
        .no_proxy()
    )
    if facts.send_timeout_s is not None and sys.platform == "linux":  # elsewhere the read time-out is the bound
        builder = builder.tcp_user_timeout(timedelta(seconds=facts.send_timeout_s))
    if (address := ANY_ADDRESS[facts.ip]) is not None:
        builder = builder.local_address(address)
    return _to_the_right_one(builder, facts).build()


def _to_the_right_one(builder: ClientBuilder, facts: Facts) -> ClientBuilder:
    """By way of whom, and how both sides are known."""
    if facts.proxy:
        builder = builder.proxy(ProxyBuilder.all(facts.proxy))
    if facts.trusted:
        builder = builder.add_root_certificate_pem(facts.trusted)
    if facts.identity:
        builder = builder.identity_pem(facts.identity)
    return builder if facts.verified else builder.danger_accept_invalid_certs(True)


# --- exceptions ---------------------------------------------------------------------------------


def _as_httpx(error: exceptions.PyreqwestError, request: httpx.Request) -> httpx.TransportError:
    """Say the same with an exception of httpx.

    The engine's classes cannot be trusted with the one question that matters: it raises ConnectError for a connection
    that was reset after the request had been read, and ConnectTimeoutError for an answer that never came. Its list of
    causes can: `client error (Connect)` stands there if, and only if, no connection was ever open.
    """
    causes = _causes(error)
    text = ": ".join(causes[1:]) or error.message
    kind = _no_connection(error, causes) if "client error (Connect)" in causes else _after_connecting(error, text)
    return kind(text, request=request)


def _causes(error: exceptions.PyreqwestError) -> list[str]:
    details = getattr(error, "details", None) or {}
    return [str(cause["message"]) for cause in details.get("causes") or ()]


def _no_connection(error: Exception, causes: list[str]) -> type[httpx.TransportError]:
    if isinstance(error, TimeoutError):
        return httpx.ConnectTimeout
    by_proxy = any(cause.startswith("tunnel error") and "underlying connection" not in cause for cause in causes)
    return httpx.ProxyError if by_proxy else httpx.ConnectError


_CUT_SHORT = ("before message completed", "before message length reached", "unexpected EOF")

_AFTER_CONNECTING: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (exceptions.BuilderError, httpx.UnsupportedProtocol),
    (exceptions.WriteTimeoutError, httpx.WriteTimeout),
    (exceptions.RequestTimeoutError, httpx.ReadTimeout),
    (exceptions.DecodeError, httpx.RemoteProtocolError),
    (exceptions.WriteError, httpx.WriteError),
    (exceptions.NetworkError, httpx.ReadError),
)
"""The first that fits. Anything else is a TransportError: in doubt."""


def _after_connecting(error: Exception, text: str) -> type[httpx.TransportError]:
    if isinstance(error, exceptions.NetworkError) and any(sign in text for sign in _CUT_SHORT):
        return httpx.RemoteProtocolError
    return next((ours for theirs, ours in _AFTER_CONNECTING if isinstance(error, theirs)), httpx.TransportError)
