"""The API room: what is sent, and what each answer means."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.api import (
    ERROR_CODES,
    EXCEPTIONS,
    LARGEST_ANSWER_BYTES,
    LONGEST_TEXT,
    Api,
    Kind,
    read_answer,
    read_exception,
)
from batchrunner.errors import ConfigError
from batchrunner.model import Accepted, Claim, Key, Rejected, Request, RequestId, Row
from batchrunner.retrying import Answered, Doubtful, NeverSent, RefusedUs, Throttled

REQUEST_ID = "0b0f1a9e-6f0e-4f0e-8f0e-000000000001"
PAYLOAD = b'{"email":"a@b.example","workflow_id":12}'


@dataclass(frozen=True)
class Target:
    """A `[target]`."""

    url: str = "https://example.com"
    token_in: Literal["header", "body"] = "header"
    connect_timeout: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=60)


def claim(payload: bytes = PAYLOAD) -> Claim:
    """A claim with a payload."""
    return Claim(1, Request(Key(b"k" * 16), Row(1, 2, ("a",)), payload), RequestId(REQUEST_ID), 0)


def said(error: object, text: object = "text", **more: object) -> bytes:
    """The body of an answer."""
    return msgspec.json.encode({"error": error, "error_text": text, **more})


def answer(status: int = 200, body: bytes = b"", **headers: str) -> httpx.Response:
    """An answer; header names are written with underscores."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return httpx.Response(status, headers=pairs, stream=httpx.ByteStream(body))


# --- requests -----------------------------------------------------------------------------------


def test_a_request_is_said_as_documented() -> None:
    """Method, address, headers and body."""
    request = Api(Target(url="https://example.com/base/"), "t0ken").request_for(claim())
    assert request.method == "POST"
    assert str(request.url) == "https://example.com/base/api/v1.1/workflows/import_and_start"
    assert request.read() == PAYLOAD
    assert dict(request.headers) == {
        "host": "example.com",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": request.headers["user-agent"],
        "authorization": "Bearer t0ken",
        "request-id": REQUEST_ID,
        "x-request-id": REQUEST_ID,
        "content-length": str(len(PAYLOAD)),
    }
    assert request.extensions["timeout"] == {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 10.0}


@pytest.mark.parametrize("payload", [PAYLOAD, b"{}"])
def test_a_token_in_the_body_is_spliced_in(payload: bytes) -> None:
    """Old installations read it there; then it is in no header."""
    request = Api(Target(token_in="body"), 't"0').request_for(claim(payload))
    assert msgspec.json.decode(request.read()) == {"token": 't"0', **msgspec.json.decode(payload)}
    assert request.headers["content-length"] == str(len(request.read()))
    assert "authorization" not in request.headers


@pytest.mark.parametrize("token_in", ["header", "body"])
def test_a_preview_shows_everything_but_the_token(token_in: Literal["header", "body"]) -> None:
    """A person may paste it into a ticket."""
    api = Api(Target(token_in=token_in), "s3cret")
    preview = api.masked(api.request_for(claim()))
    assert "s3cret" not in repr(preview)
    assert "***" in repr(preview)
    assert '"workflow_id":12}' in preview.body
    assert (preview.method, preview.url.partition("/api")[0]) == ("POST", "https://example.com")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "t\u043eken"])
def test_a_token_that_cannot_be_sent_is_a_config_error(token: str) -> None:
    """And the message does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        Api(Target(), token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:pass@example.com", "https://example.com:99999", "https://[::1"])
def test_an_address_that_cannot_be_used_is_a_config_error(url: str) -> None:
    """Before the first row."""
    with pytest.raises(ConfigError):
        Api(Target(url=url), "t")


# --- bodies of the API --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "profile_id"),
    [
        (said(0, "Successful operation", profile_id="5eeb"), "5eeb"),
        (said(0, "", profile_id="5eeb", more={"new": 1}), "5eeb"),
        (said("0", profile_id="5eeb"), "5eeb"),
        (said(0, profile_id=17), "17"),
        (said(0, None), None),
        (said(0, profile_id=""), None),
        (said(0, profile_id=None), None),
        (b"\xef\xbb\xbf" + said(0, profile_id="5eeb"), "5eeb"),
        (b'\r\n {"error":0}\n', None),
    ],
)
def test_a_success_is_accepted(body: bytes, profile_id: str | None) -> None:
    """2xx, a JSON object, and error 0 are enough; the text never matters."""
    for status in (200, 201, 202):
        assert read_answer(answer(status, body)) == Answered(Accepted(profile_id))


@pytest.mark.parametrize("name", ["Duplicate_Request", "X_Duplicate_Request", "duplicate_REQUEST"])
@pytest.mark.parametrize(("value", "replayed"), [("true", True), (" True ", True), ("false", False), ("", False)])
def test_a_replayed_answer_is_marked(name: str, value: str, replayed: bool) -> None:
    """Of accepted, rejected and doubtful rows alike."""
    header = {name: value}
    assert read_answer(answer(200, said(0), **header)) == Answered(Accepted(None), replayed)
    assert read_answer(answer(200, said(409), **header)) == Answered(Rejected("409", "text"), replayed)
    for status in (200, 500):
        verdict = read_answer(answer(status, said(500), **header))
        assert isinstance(verdict, Doubtful)
        assert verdict.replayed is replayed


@pytest.mark.parametrize("status", [200, 400, 422])
@pytest.mark.parametrize("code", sorted(set(ERROR_CODES) - {0}))
def test_each_documented_code_has_its_verdict(code: int, status: int) -> None:
    """The table is what is done."""
    verdict = read_answer(answer(status, said(code, "why", profile_id="x"), Retry_After="3"))
    match ERROR_CODES[code].kind:
        case Kind.REJECTED:
            assert verdict == Answered(Rejected(str(code), "why"))
        case Kind.REFUSED_US:
            assert verdict == RefusedUs(str(code), f"the API refuses us with error {code}: why")
        case Kind.THROTTLED:
            assert verdict == Throttled(3.0)
        case Kind.IN_DOUBT:
            assert verdict == Doubtful("500", "why", 3.0, transient=True)
        case Kind.ACCEPTED:
            pytest.fail("only 0 is a success")


def test_the_documented_codes_are_all_there() -> None:
    """The list of the documentation, and 429."""
    documented = {0, 400, 401, 402, 403, 404, 409, 413, 415, 435, 441, 450, 500, 501}
    assert set(ERROR_CODES) == documented | {429}


@pytest.mark.parametrize("code", [440, 1, -1, 418, 99999])
def test_an_unlisted_code_is_a_marked_rejection(code: int) -> None:
    """Well formed, so it is an answer; unknown, so it says so."""
    assert read_answer(answer(400, said(code, "why"))) == Answered(Rejected(str(code), "unlisted error: why"))


def test_a_code_without_a_text_says_its_meaning() -> None:
    """A report must say something."""
    assert read_answer(answer(200, said(435, ""))) == Answered(
        Rejected("435", "ambiguous search, several objects match")
    )


def test_a_long_text_is_cut() -> None:
    """Whatever the server writes."""
    verdict = read_answer(answer(200, said(400, "x" * 10_000)))
    assert isinstance(verdict, Answered)
    assert isinstance(verdict.outcome, Rejected)
    assert len(verdict.outcome.text) == LONGEST_TEXT


# --- everything else ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>ok</html>",
        b'{"error": 0',
        b'{"error": 0} trailing',
        b"[0]",
        b"0",
        b"null",
        b"{}",
        b'{"error_text":"fine"}',
        said(None),
        said(True),
        said(0.0),
        said("zero"),
        said("0x0"),
        said("\u0660"),
        said([0]),
        b'{"error":0,"error_text":"\xff"}',
        b'{"error":0}'.decode().encode("utf-16"),
        b"[" * 200_000,
        said(0, "x" * LARGEST_ANSWER_BYTES),
    ],
)
def test_a_success_that_cannot_be_read_is_in_doubt(body: bytes) -> None:
    """It may have taken effect: unknown is never success, and never failure."""
    verdict = read_answer(answer(200, body, Content_Type="text/html"))
    assert isinstance(verdict, Doubtful)
    assert verdict.code == "unparsable"
    assert not verdict.replayed


def test_evidence_shows_the_page_and_nobody_in_it() -> None:
    """Enough to recognise a proxy; no e-mail, no phone, no more than a line."""
    page = "<h1>Hello ivan.petrov@mail.example,\x00 +7 (900) 123-45-67</h1>" + "y" * 1000
    verdict = read_answer(answer(200, page.encode(), Content_Type="text/html; charset=utf-8"))
    assert isinstance(verdict, Doubtful)
    assert verdict.text.startswith("HTTP 200, text/html; charset=utf-8: <h1>Hello *** ***</h1>yyy")
    assert len(verdict.text) < 200


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 410, 415])
def test_a_refusal_in_front_of_the_api_stops_the_run(status: int) -> None:
    """The next row would fare no better."""
    for body in (b"", b"<html>no</html>"):
        verdict = read_answer(answer(status, body))
        assert isinstance(verdict, RefusedUs)
        assert verdict.code == f"http_{status}"


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ("https://new.example/api?token=x", "https://new.example;"),
        ("/login", "another path"),
        ("", "another path"),
        ("https://[::1", "an unreadable"),
    ],
)
def test_a_redirect_stops_the_run_and_names_the_host(location: str, names: str) -> None:
    """The token does not follow it."""
    for status in (301, 302, 303, 307, 308):
        verdict = read_answer(answer(status, said(0), Location=location))
        assert isinstance(verdict, RefusedUs)
        assert names in verdict.text
        assert "token=x" not in verdict.text


def test_a_body_too_large_for_a_proxy_is_the_rows_own_fault() -> None:
    """HTTP 413 is not body 413."""
    assert isinstance(verdict := read_answer(answer(413, b"<html>")), Answered)
    assert isinstance(verdict.outcome, Rejected)
    assert verdict.outcome.code == "http_413"


@pytest.mark.parametrize("status", [400, 408, 409, 418, 422, 499])
def test_another_refusal_without_a_body_is_in_doubt(status: int) -> None:
    """Nobody knows who said it, and when."""
    verdict = read_answer(answer(status, b"<html>", Retry_After="2"))
    assert verdict == Doubtful(f"http_{status}", f"HTTP {status}, no content type: <html>", 2.0)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refusal_that_says_success_is_in_doubt(status: int) -> None:
    """Two verdicts that contradict each other."""
    verdict = read_answer(answer(status, said(0, profile_id="x")))
    assert isinstance(verdict, Doubtful)
    assert verdict.code == f"http_{status}"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599, 600, 999])
@pytest.mark.parametrize("body", [b"", b"<html>", said(0, profile_id="x"), said(500), said(400)])
def test_a_server_error_is_in_doubt(status: int, body: bytes) -> None:
    """Whatever its body says, success included."""
    verdict = read_answer(answer(status, body, Retry_After="9"))
    assert isinstance(verdict, Doubtful)
    assert (verdict.code, verdict.retry_after_s, verdict.transient) == (f"http_{status}", 9.0, True)


@pytest.mark.parametrize("code", [401, 402, 403, 501])
def test_a_server_error_that_refuses_us_stops_the_run(code: int) -> None:
    """The API itself said it before it did anything."""
    assert isinstance(read_answer(answer(500, said(code))), RefusedUs)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", -3.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60.0),
        ("Sun, 06 Nov 1994 08:47:37 GMT", -60.0),
        ("soon", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(retry_after: str, seconds: float | None) -> None:
    """A date is measured by the server's own clock, not by ours."""
    throttled = answer(429, b"", Retry_After=retry_after, Date="Sun, 06 Nov 1994 08:48:37 GMT")
    assert read_answer(throttled) == Throttled(seconds)


def test_a_throttle_without_a_date_to_measure_by_says_nothing() -> None:
    """Then our own back-off decides; a zone may be missing, too."""
    assert read_answer(answer(429, said(0))) == Throttled(None)
    assert read_answer(answer(429, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT")) == Throttled(None)
    naive = answer(429, Retry_After="Sun, 06 Nov 1994 08:49:37 -0000", Date="Sun, 06 Nov 1994 08:49:37 GMT")
    assert read_answer(naive) == Throttled(None)


@given(
    status=st.integers(200, 999),
    body=st.binary() | st.builds(said, st.integers() | st.text() | st.none() | st.floats(allow_nan=False)),
    headers=st.dictionaries(
        st.sampled_from(["Retry_After", "Date", "Location", "Content_Type", "Duplicate_Request"]),
        st.text(st.characters(max_codepoint=255)),
    ),
)
def test_any_answer_has_a_verdict(status: int, body: bytes, headers: dict[str, str]) -> None:
    """And only a trustworthy one is a success."""
    encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    verdict = read_answer(httpx.Response(status, headers=encoded, stream=httpx.ByteStream(body)))
    if isinstance(verdict, Answered) and isinstance(verdict.outcome, Accepted):
        assert status < 300
        assert str(msgspec.json.decode(body)["error"]).strip().lstrip("+-0") == ""


# --- exceptions ---------------------------------------------------------------------------------

CERTAINLY_NOT_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "InvalidURL",
}


def _httpx_exceptions() -> list[type[Exception]]:
    return [kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, Exception)]


def _made(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    error.args = ("why",)
    return error


@pytest.mark.parametrize("kind", _httpx_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_is_mapped(kind: type[Exception]) -> None:
    """By itself and not by an ancestor: a new one must be thought about."""
    assert kind in EXCEPTIONS
    verdict = read_exception(_made(kind))
    assert isinstance(verdict, NeverSent if kind.__name__ in CERTAINLY_NOT_SENT else Doubtful)
    assert verdict.text == f"{kind.__name__}: why"


def test_an_exception_derived_from_a_known_one_is_known() -> None:
    """Transports of others may derive their own."""

    class Refused(httpx.ConnectError):
        """A refined one."""

    assert read_exception(Refused("")) == NeverSent("connect", "Refused")


def test_a_foreign_exception_is_a_bug_and_in_doubt() -> None:
    """Whatever it was, something may have been sent."""
    assert read_exception(KeyError("x")) == Doubtful("bug:KeyError", "KeyError: 'x'")


def test_a_request_is_what_httpx_would_make_of_it() -> None:
    """It costs a third, and whoever looks at it sees no difference."""
    ours = Api(Target(), "t0ken").request_for(claim())
    theirs = httpx.Request("POST", ours.url, headers=ours.headers.raw, stream=ours.stream)
    assert (ours.method, ours.url, ours.headers, ours.read()) == (
        theirs.method, theirs.url, theirs.headers, theirs.read(),
    )  # fmt: skip
    lines = b"".join(b"%b: %b\r\n" % pair for pair in ours.headers.raw) + b"\r\n"
    assert ours.extensions["head_lines"] == lines


def test_headers_that_are_put_in_the_place_of_others_are_those_that_are_sent() -> None:
    """Nothing is left of the lines that an engine would look at first."""
    request = Api(Target(), "t0ken").request_for(claim())
    request.headers = httpx.Headers({"Request-ID": "another"})
    assert request.headers == {"request-id": "another"}
    assert "head_lines" not in request.extensions


@pytest.mark.parametrize("value", ["true", " TRUE ", "false"])
@pytest.mark.parametrize("name", ["duplicate-request", "x-duplicate-request"])
def test_a_replay_is_seen_in_either_form_of_the_headers(name: str, value: str) -> None:
    """As httpx has them, and as the pairs that an engine hands on."""
    body = httpx.ByteStream(b'{"error":0,"profile_id":"p"}')
    plain = httpx.Response(200, headers=[(name, value)], stream=body)
    paired = httpx.Response(200, stream=body, extensions={"text_headers": [(name, value)]})
    assert read_answer(plain) == read_answer(paired)
    assert read_answer(plain) == Answered(Accepted("p"), value != "false")
