"""Many profiles in one request: how a parcel is said, and what its answer means for each of its rows. Sends nothing.

    {"matching": "email", "workflow_id": 12, "data": [{"email": "a@example.com", "data": {…}}, …]}
    {"error": 0, "error_text": "…", "result": [{"error": 0, "error_text": "…", "profile_id": "…"}, …]}

What is the same for all rows stands once, beside `data` [sister call]. An answer of another length or shape than what
was asked is no answer: its rows are in doubt, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import httpx
import msgspec

from batchrunner.api.answers import (
    Said,
    by_code,
    content_of,
    cut,
    is_replayed,
    read_answer,
    read_said,
    read_values,
)
from batchrunner.api.requests import Api, Format, Preview, Target
from batchrunner.endpoints import ENDPOINTS, FLAGS, Endpoint
from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Parcel, Value
from batchrunner.retrying import Answered, Doubtful, RefusedUs, Throttled, Verdict

_SHARED = frozenset({"matching", "field_name", "workflow_id", "db_id", *FLAGS})
"""Of the fields of a payload: those that say the same of every row."""

_BESIDE = frozenset({"data", "content"})
"""Of the fields of a payload: those that say nothing of whom it is about."""

_ANSWER_BYTES_A_ROW = 1_000

_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class _Many(msgspec.Struct):
    """The body of a sister call's answer."""

    error: int
    result: list[Said]


_decode_many = msgspec.json.Decoder(_Many).decode


class Items(Value, frozen=True):
    """An answer that tells how each row of a parcel ended, in their order."""

    outcomes: tuple[Outcome, ...]
    replayed: bool = False
    refusal: str | None = None
    """One of the rows was refused because of who we are: the run must stop."""
    task: str | None = None
    """The rows are queued, under this number."""


class ParcelApi:
    """The calls about many profiles, and the one for a row that has to go alone. Pure."""

    def __init__(  # noqa: PLR0913, PLR0917  what the job says of a call
        self,
        target: Target,
        token: str,
        call: Endpoint,
        form: Format = "json",
        item: Literal["wrapped", "flat"] | None = None,
        key: Literal["beside", "inside"] = "beside",
    ) -> None:
        """Raises ConfigError for an address or a token that can never be sent."""
        self._many = Api(target, token, call, form)
        self.alone = Api(target, token, ENDPOINTS[call.alone], form)
        self.attempt_limit_s = self._many.attempt_limit_s
        self._queued = call.queued
        self._flat = (item or call.item) == "flat"
        self._inside = key == "inside"

    def request_for(self, parcel: Parcel) -> httpx.Request:
        """The HTTP request of a parcel: the same one for each attempt, with the same Request-ID."""
        payloads = [claim.request.payload for claim in parcel.claims]
        request = self._many.said(self.body_of(payloads), parcel.claims[0].request_id)
        request.extensions = {**request.extensions, "answer_bytes": answer_bytes(len(payloads))}
        return request

    def body_of(self, payloads: Sequence[bytes]) -> bytes:
        """The body for these payloads, as canonical JSON without the token."""
        fields = _fields_of(payloads[0])
        shared = {name: fields[name] for name in fields if name in _SHARED}
        tail = None if self._flat or self._inside else _tail(fields, shared)
        if tail is not None and all([payload.endswith(tail) for payload in payloads]):  # noqa: C419  twice as fast
            head, end = _encode(shared)[:-1] + b',"data":[', -len(tail)
            # One join for all: a body of some hundred thousand bytes is written once.
            return b"".join((head, b"},".join([payload[:end] for payload in payloads]), b"}]}"))
        items = [self._item(_fields_of(payload)) for payload in payloads]
        return _encode({**shared, "data": msgspec.Raw(b"[" + b",".join(items) + b"]")})

    def _item(self, fields: dict[str, msgspec.Raw]) -> bytes:
        own = {name: fields[name] for name in fields if name not in _SHARED}
        if not self._flat and not self._inside:
            return _encode(own)
        key = {name: own[name] for name in own if name not in _BESIDE}
        inner = {**(_fields_of(own["data"]) if "data" in own else {}), **key}
        content = {"content": own["content"]} if "content" in own else {}  # which a flat item has no place for
        return _encode(inner if self._flat else {**content, "data": inner})

    def masked(self, request: httpx.Request) -> Preview:
        """The request as it may be shown."""
        return self._many.masked(request)

    def read_answer(self, response: httpx.Response, rows: int) -> Items | Verdict:
        """What an answer to a parcel of so many rows means."""
        return read_answer_about(response, rows, queued=self._queued)


def read_answer_about(response: httpx.Response, rows: int, *, queued: bool) -> Items | Verdict:
    """What an answer to a parcel of so many rows means; `queued`: the call is answered with a task. Pure."""
    if not 200 <= response.status_code < 300:  # noqa: PLR2004  success
        return read_answer(response)
    content = content_of(response)
    if len(content) > answer_bytes(rows):
        return _misshapen(f"the answer to {rows} rows has more than {answer_bytes(rows)} bytes")
    if (known := _documented(content)) is not None:
        return _items_said(known.result, rows, response)
    values = read_values(content)
    result = values.get("result") if isinstance(values, dict) else None
    if isinstance(values, dict) and isinstance(result, list) and (result or _is_success(values)):
        return _items(result, rows, response)
    verdict = read_answer(response)
    match verdict:
        case Answered(Accepted()) if queued and isinstance(values, dict):
            task = values.get("task_id")
            return Items((Accepted(None),) * rows, verdict.replayed, task=None if task is None else cut(str(task)))
        case Answered(Accepted()):
            return _misshapen("the answer says success, but not of which rows: it has no list `result`")
    return verdict


def answer_bytes(rows: int) -> int:
    """What is read of an answer to so many rows."""
    return (1 << 20) + rows * _ANSWER_BYTES_A_ROW


def _tail(fields: dict[str, msgspec.Raw], shared: dict[str, msgspec.Raw]) -> bytes | None:
    """The end of each payload where all that is shared stands in a row: then it can be cut off without being read."""
    names = list(fields)
    if not shared or len(shared) == len(names) or names[-len(shared) :] != list(shared):
        return None
    return b"".join(b",%b:%b" % (_encode(name), bytes(raw)) for name, raw in shared.items()) + b"}"


def _is_success(values: dict[str, object]) -> bool:
    said = read_said(values)
    return said is not None and said.error == 0


def _misshapen(text: str) -> Doubtful:
    # Every repeat under this Request-ID would be answered alike, so a person has to look.
    return Doubtful("batch_shape", text, replayed=True)


def _documented(content: bytes) -> _Many | None:
    """The answer where it is as documented of a sister call: read in a fifth of the time of the tolerant way."""
    try:
        many = _decode_many(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return many if many.result else None


def _items(result: Sequence[object], rows: int, response: httpx.Response) -> Items | Doubtful:
    said = [read_said(one) for one in result]
    if len(said) == rows and None in said:
        return _misshapen("an item of the answer is not understood")
    return _items_said([one for one in said if one is not None], rows, response, len(result))


def _items_said(
    result: Sequence[Said], rows: int, response: httpx.Response, answered: int | None = None
) -> Items | Doubtful:
    answered = len(result) if answered is None else answered
    if answered != rows:
        return _misshapen(f"{rows} rows were sent, and {answered} were answered")
    if {said.error for said in result} == {0}:
        accepted = [Accepted(said.profile_id or None) for said in result]
        return Items(tuple(accepted), is_replayed(response))
    outcomes: list[Outcome] = []
    refusal = None
    for said in result:
        outcome, why = _outcome(said, response)
        outcomes.append(outcome)
        refusal = refusal or why
    return Items(tuple(outcomes), is_replayed(response), refusal)


def _outcome(said: Said, response: httpx.Response) -> tuple[Outcome, str | None]:
    if said.error == 0:
        return Accepted(said.profile_id or None), None
    verdict = by_code(said, response)
    match verdict:
        case Answered():
            return verdict.outcome, None
        case RefusedUs():
            return Failed(verdict.code, verdict.text), verdict.text
        case Doubtful():
            return InDoubt(verdict.code, verdict.text), None
        case Throttled():
            return Failed("throttled", "the API asked to wait (429) before it took this row"), None
    raise AssertionError(verdict)  # `by_code` gives no others
