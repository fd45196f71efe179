"""Many profiles in one request: what is said, what an answer means for each row, and who is to blame for a refusal."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.api import ERROR_CODES, Items, Kind, ParcelApi
from batchrunner.endpoints import ENDPOINTS
from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    InDoubt,
    Key,
    Parcel,
    Rejected,
    Request,
    RequestId,
    Row,
    Settled,
)
from batchrunner.pipeline.admission import NEW, Candidate
from batchrunner.pipeline.bisection import Search
from batchrunner.pipeline.carriage import Carriage
from batchrunner.retrying import Doubtful, RefusedUs, Throttled
from batchrunner.submit.parcels import spread

TARGET: Any = SimpleNamespace(
    url="https://a.example",
    token_in="header",
    connect_timeout=timedelta(seconds=1),
    timeout=timedelta(seconds=1),
)
CODES = [0, *(code for code in ERROR_CODES if code), 440, 999]


def api(name: str = "workflows/import_and_start_batch", **how: Any) -> ParcelApi:
    """The API room for a call."""
    return ParcelApi(TARGET, "t", ENDPOINTS[name], **how)


def claims(count: int, *, doubtful: bool = False) -> tuple[Claim, ...]:
    """So many claims of one parcel."""
    return tuple(
        Claim(1, request(n), RequestId("00000000-0000-4000-8000-000000000001"), 0, doubtful=doubtful)
        for n in range(1, count + 1)
    )


def request(n: int) -> Request:
    """The request of a row."""
    payload = {"data": {"_fname": f"N{n}"}, "email": f"p{n}@a.cz", "matching": "email", "workflow_id": 12}
    return Request(Key(n.to_bytes(16, "big")), Row(n, n + 1, ("a",)), msgspec.json.encode(payload))


def answer(body: object, status: int = 200, form: str = "json") -> httpx.Response:
    """An answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if form == "json" else _xml(body)
    return httpx.Response(status, stream=httpx.ByteStream(content))


def _xml(body: Any) -> bytes:
    items = "".join(f"<result array='true'>{_fields(item)}</result>" for item in body["result"])
    return f"<xml>{_fields({k: v for k, v in body.items() if k != 'result'})}{items}</xml>".encode()


def _fields(item: dict[str, Any]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in item.items())


# --- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "item"),
    [
        ({}, {"email": "p1@a.cz", "data": {"_fname": "N1"}}),
        ({"key": "inside"}, {"data": {"_fname": "N1", "email": "p1@a.cz"}}),
        ({"item": "flat"}, {"_fname": "N1", "email": "p1@a.cz"}),
    ],
)
def test_what_is_the_same_stands_once_and_the_rest_in_items(how: dict[str, Any], item: dict[str, Any]) -> None:
    """As the job has it: wrapped with the key beside or inside, or flat."""
    said = api(**how).request_for(Parcel(claims(2)))
    body = json.loads(said.read())
    assert {name: value for name, value in body.items() if name != "data"} == {"matching": "email", "workflow_id": 12}
    assert (body["data"][0], len(body["data"])) == (item, 2)
    assert said.headers["request-id"] == "00000000-0000-4000-8000-000000000001"
    assert said.url.path == "/api/v1.1/workflows/import_and_start_batch"


@given(
    st.lists(
        st.fixed_dictionaries(
            {"email": st.text(st.characters(exclude_categories=["Cs"]), min_size=1)},
            optional={"data": st.dictionaries(st.sampled_from(["matching", "workflow_id", "a", "z"]), st.integers())},
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([{"matching": "email", "workflow_id": 12}, {"matching": "email", "db_id": 3, "detect_geo": True}]),
)
def test_the_short_way_to_an_item_says_the_same_as_the_long_one(
    rows: list[dict[str, Any]], shared: dict[str, Any]
) -> None:
    """Whatever fields the rows have: what is cut off is what is shared, and nothing else."""
    payloads = [msgspec.json.encode({**row, **shared}, order="sorted") for row in rows]
    assert json.loads(api().body_of(payloads)) == {**shared, "data": rows}


# --- what an answer means -----------------------------------------------------------------------


@given(st.lists(st.sampled_from(CODES), min_size=1, max_size=40), st.sampled_from(["json", "xml"]), st.booleans())
def test_any_pattern_of_errors_lands_on_the_right_rows(codes: list[int], form: str, doubtful: bool) -> None:
    """Each row ends as its own item says, whatever its neighbours do."""
    result = [{"error": code, "error_text": f"t{n}", "profile_id": f"id{n}"} for n, code in enumerate(codes)]
    items = api().read_answer(answer({"error": 0, "error_text": "", "result": result}, form=form), len(codes))
    assert isinstance(items, Items)
    parcel = Parcel(claims(len(codes), doubtful=doubtful))
    ends = spread(parcel, Settled(parcel.lead, Accepted(None), 1, 1), items)
    assert [end.claim for end in ends] == list(parcel.claims)
    assert (sum(end.requests for end in ends), any(end.whole for end in ends)) == (1, False)
    for n, (code, end) in enumerate(zip(codes, ends, strict=True)):
        kind = ERROR_CODES[code].kind if code in ERROR_CODES else Kind.REJECTED
        match kind:
            case Kind.ACCEPTED:
                assert end.outcome == Accepted(f"id{n}")
            case Kind.REJECTED:
                assert isinstance(end.outcome, Rejected)
                assert end.outcome.code == str(code)
            case Kind.IN_DOUBT:
                assert end.outcome == InDoubt(str(code), f"t{n}")
            case Kind.REFUSED_US | Kind.THROTTLED:
                assert isinstance(end.outcome, InDoubt if doubtful else Failed)
    stops = any(code in (401, 402, 403, 415, 501) for code in codes)
    assert (ends[0].refusal is not None) == stops


@pytest.mark.parametrize(
    "body",
    [
        {"error": 0, "result": [{"error": 0}]},
        {"error": 0, "result": [{"error": 0}] * 3},
        {"error": 0, "result": []},
        {"error": 0, "result": [{"error": 0}, {"profile_id": "x"}]},
        {"error": 0, "result": [{"error": 0}, "ok"]},
        {"error": 0, "result": {"0": {"error": 0}, "1": {"error": 0}}},
        {"error": 0, "profile_id": "5eeb"},
        {"error": 0, "task_id": "7"},
    ],
)
def test_an_answer_of_another_length_or_shape_is_no_answer(body: object) -> None:
    """Its rows are in doubt, and a person has to look: a repeat would be answered alike."""
    verdict = api().read_answer(answer(body), 2)
    assert isinstance(verdict, Doubtful)
    assert (verdict.code, verdict.replayed) == ("batch_shape", True)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer({"error": 403, "error_text": "no"}), RefusedUs),
        (answer({"error": 500, "error_text": "no"}), Doubtful),
        (answer(b"<html>"), Doubtful),
        (answer(b"", 502), Doubtful),
        (answer(b"", 429), Throttled),
    ],
)
def test_what_is_said_of_the_whole_is_what_it_is_for_one(response: httpx.Response, kind: type[object]) -> None:
    """Refusals of the sender, errors of the server, pages of a proxy."""
    assert isinstance(api().read_answer(response, 2), kind)


def test_a_task_is_an_answer_only_where_one_is_asked_for() -> None:
    """Accepted means queued, and nobody knows the profiles."""
    items = api("workflows/import_and_start_batch_task").read_answer(answer({"error": 0, "task_id": 17}), 2)
    assert items == Items((Accepted(None), Accepted(None)), task="17")


# --- who is to blame ----------------------------------------------------------------------------


class Known:
    """A platform that was understood before."""

    def known(self) -> bool:
        """Yes."""
        return True

    def note(self) -> None:
        """Nothing is new."""


def judged(size: int, poisoned: set[int], search: int) -> tuple[dict[int, object], int]:
    """How rows end on a platform that refuses whole what holds a poisoned one, and the requests after the first."""
    carriage = Carriage(size, 10**9, search, lambda _: False, Known())
    packed = carriage.load([Candidate(1, request(n), NEW) for n in range(1, size + 1)], last=True)
    groups = carriage.claims(packed.groups, 0)
    carriage.records(groups)
    parcels, ended, requests, ids = [tuple(group) for group in groups], {}, -1, set()
    while parcels:
        parcel = parcels.pop(0)
        requests += 1
        assert parcel[0].request_id not in ids  # the platform would answer it as it did before
        ids.add(parcel[0].request_id)
        bad = any(claim.request.row.number in poisoned for claim in parcel)
        outcome = Rejected("400", "no") if bad else Accepted("x")
        ends, onward = carriage.unload([Settled(claim, outcome, 1, 0, whole=bad) for claim in parcel], 0)
        carriage.records([one.claims for one in onward])
        for end in ends:
            assert end.claim.request.row.number not in ended
            ended[end.claim.request.row.number] = end.outcome
        parcels += [one.claims for one in onward]
    return ended, requests


@given(st.data())
def test_bisection_finds_exactly_the_poisoned_rows(data: st.DataObject) -> None:
    """With requests enough: no good row is blamed, no bad one is missed, and it costs a logarithm for each."""
    size = data.draw(st.integers(1, 200))
    poisoned = data.draw(st.sets(st.integers(1, size), max_size=6))
    ended, requests = judged(size, poisoned, search=10_000)
    assert set(ended) == set(range(1, size + 1))
    assert {n for n, outcome in ended.items() if isinstance(outcome, Rejected)} == poisoned
    assert all(isinstance(ended[n], Accepted) for n in ended if n not in poisoned)
    assert requests <= 2 * len(poisoned) * math.ceil(math.log2(size) + 1)


@given(st.integers(1, 120), st.sets(st.integers(1, 120), max_size=20), st.integers(0, 30))
def test_bisection_never_spends_more_than_it_may(size: int, poisoned: set[int], search: int) -> None:
    """Where it has to give up, rows that nobody blames have certainly not been done."""
    bad = {n for n in poisoned if n <= size}
    ended, requests = judged(size, bad, search)
    assert requests <= search
    assert set(ended) == set(range(1, size + 1))
    assert {n for n, outcome in ended.items() if isinstance(outcome, Rejected)} <= bad
    assert all(isinstance(ended[n], Rejected | Failed) for n in bad)


def test_a_search_is_a_number_of_requests() -> None:
    """Shared by all that one parcel is halved into."""
    assert Search(4).left == 4
