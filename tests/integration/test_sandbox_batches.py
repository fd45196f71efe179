"""Requests about many profiles, and trigger campaigns: answered as the vendor's examples of sister calls are."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from batchrunner.sandbox import Handle

BATCH = "workflows/import_and_start_batch"
WAYS = {
    "beside": {"email": "{}", "data": {"_fname": "Ann"}},
    "inside": {"data": {"email": "{}", "_fname": "Ann"}},
    "flat": {"email": "{}", "_fname": "Ann"},
}


def item(way: str, email: str) -> dict[str, Any]:
    """A profile, written in this way."""
    filled = json.loads(json.dumps(WAYS[way]).replace("{}", email))
    assert isinstance(filled, dict)
    return filled


def asked(sandbox: Handle, call: str, body: dict[str, Any]) -> dict[str, Any]:
    """A request in JSON, and its answer."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    answer = httpx.post(f"{sandbox.url}/api/v1.1/{call}", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200
    value = answer.json()
    assert isinstance(value, dict)
    return value


def batch(sandbox: Handle, items: list[dict[str, Any]], call: str = BATCH, **more: Any) -> dict[str, Any]:
    """A batch, and its answer."""
    return asked(sandbox, call, {"matching": "email", "workflow_id": 12, "data": items, **more})


@pytest.mark.parametrize("way", WAYS)
def test_each_item_has_a_result_of_its_own_in_their_order(sandbox: Handle, way: str) -> None:
    """As of the sister call: code, text and profile, whichever way the items are written."""
    answer = batch(sandbox, [item(way, "a@a.cz"), item(way, "b+fail-435@a.cz"), item(way, "c@a.cz")])
    assert (answer["error"], answer["error_text"]) == (0, "Successful operation")
    assert [one["error"] for one in answer["result"]] == [0, 435, 0]
    assert set(answer["result"][0]) == {"error", "error_text", "profile_id"}
    assert [one.get("profile_id") is None for one in answer["result"]] == [False, True, False]
    assert sandbox.engagement_counts() == {"a@a.cz": 1, "c@a.cz": 1}
    assert {one["data"].get("_fname") for one in sandbox.profiles()} == {"Ann"}


def test_xml_is_answered_in_xml(sandbox: Handle) -> None:
    """Items of an array are elements with array='true', both ways."""
    body = (
        "<xml><matching>email</matching><workflow_id>12</workflow_id>"
        "<data array='true'><email>a@a.cz</email><data><_fname>Ann</_fname></data></data>"
        "<data array='true'><email>b+fail-404@a.cz</email><data><_fname>Bob</_fname></data></data></xml>"
    )
    headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/xml"}
    answer = httpx.post(f"{sandbox.url}/api/v1.1/{BATCH}", content=body, headers=headers, timeout=30)
    (profile,) = sandbox.profiles()
    said = re.sub(r"(Object not in the token's vision zone)[^<]*", r"\1", answer.text)
    assert said == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xml><error>0</error><error_text>Successful operation</error_text>'
        "<result array='true'><error>0</error><error_text>Successful operation</error_text>"
        f"<profile_id>{profile['id']}</profile_id></result>"
        "<result array='true'><error>404</error><error_text>Object not in the token's vision zone</error_text></result>"
        "</xml>"
    )


@pytest.mark.parametrize(("wanted", "way"), [("flat", "beside"), ("flat", "inside"), ("wrapped", "flat")])
def test_an_installation_may_understand_one_way_only(sandbox: Handle, wanted: str, way: str) -> None:
    """The others are refused whole, without effect."""
    sandbox.change(batch_item=wanted)
    answer = batch(sandbox, [item(way, "a@a.cz")])
    assert (answer["error"], "result" in answer) == (400, False)
    assert not sandbox.profiles()


@pytest.mark.parametrize("data", [None, [], {}, "a", [1], [None]])
def test_a_batch_without_items_is_refused_whole(sandbox: Handle, data: object) -> None:
    """Nothing can be laid to a row."""
    assert batch(sandbox, data)["error"] == 400  # type: ignore[arg-type]


def test_faults_of_one_item_that_spoil_the_whole(sandbox: Handle) -> None:
    """A poisoned batch has no effect; a short answer comes after it."""
    poisoned = batch(sandbox, [item("beside", "a@a.cz"), item("beside", "b+poison-450@a.cz")])
    assert (poisoned["error"], sandbox.profiles()) == (450, [])
    short = batch(sandbox, [item("beside", "a@a.cz"), item("beside", "b+short@a.cz")])
    assert (short["error"], len(short["result"]), len(sandbox.profiles())) == (0, 1, 2)


def test_a_refusal_of_a_batch_of_one_may_be_said_of_the_whole(sandbox: Handle) -> None:
    """Where that is set: which way of writing is understood then does not show."""
    sandbox.change(batch_refusals="whole")
    assert batch(sandbox, [item("beside", "a+fail-404@a.cz")])["error"] == 404
    assert len(batch(sandbox, [item("beside", "a+fail-404@a.cz"), item("beside", "b@a.cz")])["result"]) == 2


def test_a_queue_answers_with_the_number_of_a_task(sandbox: Handle) -> None:
    """Another one for each batch, and no word of any row."""
    answers = [batch(sandbox, [item("beside", f"p{n}@a.cz")], call=f"{BATCH}_task") for n in range(2)]
    assert len({one["task_id"] for one in answers}) == 2
    assert all(set(one) == {"error", "error_text", "task_id"} for one in answers)


def test_an_import_of_many_engages_nobody(sandbox: Handle) -> None:
    """And wants a database."""
    body = {"matching": "email", "data": [item("flat", "a@a.cz"), item("flat", "b@a.cz")]}
    # Without the number, each of them is an incorrect request.
    assert {one["error"] for one in asked(sandbox, "profiles/import_batch", body)["result"]} == {400}
    assert {one["error"] for one in asked(sandbox, "profiles/import_batch", {**body, "db_id": 3})["result"]} == {0}
    assert (len(sandbox.profiles()), sandbox.engagements()) == (2, [])


@pytest.mark.parametrize(
    ("call", "number"), [("campaigns/triggers/import_and_start", "trigger_id"), ("campaigns/triggers/start/", "id")]
)
def test_a_trigger_campaign_is_started_by_its_number(sandbox: Handle, call: str, number: str) -> None:
    """The documented requests; the one without an import needs a profile that is there."""
    found = {"matching": "email", "email": "john@example.com"}
    if number == "id":
        assert asked(sandbox, call, {**found, "id": 13})["error"] == 404
        asked(sandbox, "profiles/import", {**found, "db_id": 1, "data": {"email": "john@example.com"}})
    assert asked(sandbox, call, found)["error"] == 400
    answer = asked(sandbox, call, {**found, number: 13, "content": {"page": "registration_form"}})
    assert (answer["error"], len(answer["profile_id"])) == (0, 24)
    (sent,) = sandbox.engagements()
    assert (sent["workflow_id"], sent["content"]) == (13, {"page": "registration_form"})
