"""What an answer means: pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import msgspec

from batchrunner.api.codes import ERROR_CODES, Kind
from batchrunner.api.xml import from_xml
from batchrunner.model import Accepted, Rejected
from batchrunner.ports import TEXT_HEADERS
from batchrunner.retrying import Answered, Doubtful, RefusedUs, Throttled, Verdict

LARGEST_ANSWER_BYTES = 1 << 20
"""A real answer has a hundred bytes. Nothing beyond this is looked at."""

LONGEST_TEXT = 500
"""Characters of an answer's text that are kept."""

_MASK = "***"

_REFUSED_STATUSES = {
    401: "the server asks for a valid API token",
    402: "the tariff limit is reached",
    403: "the server forbids this request",
    404: "there is no such API at this address; check target.url",
    405: "there is no such API at this address; check target.url",
    407: "the proxy asks for a login; check HTTPS_PROXY",
    410: "there is no such API at this address any more; check target.url",
    415: "the server does not take JSON; check target.url",
}
"""Without a body of the API: the sender is refused, and not the row."""

_REFUSED_IN_5XX = (401, 402, 403, 501)
"""Error codes that are believed even when the HTTP status says 5xx: the API itself turned us away."""


class Said(msgspec.Struct):
    """The documented body of an answer."""

    error: int
    error_text: str = ""
    profile_id: str | None = None


_documented = msgspec.json.Decoder(Said)
_INT_LIKE = re.compile(r"[+-]?\d{1,9}", re.ASCII)


def read_answer(response: httpx.Response) -> Verdict:
    """What an answer that was read to its end means. Pure."""
    status = response.status_code
    content = content_of(response)
    said = _read_body(content)
    if 200 <= status < 300:  # noqa: PLR2004  success
        return _unparsable(response, content) if said is None else by_code(said, response)
    if 300 <= status < 400:  # noqa: PLR2004  redirects
        return _redirected(response)
    if status == 429:  # noqa: PLR2004  too many requests
        return Throttled(_retry_after_s(response))
    if 400 <= status < 500:  # noqa: PLR2004  refusals
        return _by_refusal(said, response) if said is None or said.error == 0 else by_code(said, response)
    return _by_server_error(said, response)


def content_of(response: httpx.Response) -> bytes:
    """The body, as the transport gave it: what a compression means has been undone there."""
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b"".join(cast("httpx.ByteStream", response.stream))


def _read_body(content: bytes) -> Said | None:
    """The body, if it is one of the API. None: it is not, or cannot be trusted."""
    if len(content) > LARGEST_ANSWER_BYTES:
        return None
    try:
        return _documented.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_tolerantly(content)


def _read_tolerantly(content: bytes) -> Said | None:
    """Accept what older or newer versions may say: XML, `"error": "0"`, a number as profile_id, a byte-order mark."""
    return read_said(read_values(content))


def read_said(body: object) -> Said | None:
    """The three documented fields, of whole answers and of the items of one."""
    if not isinstance(body, dict):
        return None
    error = _int_like(body.get("error"))
    if error is None:
        return None
    profile_id = body.get("profile_id")
    return Said(error, _text_of(body.get("error_text")), None if profile_id is None else _text_of(profile_id))


def read_values(content: bytes) -> object:
    """What a body says, in JSON or in XML; None where it is neither."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return from_xml(content) if content.lstrip()[:1] == b"<" else msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _int_like(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INT_LIKE.fullmatch(value.strip()):
        return int(value)
    return None


def _text_of(value: Any) -> str:  # noqa: ANN401  any JSON value
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def by_code(said: Said, response: httpx.Response) -> Verdict:
    """The API speaks for itself: `error` decides."""
    if said.error == 0:
        return Answered(Accepted(said.profile_id or None), is_replayed(response))
    known = ERROR_CODES.get(said.error)
    code, text = str(said.error), cut(said.error_text or (known.meaning if known else "no text"))
    match known.kind if known else None:
        case Kind.REFUSED_US if is_replayed(response):
            # The refusal of an earlier attempt, told again: it says nothing of how we stand now.
            return Doubtful(
                code, f"the platform repeats an earlier refusal: {text}", None, replayed=True, transient=False
            )
        case Kind.REFUSED_US:
            return RefusedUs(code, f"the API refuses us with error {code}: {text}")
        case Kind.THROTTLED:
            return Throttled(_retry_after_s(response))
        case Kind.IN_DOUBT:
            return Doubtful(code, text, _retry_after_s(response), is_replayed(response), transient=True)
        case None:
            return Answered(Rejected(code, cut(f"unlisted error: {text}")), is_replayed(response))
        case _:
            return Answered(Rejected(code, text), is_replayed(response))


def _by_refusal(said: Said | None, response: httpx.Response) -> Verdict:
    """4xx without a body of the API: something in front of it answered. Or with a body that contradicts it."""
    status = response.status_code
    if said is None and status == 413:  # noqa: PLR2004  body too large
        return Answered(Rejected("http_413", "a server in front of the API says that the request is too large"))
    if said is None and (reason := _REFUSED_STATUSES.get(status)):
        return RefusedUs(f"http_{status}", f"HTTP {status}: {reason}")
    text = _evidence(response, content_of(response))
    return Doubtful(f"http_{status}", text, _retry_after_s(response), is_replayed(response))


def _by_server_error(said: Said | None, response: httpx.Response) -> Verdict:
    """5xx, whatever the body: the API may have done its work before something behind or before it failed."""
    if said is not None and said.error in _REFUSED_IN_5XX:
        return by_code(said, response)
    text = cut(f"error {said.error}: {said.error_text}") if said else _evidence(response, content_of(response))
    code = f"http_{response.status_code}"
    return Doubtful(code, text, _retry_after_s(response), is_replayed(response), transient=True)


def _redirected(response: httpx.Response) -> RefusedUs:
    # Following would take the token to an address that nobody has named.
    host = _host_of(response.headers.get("location", ""))
    return RefusedUs(
        f"http_{response.status_code}", f"the server redirects to {host}; if that is right, set target.url to it"
    )


def _host_of(location: str) -> str:
    try:
        url = httpx.URL(location)
    except httpx.InvalidURL:
        return "an unreadable address"
    return f"{url.scheme}://{url.netloc.decode()}" if url.host else "another path of the same server"


def _unparsable(response: httpx.Response, content: bytes) -> Doubtful:
    return Doubtful("unparsable", _evidence(response, content), _retry_after_s(response), is_replayed(response))


_DUPLICATE = (b"duplicate-request", b"x-duplicate-request")
_DUPLICATE_TEXTS = frozenset(("duplicate-request", "x-duplicate-request"))


def is_replayed(response: httpx.Response) -> bool:
    """Whether the platform says that it has answered this Request-ID before."""
    texts = response.extensions.get(TEXT_HEADERS)  # where they are, nobody has to make httpx.Headers of them
    if texts is not None:
        for name, value in texts:  # noqa: SIM110  a loop, because this is looked at for every row
            if name in _DUPLICATE_TEXTS and value.strip().lower() == "true":
                return True
        return False
    return any(name.lower() in _DUPLICATE and value.strip().lower() == b"true" for name, value in response.headers.raw)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Retry-After as seconds: a number, or a date that is measured against the server's own clock."""
    text = response.headers.get("retry-after", "").strip()
    try:
        return float(text) if text else None
    except ValueError:
        return _seconds_between(response.headers.get("date", ""), text)


def _seconds_between(earlier: str, later: str) -> float | None:
    try:
        return (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


_LONGEST_EVIDENCE = 120
_EMAIL_LIKE = re.compile(r"[^\s<>\"']+@[^\s<>\"']+")
_DIGITS = re.compile(r"\+?\d[\d\s().-]{2,}\d")


def _evidence(response: httpx.Response, content: bytes) -> str:
    """What came instead of an answer: enough to recognise a proxy's page, nothing of a person."""
    if not content:
        return f"HTTP {response.status_code} with an empty body"
    kind = response.headers.get("content-type", "no content type")[:80]
    text = content[: 4 * _LONGEST_EVIDENCE].decode("utf-8", "replace")
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    masked = _DIGITS.sub(_MASK, _EMAIL_LIKE.sub(_MASK, " ".join(shown.split())))[:_LONGEST_EVIDENCE]
    return f"HTTP {response.status_code}, {kind}: {masked}"


def cut(text: str) -> str:
    """Shorten a text to what is kept of it."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
