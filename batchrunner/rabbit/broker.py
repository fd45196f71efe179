"""The broker: where it is, how a message is said, and what opening a connection can end in."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from batchrunner.errors import ApiRefusedUs, ConfigError

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

URL_VARIABLE = "ALTCRAFT_AMQP_URL"

INSTALL = "pip install 'batchrunner[rabbitmq]'"


class SaysBroker(Protocol):
    """What the room needs of the job's `[rabbitmq]`."""

    @property
    def url(self) -> str | None: ...  # noqa: D102
    @property
    def requests(self) -> str: ...  # noqa: D102
    @property
    def answers(self) -> str: ...  # noqa: D102
    @property
    def account_id(self) -> int | None: ...  # noqa: D102
    @property
    def answer_timeout(self) -> timedelta: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """All there is to know before a connection is opened."""

    url: str = field(repr=False)  # it may hold a password
    requests: str
    answers: str
    account_id: int | None
    connect_timeout_s: float
    answer_timeout_s: float
    tls: ssl.SSLContext | None

    @property
    def shown(self) -> str:
        """The broker without a user and a password."""
        address = urlsplit(self.url)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def broker_facts(
    table: SaysBroker, connect_timeout: timedelta, tls: ssl.SSLContext, environ: Mapping[str, str] = os.environ
) -> BrokerFacts:
    """Read what job and environment say. Raises ConfigError, also when the library is missing."""
    url = environ.get(URL_VARIABLE, "").strip() or table.url
    if not url:
        raise ConfigError(f"[rabbitmq] has no `url`; write it there, or set {URL_VARIABLE} in the environment")
    if urlsplit(url).scheme not in ("amqp", "amqps"):
        raise ConfigError(f"{URL_VARIABLE} must begin with amqp:// or amqps://")
    try:
        import aio_pika  # noqa: F401, PLC0415  an extra
    except ImportError:
        raise ConfigError(f"[rabbitmq] needs a library that is not installed; run: {INSTALL}") from None
    return BrokerFacts(
        url,
        table.requests,
        table.answers,
        table.account_id,
        connect_timeout.total_seconds(),
        table.answer_timeout.total_seconds(),
        tls if url.startswith("amqps:") else None,
    )


# --- messages -------------------------------------------------------------------------------------


class Said(msgspec.Struct):
    """An answer as it comes."""

    body: msgspec.Raw
    request_id: str


_read = msgspec.json.Decoder(Said).decode


def message_of(facts: BrokerFacts, request: httpx.Request) -> tuple[str, bytes]:
    """A request as a message, and the id that its answer will carry. A header's token goes into the body."""
    request_id = request.headers["request-id"]
    body = request.read()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        body = b'{"token":' + msgspec.json.encode(token) + (b"}" if body == b"{}" else b"," + body[1:])
    account = b"" if facts.account_id is None else b'"account_id":%d,' % facts.account_id
    path = msgspec.json.encode(request.url.path.lstrip("/"))
    said = (b"{", account, b'"request_id":', msgspec.json.encode(request_id), b',"request":', path, b',"body":')
    return request_id, b"".join((*said, body, b"}"))


def read_message(content: bytes) -> tuple[str, bytes] | None:
    """The id and the body of an answer; None: it is none."""
    try:
        said = _read(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return said.request_id, bytes(said.body)


def as_response(body: bytes) -> httpx.Response:
    """An answer's body in the form that answers over HTTP have."""
    return httpx.Response(200, headers=[("Content-Type", "application/json")], stream=httpx.ByteStream(body))


# --- connections ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection to the broker, whose two queues exist."""

    connection: AbstractConnection
    channel: AbstractChannel
    answers: AbstractQueue


async def open_broker(facts: BrokerFacts, prefetch: int) -> Opened:
    """Connect. Raises httpx.ConnectError where a later try may succeed, ApiRefusedUs where none will."""
    import aio_pika  # noqa: PLC0415
    from aio_pika import exceptions  # noqa: PLC0415

    tls: dict[str, Any] = {} if facts.tls is None else {"ssl": True, "ssl_context": facts.tls}
    try:
        connection = await aio_pika.connect(facts.url, timeout=facts.connect_timeout_s, **tls)
    except (exceptions.ProbableAuthenticationError, exceptions.AuthenticationError) as error:
        raise ApiRefusedUs(
            f"the broker {facts.shown} does not take the login ({error}); correct it in {URL_VARIABLE} or [rabbitmq]"
        ) from None
    except (exceptions.AMQPError, OSError, TimeoutError) as error:
        raise httpx.ConnectError(f"no connection to the broker {facts.shown} ({_reason(error)})") from error
    try:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.set_qos(prefetch_count=prefetch)
        await channel.declare_queue(facts.requests, passive=True)
        answers = await channel.declare_queue(facts.answers, passive=True)
    except exceptions.ChannelClosed as error:
        await connection.close()
        raise ApiRefusedUs(
            f"the broker {facts.shown} has no queues {facts.requests} and {facts.answers} for us ({_reason(error)}); "
            "name the platform's queues in [rabbitmq]"
        ) from None
    except (exceptions.AMQPError, OSError) as error:
        await connection.close()
        raise httpx.ConnectError(f"the broker {facts.shown} closed the connection ({_reason(error)})") from error
    return Opened(connection, channel, answers)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
