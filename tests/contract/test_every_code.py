"""Every error code of the documentation, through each call and both formats, over a real connection.

The table below is the contract page read once more, by hand: what a code is for a run, and whether it is asked again.
It shares nothing with the product's own table, so that the two check each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import pytest
from scripted_server import Server, Step, answer, scripted_server
from test_submitters import POLICY, Target

from batchrunner.api import Api, ParcelApi
from batchrunner.clock import SystemClock
from batchrunner.endpoints import ENDPOINTS, Endpoint
from batchrunner.model import Accepted, Claim, Failed, InDoubt, Key, Outcome, Parcel, Rejected, Request, RequestId, Row
from batchrunner.retrying import RetryPolicy
from batchrunner.submit import Facts, HttpSubmitter, ParcelSubmitter, Throttle, make_transport, new_event_loop

Form = Literal["json", "xml"]
End = Literal["accepted", "rejected", "in doubt", "stops the run"]

CONTRACT: dict[int, tuple[End, str]] = {
    0: ("accepted", "Successful operation"),
    400: ("rejected", "Incorrect request"),
    401: ("stops the run", "API token required"),
    402: ("stops the run", "Tariff limit reached"),
    403: ("stops the run", "No rights for this action"),
    404: ("rejected", "Object not in the token's vision zone"),
    409: ("rejected", "Another record has the same unique attributes"),
    413: ("rejected", "Database not available in the selected resource"),
    415: ("stops the run", "Content type not supported"),
    435: ("rejected", "Ambiguous search, several objects match"),
    440: ("rejected", "Nobody has listed it"),
    441: ("rejected", "Object belongs to another group"),
    450: ("rejected", "Incorrect request"),
    500: ("in doubt", "Internal service error"),
    501: ("stops the run", "Method does not exist"),
}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
UNLISTED = (440,)
STATUSES = ("200 OK", "mirrored")
"""Of the transport: vendor code answers errors with 200, and still reads them from the bodies of others."""

every_call = pytest.mark.parametrize("call", [pytest.param(one, id=one.name) for one in ENDPOINTS.values()])
every_form = pytest.mark.parametrize("form", ["json", "xml"])
every_status = pytest.mark.parametrize("status", STATUSES)

ONCE = msgspec.structs.replace(POLICY, attempts=1)


def text_of(code: int, form: Form) -> bytes:
    """The body of an answer, as documented."""
    text = CONTRACT[code][1]
    if form == "json":
        return msgspec.json.encode({"error": code, "error_text": text})
    return f"{HEAD}<xml><error>{code}</error><error_text>{text}</error_text></xml>".encode()


def said(code: int, form: Form, status: str) -> Step:
    """An answer with a code."""
    line = f"{code} Whatever" if status == "mirrored" and code else "200 OK"
    return answer(text_of(code, form), status=line, kind=f"application/{form}")


def claims(count: int) -> tuple[Claim, ...]:
    """Claims that share a Request-ID."""
    request_id = RequestId("0b0f1a9e-6f0e-4f0e-8f0e-000000000001")
    return tuple(
        Claim(
            1,
            Request(
                Key(n.to_bytes(16, "big")),
                Row(n, n + 1, ("a",)),
                msgspec.json.encode({"email": f"p{n}@a.cz", "matching": "email"}),
            ),
            request_id,
            SystemClock().now_ms(),
        )
        for n in range(1, count + 1)
    )


@dataclass(frozen=True)
class Seen:
    """How the rows of one request ended, and what it took."""

    outcomes: tuple[Outcome, ...]
    requests: int
    refusal: str | None
    whole: bool = False


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run on the loop that the product uses, for as long as a busy machine may take."""

    async def within() -> None:
        async with asyncio.timeout(120):
            await story()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(within())


async def sent(server: Server, call: Endpoint, form: Form, rows: int, policy: RetryPolicy) -> Seen:
    """Send rows through a call until they are settled."""
    clock, throttle = SystemClock(), Throttle(None, SystemClock())
    target, before = Target(server.url), len(server.seen)
    transport = make_transport("fast", Facts(server.url, connect_timeout_s=5, timeout_s=5), 4)
    many = None if call.item is None else ParcelApi(target, "t", call, form)
    api = many.alone if many else Api(target, "t", call, form)
    http = HttpSubmitter(api, transport, throttle, policy, clock, lambda: 0.5, 10.0)
    try:
        if many is None:
            ends = [await http.submit(claims(1)[0])]
        else:
            parcels = ParcelSubmitter(http, http, many)
            ends = await parcels.submit_parcel(Parcel(claims(rows)))
    finally:
        await http.aclose()
    assert sum(end.requests for end in ends) == len(server.seen) - before  # what is told is what arrived
    refusals = [end.refusal for end in ends if end.refusal]
    return Seen(
        tuple(end.outcome for end in ends), len(server.seen) - before, refusals[0] if refusals else None, ends[0].whole
    )


def assert_as_documented(code: int, outcome: Outcome, refusal: str | None) -> None:
    """The outcome and its reason are those of the table."""
    end, text = CONTRACT[code]
    match end:
        case "accepted":
            assert isinstance(outcome, Accepted)
        case "rejected":
            assert outcome == Rejected(str(code), f"unlisted error: {text}" if code in UNLISTED else text)
        case "in doubt":
            assert isinstance(outcome, InDoubt)
            assert outcome.code in (str(code), f"http_{code}")
            assert text in outcome.text
        case "stops the run":
            assert isinstance(outcome, Failed)
            assert outcome.code == str(code)
            assert text in outcome.text
            assert refusal is not None
    assert (refusal is not None) == (end == "stops the run")


@every_call
@every_form
@every_status
def test_a_code_means_what_the_documentation_says_through_every_call(call: Endpoint, form: Form, status: str) -> None:
    """About a whole request: the outcome, the reason, whether the run stops, and that only doubt is asked again."""

    async def story() -> None:
        for code in CONTRACT:
            if code == 0 and call.item is not None and not call.queued:
                continue  # the answer to a batch has items: see below
            async with scripted_server(said(code, form, status)) as server:
                seen = await sent(server, call, form, 3, POLICY)
                assert server.seen[0].head.startswith(f"POST {call.path} HTTP/1.1".encode())
                assert server.seen[0].headers["content-type"] == f"application/{form}"
            assert len(seen.outcomes) == (1 if call.item is None else 3)
            for outcome in seen.outcomes:
                assert_as_documented(code, outcome, seen.refusal)
            asked_again = CONTRACT[code][0] == "in doubt"
            assert seen.requests == (POLICY.attempts if asked_again else 1)
            # A batch that is refused whole goes on being searched for the rows that are to blame.
            assert seen.whole == (call.item is not None and CONTRACT[code][0] == "rejected")

    run(story)


def items(codes: Sequence[int], form: Form) -> bytes:
    """An answer to a batch: success of the whole, and a verdict for each row."""
    if form == "json":
        result = [{"error": code, "error_text": CONTRACT[code][1]} for code in codes]
        return msgspec.json.encode({"error": 0, "error_text": "", "result": result})
    result = [
        f"<result array='true'><error>{code}</error><error_text>{CONTRACT[code][1]}</error_text></result>"
        for code in codes
    ]
    return f"<xml><error>0</error><error_text></error_text>{''.join(result)}</xml>".encode()


@pytest.mark.parametrize("call", [pytest.param(one, id=one.name) for one in ENDPOINTS.values() if one.item])
@every_form
def test_a_code_of_an_item_ends_its_own_row_as_if_it_had_gone_alone(call: Endpoint, form: Form) -> None:
    """All documented codes in one answer, in this order and in the other: one request, and nothing is asked again."""

    async def story() -> None:
        for codes in (list(CONTRACT), list(CONTRACT)[::-1]):
            async with scripted_server(answer(items(codes, form), kind=f"application/{form}")) as server:
                seen = await sent(server, call, form, len(codes), ONCE)
            assert (seen.requests, seen.whole) == (1, False)
            assert seen.refusal is not None  # of the items that refuse the sender: the run stops after this one
            for code, outcome in zip(codes, seen.outcomes, strict=True):
                assert_as_documented(code, outcome, seen.refusal if CONTRACT[code][0] == "stops the run" else None)

    run(story)


@every_form
def test_a_limit_of_a_proxy_is_waited_for_and_is_no_attempt(form: Form) -> None:
    """429 is in no table of theirs: everybody waits, and the row goes again under the same id."""

    async def story() -> None:
        for call in ENDPOINTS.values():
            body = text_of(0, form) if call.item is None or call.queued else items([0, 0, 0], form)
            throttle = answer(b"", "Retry-After: 0.01", status="429 Too Many Requests")
            async with scripted_server(throttle, answer(body, kind=f"application/{form}")) as server:
                seen = await sent(server, call, form, 3, ONCE)
                assert len({one.headers["request-id"] for one in server.seen}) == 1
            assert seen.requests == 2
            assert all(isinstance(outcome, Accepted) for outcome in seen.outcomes)

    run(story)
