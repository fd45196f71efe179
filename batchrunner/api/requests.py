"""How a claim is said. Nothing here sends anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

import httpx
import msgspec

from batchrunner import __version__
from batchrunner.api.answers import read_answer
from batchrunner.api.exceptions import read_exception
from batchrunner.api.light import LightRequest
from batchrunner.api.xml import as_xml, element
from batchrunner.endpoints import DEFAULT, Endpoint
from batchrunner.errors import ConfigError
from batchrunner.model import Claim, RequestId
from batchrunner.retrying import Verdict

PATH = DEFAULT.path

MARGIN_S = 5.0
"""Added to the two time-outs for the hard bound on one attempt: name resolution, a proxy, a busy machine."""

_MASK = "***"

_LINES = b"%bRequest-ID: %b\r\nX-Request-ID: %b\r\nContent-Length: %d\r\n\r\n"
"""Behind the headers that are always the same. Of the two names of the ID the newer one is looked at first."""


class Target(Protocol):
    """What the room needs to know of the job's `[target]`."""

    @property
    def url(self) -> str:
        """Of the platform, without /api."""
        ...

    @property
    def token_in(self) -> Literal["header", "body"]:
        """Where the token goes."""
        ...

    @property
    def connect_timeout(self) -> timedelta:
        """For a connection to open."""
        ...

    @property
    def timeout(self) -> timedelta:
        """For an answer to come."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """A request as a person may see it: the token is masked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


Format = Literal["json", "xml"]
"""What requests are written in, and answers asked for."""


class Api:
    """One call of the platform at one address, made with one token. Pure: builds requests and reads answers."""

    def __init__(self, target: Target, token: str, call: Endpoint = DEFAULT, form: Format = "json") -> None:
        """Raises ConfigError for an address or a token that can never be sent."""
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigError(
                "the API token is empty or holds spaces or signs that no token has; check where it is kept"
            )
        connect_s, answer_s = target.connect_timeout.total_seconds(), target.timeout.total_seconds()
        self.attempt_limit_s = connect_s + answer_s + MARGIN_S
        self._url = _url(target.url, call.path)
        self._xml = form == "xml"
        in_body = target.token_in == "body"  # noqa: S105  where it goes, not what it is
        self._token_head = b'{"token":' + msgspec.json.encode(token) if in_body else None
        self._first = {**({"token": token} if in_body else {}), "format": "xml"}
        headers = _constant_headers(self._url, form, None if in_body else token)
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")
        timeouts = {"connect": connect_s, "read": answer_s, "write": answer_s, "pool": connect_s}
        self._extensions = {"timeout": timeouts}

    def request_for(self, claim: Claim) -> httpx.Request:
        """The HTTP request of a claim: the same one for each attempt, with the same Request-ID."""
        return self.said(claim.request.payload, claim.request_id)

    def said(self, payload: bytes, request_id: RequestId) -> httpx.Request:
        """The HTTP request with this body, given as canonical JSON without the token, under this Request-ID."""
        body = self._body(payload)
        said = request_id.encode("ascii")
        return LightRequest(self._url, _LINES % (self._lines, said, said, len(body)), body, self._extensions)

    def masked(self, request: httpx.Request) -> Preview:
        """The request as it may be shown."""
        body = request.read()
        if self._token_head and body.startswith(self._token_head):
            body = b'{"token":"%s"%s' % (_MASK.encode(), body[len(self._token_head) :])
        if self._xml and (token := self._first.get("token")):
            body = body.replace(element("token", token).encode(), element("token", _MASK).encode(), 1)
        headers = tuple((name, _masked_header(name, value)) for name, value in request.headers.multi_items())
        return Preview(request.method, str(request.url), headers, body.decode())

    def read_answer(self, response: httpx.Response) -> Verdict:
        """See the function `read_answer`."""
        return read_answer(response)

    def read_exception(self, error: Exception) -> Verdict:
        """See the function `read_exception`."""
        return read_exception(error)

    def _body(self, payload: bytes) -> bytes:
        if self._xml:
            return as_xml(payload, **self._first)
        if self._token_head is None:
            return payload
        return self._token_head + (b"}" if payload == b"{}" else b"," + payload[1:])


def _url(text: str, path: str) -> httpx.URL:
    try:
        url = httpx.URL(text.rstrip("/") + path)
    except httpx.InvalidURL as error:
        raise ConfigError(f"target.url {text!r} is not an address: {error}; write it as https://example.com") from None
    if (url.port or 0) > 65535:  # noqa: PLR2004  the largest there is
        raise ConfigError(f"target.url {text!r} has port {url.port}; the largest there is is 65535")
    if url.userinfo:
        raise ConfigError("target.url holds a user name or a password, which the API does not take; take them out")
    return url


def _constant_headers(url: httpx.URL, form: Format, token: str | None) -> list[tuple[str, str]]:
    media_type = f"application/{form}"
    headers = [
        ("Host", url.netloc.decode("ascii")),
        ("Content-Type", media_type),
        ("Accept", media_type),
        ("Accept-Encoding", "identity"),  # an answer of a hundred bytes only grows
        ("User-Agent", f"batchrunner/{__version__}"),
    ]
    return [*headers, ("Authorization", f"Bearer {token}")] if token else headers


def _masked_header(name: str, value: str) -> str:
    return f"Bearer {_MASK}" if name.lower() == "authorization" else value
