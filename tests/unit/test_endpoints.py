"""The table of calls: what each wants of a job, what it puts into a request, and what follows for repeats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from batchrunner.api import Api
from batchrunner.chunks import Chunk
from batchrunner.cli.compose import gate_policy
from batchrunner.cli.sending import retry_policy
from batchrunner.config import SEARCH_FIELDS, Job, notes_on
from batchrunner.endpoints import ENDPOINTS
from batchrunner.gate import GatePolicy, Hold, SendNew, SendSame, judge
from batchrunner.mapping import compile_mapping, job_from_mapping_text, mapping_text
from batchrunner.model import Claim, EntryRef, Request, RequestId, Row, RunId, SkipReason, Source, State
from batchrunner.ports import Standing

SOURCE = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)
NUMBERS: Mapping[str, Mapping[str, int]] = {
    "workflows/import_and_start": {"workflow_id": 12},
    "workflows/import_and_start_batch": {"workflow_id": 12},
    "workflows/import_and_start_batch_task": {"workflow_id": 12},
    "workflows/start": {"workflow_id": 12},
    "profiles/import": {"db_id": 3},
    "profiles/import_batch": {"db_id": 3},
    "profiles/update": {},
    "campaigns/triggers/import_and_start": {"trigger_id": 13},
    "campaigns/triggers/start": {"trigger_id": 13},
}
WINDOW_MS = 86_400_000


def written(table: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None: so a test takes out what is there by default."""
    return {name: value for name, value in table.items() if value is not None}


def job_of(endpoint: str, request: Mapping[str, Any] | None = None, **target: object) -> Job:
    """A job with this call."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": written({"url": "https://a.example", "endpoint": endpoint, **NUMBERS[endpoint], **target}),
            "request": written({"email": "{Email}", **(request or {})}),
        }
    )


def request_of(job: Job, **cells: str) -> Request:
    """What the job makes of one row."""
    row = tuple(cells.values())
    (end,) = compile_mapping(job, SOURCE, list(cells), "crm.csv").map(Chunk(list(cells), [Row(1, 2, row)], [row]))
    assert isinstance(end, Request), end
    return end


def mistake_of(endpoint: str, request: Mapping[str, Any] | None = None, **target: object) -> str:
    """Why a job is refused."""
    with pytest.raises(ValidationError) as caught:
        job_of(endpoint, request, **target)
    (error,) = caught.value.errors()
    return error["msg"]


def test_the_names_of_the_table_are_those_of_the_job_file() -> None:
    """Adding a call is one entry; a job file knows it by the same name."""
    assert set(ENDPOINTS) == set(NUMBERS)
    for name, call in ENDPOINTS.items():
        assert (call.name, call.path) == (name, f"/api/v1.1/{name}{call.tail}")
        assert job_of(name).target.call is call


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("workflows/import_and_start", {"workflow_id": 12, "data": {"_fname": "Ann"}}),
        ("workflows/start", {"id": 12, "content": {"one": "Ann"}}),
        ("profiles/import", {"db_id": 3, "data": {"_fname": "Ann"}}),
        ("profiles/update", {"data": {"_fname": "Ann"}}),
        ("campaigns/triggers/import_and_start", {"trigger_id": 13, "data": {"_fname": "Ann"}}),
        ("campaigns/triggers/start", {"id": 13, "content": {"one": "Ann"}}),
    ],
)
def test_a_request_has_the_fields_of_its_call(endpoint: str, fields: dict[str, Any]) -> None:
    """And goes to its path."""
    part = {"content": {"one": "{Name}"}} if endpoint.endswith("/start") else {"data": {"_fname": "{Name}"}}
    job = job_of(endpoint, part)
    request = request_of(job, Email="a@b.cz", Name="Ann")
    assert json.loads(request.payload) == {"email": "a@b.cz", "matching": "email", **fields}
    said = Api(job.target, "t", job.target.call).request_for(Claim(1, request, RequestId("x"), 0))
    assert said.url.path == job.target.call.path


@pytest.mark.parametrize(
    ("endpoint", "request_", "target", "part"),
    [
        ("workflows/import_and_start", {}, {"workflow_id": None}, "`workflow_id` is missing"),
        ("workflows/start", {}, {"workflow_id": None}, "`workflow_id` is missing"),
        ("profiles/import", {}, {"db_id": None}, "`db_id` is missing; profiles/import needs it"),
        ("profiles/import", {}, {"workflow_id": 1}, "`workflow_id` goes with other calls"),
        ("workflows/import_and_start", {}, {"db_id": 1}, "`db_id` goes with other calls"),
        ("campaigns/triggers/start", {}, {"trigger_id": None}, "`trigger_id` is missing"),
        ("campaigns/triggers/start", {}, {"workflow_id": 1}, "`workflow_id` goes with other calls"),
        ("workflows/start", {}, {"trigger_id": 1}, "`trigger_id` goes with other calls"),
        ("workflows/start", {"data": {"a": 1}}, {}, "'request.data': workflows/start has no such field"),
        ("workflows/start", {"skip_triggers": False}, {}, "'request.skip_triggers': workflows/start has no"),
        ("profiles/import", {"content": {"a": 1}}, {}, "'request.content': profiles/import has no such field"),
        ("profiles/update", {"attach": [{"name": "a"}]}, {}, "'request.attach': profiles/update has no such field"),
    ],
)
def test_what_a_call_cannot_do_is_said_before_a_row_is_read(
    endpoint: str, request_: dict[str, Any], target: dict[str, Any], part: str
) -> None:
    """With the name of the key and of the call."""
    assert part in mistake_of(endpoint, request_, **target)


@pytest.mark.parametrize("matching", SEARCH_FIELDS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_matching_mode_wants_its_search_fields(endpoint: str, matching: str) -> None:
    """All eleven, for every call: said at check time, not by the platform."""
    assert len(SEARCH_FIELDS) == 11
    fields = SEARCH_FIELDS[matching]
    whole = {"email": None, "matching": matching, **{name: "x" if name == "field_name" else "{A}" for name in fields}}
    sent = json.loads(request_of(job_of(endpoint, whole), A="7").payload)
    assert sent["matching"] == matching
    assert {name: sent[name] for name in fields} == {name: "x" if name == "field_name" else "7" for name in fields}
    without = {**whole, **dict.fromkeys(fields)}
    assert f'matching = "{matching}" needs `{fields[0]}`' in mistake_of(endpoint, without)


@pytest.mark.parametrize(
    ("value", "cell", "sent"),
    [
        ("{A}", "gold", "gold"),
        ({"column": "A", "as": "int"}, "4711", 4711),
        ({"column": "A", "as": "list", "separator": ";"}, "tag-1;tag-2", "tag-1, tag-2"),
    ],
)
def test_a_custom_field_is_searched_by_text_number_or_tags(value: object, cell: str, sent: object) -> None:
    """Tags as the documentation writes them."""
    job = job_of("profiles/import", {"email": None, "matching": "custom", "field_name": "level", "field_value": value})
    assert json.loads(request_of(job, A=cell).payload)["field_value"] == sent


def test_keys_tell_families_of_calls_apart() -> None:
    """What an import has done is not what a scenario has done, though the payloads may be alike."""
    by_identity = [
        job_of(name, {}, **numbers).model_copy(
            update={"rules": job_of(name).rules.model_copy(update={"repeat": "identity"})}
        )
        for name, numbers in NUMBERS.items()
    ]
    keys = {request_of(job, Email="a@b.cz").key for job in by_identity}
    assert len(keys) == len({call.family for call in ENDPOINTS.values()}) == 6


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_mapping_text_brings_the_call_back(endpoint: str) -> None:
    """So that a run under another call finds out what the earlier one has sent."""
    was, now = (
        job_of(ENDPOINTS[endpoint].family),
        job_of("profiles/update" if "import_and_start" in endpoint else "workflows/import_and_start"),
    )
    again = job_from_mapping_text(mapping_text(was), now)
    assert mapping_text(again) == mapping_text(was) != mapping_text(now)
    assert request_of(again, Email="a@b.cz") == request_of(was, Email="a@b.cz")


STANDING = Standing(EntryRef(RunId(1), 1, 1), State.IN_DOUBT, RequestId("x"), 0, replayed=False)


@pytest.mark.parametrize(
    ("replayed", "age_ms", "safe", "engaging"),
    [
        (False, 0, SendSame(or_new=True), SendSame()),
        (False, 2 * WINDOW_MS, SendNew(), Hold(SkipReason.WINDOW)),
        (True, 0, SendNew(), Hold(SkipReason.IN_DOUBT)),
    ],
)
def test_in_doubt_an_import_is_sent_again(replayed: bool, age_ms: int, safe: object, engaging: object) -> None:
    """An upsert may be repeated however long ago it was; a message may not."""
    standing = Standing(STANDING.ref, STANDING.state, STANDING.request_id, 0, replayed)
    for repeat_safe, expected in ((True, safe), (False, engaging)):
        policy = GatePolicy(resend_in_doubt=True, window_ms=WINDOW_MS, repeat_safe=repeat_safe)
        assert judge(standing, RunId(2), policy, age_ms) == expected
        held = GatePolicy(resend_in_doubt=False, window_ms=WINDOW_MS, repeat_safe=repeat_safe)
        assert judge(standing, RunId(2), held, 0) == Hold(SkipReason.IN_DOUBT)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_policies_follow_from_the_call(endpoint: str) -> None:
    """Without deduplication, only what engages nobody is repeated."""
    job, engages = job_of(endpoint, {}, deduplicates=False), ENDPOINTS[endpoint].engages
    assert gate_policy(job).repeat_safe == (not engages)
    assert (gate_policy(job).resend_in_doubt, retry_policy(job).resend) == (not engages, not engages)
    assert (retry_policy(job).window_ms > 1000 * WINDOW_MS) == (not engages)


def test_what_is_inferred_is_said() -> None:
    """By `check`, with what to do."""
    assert list(notes_on(job_of("workflows/import_and_start"))) == []
    (note,) = notes_on(job_of("workflows/start"))
    assert "workflows/start" in note
    assert "inferred" in note


def test_a_search_field_of_another_mode_is_said_to_go_nowhere() -> None:
    """It is ignored, and whoever wrote it means something by it."""
    asked = {"matching": "email", "email": "{email}", "phone": "{phone}", "field_name": "crm_id", "field_value": "{id}"}
    (note,) = notes_on(job_of("workflows/import_and_start", asked))
    assert note.startswith("request.phone and request.field_name and request.field_value: not sent")
    assert "belongs under [request.data]" in note


@pytest.mark.parametrize(
    ("endpoint", "batch", "says"),
    [
        ("workflows/import_and_start_batch", {"item": "flat", "content": "inside"}, 'set batch.item = "wrapped"'),
        ("profiles/import_batch", {"item": "wrapped", "content": "inside"}, "sends no message"),
    ],
)
def test_content_goes_into_a_batch_that_has_a_place_for_it(endpoint: str, batch: dict[str, str], says: str) -> None:
    """What cannot be is said before a row is read."""
    job = job_of(endpoint).model_dump(exclude_unset=True)
    with pytest.raises(ValidationError, match=says):
        Job.model_validate({**job, "batch": batch})


# --- steps ---------------------------------------------------------------------------------------


def stepping(rules: Mapping[str, Any] | None = None, **target: object) -> dict[str, Any]:
    """A job that goes in steps."""
    endpoint = str(target.pop("endpoint", "workflows/import_and_start"))
    return {
        "name": "crm",
        "source": {"path": "crm.csv"},
        "target": written({"url": "https://a.example", "endpoint": endpoint, **NUMBERS[endpoint], **target}),
        "request": {"email": "{Email}", "data": {"_fname": "{Name}"}},
        "rules": dict(rules or {}),
    }


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (stepping(mode="split"), 'profiles/import needs it, which mode = "split" asks for'),
        (stepping(mode="split", db_id=3, endpoint="workflows/start"), "goes with other calls"),
        (
            stepping(mode="split", endpoint="workflows/import_and_start_batch"),
            "workflows/import_and_start_batch has none",
        ),
        (stepping({"on_change": "update"}), 'profiles/import needs it, which on_change = "update" asks for'),
        (stepping({"on_change": "skip"}, db_id=3), "`db_id` goes with other calls"),
        (stepping({"on_change": "update", "repeat": "identity"}, db_id=3), 'needs repeat = "unchanged"'),
        (stepping({"on_change": "skip", "repeat": "file"}), 'needs repeat = "unchanged"'),
        (stepping({"on_change": "skip"}, endpoint="profiles/import"), "engages nobody"),
        (stepping({"on_change": "update"}, endpoint="workflows/import_and_start_batch"), 'take "skip"'),
        ({**stepping(mode="split", db_id=3), "rabbitmq": {}}, "goes over HTTP only"),
        ({**stepping({"on_change": "update"}, db_id=3), "rabbitmq": {}}, "goes over HTTP only"),
    ],
)
def test_steps_that_cannot_be_are_said_before_a_row_is_read(job: dict[str, Any], said: str) -> None:
    """Each in a sentence."""
    with pytest.raises(ValidationError) as raised:
        Job.model_validate(job)
    assert said in str(raised.value)


def test_the_way_that_requests_take_is_in_no_key() -> None:
    """A job that changes it has not changed: no row becomes new, and no earlier mapping is another one."""
    plain = Job.model_validate(stepping())
    rows = {"Email": "a@example.com", "Name": "Ann"}
    for other in (
        stepping(mode="split", db_id=3),
        stepping({"on_change": "update"}, db_id=3),
        stepping({"on_change": "update"}, db_id=3, mode="split"),
        stepping({"on_change": "skip"}),
    ):
        job = Job.model_validate(other)
        assert mapping_text(job) == mapping_text(plain)
        assert request_of(job, **rows) == request_of(plain, **rows)
        earlier = job_from_mapping_text(mapping_text(plain).replace("Name", "Email"), job)
        assert (earlier.target.mode, earlier.target.db_id, earlier.rules.on_change) == ("single", None, "engage")
