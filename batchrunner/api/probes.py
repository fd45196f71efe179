"""Requests that are made to be answered and not to have an effect, and what their answers tell. Pure.

A run's requests and answers are judged by `answers`: whatever is not certain is in doubt. A probe asks something else,
what an installation *says*, so it keeps the status, the code, the text and the headers apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol

import httpx
import msgspec

from batchrunner import __version__
from batchrunner.model import Value

ID_HEADERS = ("Request-ID", "X-Request-ID")
"""The names under which installations look for the id of a request, the newer one first."""

_DUPLICATE = ("duplicate-request", "x-duplicate-request")


class Target(Protocol):
    """What a probe needs to know of the job's `[target]`."""

    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def token_in(self) -> Literal["header", "body"]: ...  # noqa: D102


class ProbeAnswer(Value, frozen=True):
    """What an installation said."""

    status: int
    error: int | None
    """The code of the API; None: the body is none of the API."""
    text: str
    body: Any
    """The whole answer, where it is JSON."""
    replayed: bool
    """The platform says that it has seen this request before."""
    at: datetime | None
    """The server's own time."""
    location: str | None
    server: str | None

    @property
    def said(self) -> str:
        """For people."""
        if self.error is None:
            return f"HTTP {self.status} without a body of the API"
        return f"error {self.error}{f': {self.text}' if self.text else ''}"


def probe_request(
    target: Target, token: str, path: str, body: Mapping[str, object], ids: Sequence[tuple[str, str]] = ()
) -> httpx.Request:
    """A POST to a path of the API, such as `profiles/import`, under these headers with ids."""
    in_body = target.token_in == "body"  # noqa: S105  where it goes, not what it is
    content = msgspec.json.encode({"token": token, **body} if in_body else dict(body))
    url = httpx.URL(f"{target.url.rstrip('/')}/api/v1.1/{path}")
    headers = [
        ("Host", url.netloc.decode()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", f"batchrunner/{__version__} doctor"),
        ("Content-Length", str(len(content))),
        *ids,
        *([] if in_body else [("Authorization", f"Bearer {token}")]),
    ]
    return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(content))


def read_probe(response: httpx.Response) -> ProbeAnswer:
    """What came back, as it is."""
    body = _body(response.read())
    error, text = _said(body)
    headers = {name.lower(): value.strip() for name, value in response.headers.items()}
    return ProbeAnswer(
        response.status_code,
        error,
        text,
        body,
        any(headers.get(name, "").lower() == "true" for name in _DUPLICATE),
        _time(headers.get("date", "")),
        headers.get("location"),
        headers.get("server"),
    )


def _body(content: bytes) -> Any:  # noqa: ANN401  any JSON value
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _said(body: object) -> tuple[int | None, str]:
    if not isinstance(body, dict):
        return None, ""
    error, text = body.get("error"), body.get("error_text")
    code = int(error) if isinstance(error, int | str) and str(error).strip().lstrip("-").isdecimal() else None
    return code, text[:200] if isinstance(text, str) else ""


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
