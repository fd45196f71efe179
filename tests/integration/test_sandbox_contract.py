"""The sandbox keeps the platform's documented contract, over real sockets."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from batchrunner.sandbox import Handle

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/api/v1.1/workflows/import_and_start"
PROFILE_ID = re.compile(r"[0-9a-f]{24}")
DOCUMENTED = (400, 401, 402, 403, 404, 409, 413, 415, 435, 441, 450, 500, 501)

JSON_EXAMPLE = b"""{"token": "sandbox-token",
 "data": {"subscriptions": [{"email": "example001@example.com", "resource_id": 7}]},
 "matching": "email", "email": "example001@example.com",
 "content": {"one": "My email = example001@example.com", "two": "Timestamp: 1595512477", "three": "Three"},
 "workflow_id": 12}"""

XML_EXAMPLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<xml>
<token>sandbox-token</token>
<data><subscriptions array='true'><email>example001@example.com</email><resource_id>7</resource_id></subscriptions>
<phones array='true'>+79001234567</phones><phones array='true'>+79001234568</phones></data>
<matching>email</matching><email>example001@example.com</email>
<content><one>My email = example001@example.com</one><two>Timestamp: 1595512477</two></content>
<skip_triggers>true</skip_triggers>
<workflow_id>12</workflow_id>
</xml>"""

WHOLE_PERSON: dict[str, Any] = {
    "email": "Ann@example.com",
    "phones": ["+79001234567"],
    "loyalty": 4711,
    "tags": ["tag-1", "tag-2"],
    "subscriptions": [
        {"channel": "email", "email_data": {"email": "ann@work.example"}, "resource_id": 7},
        {"channel": "sms", "phone": "+79007654321", "resource_id": 8},
        {"channel": "push", "provider": "android-firebase", "subscription_id": "abc", "resource_id": 9},
        {"channel": "telegram_bot", "cc_data": {"chat": 5}, "resource_id": 10},
    ],
}

WAYS_TO_FIND_HER: tuple[dict[str, Any], ...] = (
    {"matching": "email", "email": "ann@example.com"},
    {"matching": "email", "email": "ann@work.example"},
    {"matching": "email_profile", "email": "ann@example.com"},
    {"matching": "email_sub", "email": "ann@work.example"},
    {"matching": "phone", "phone": "+79001234567"},
    {"matching": "phone", "phone": "+79007654321"},
    {"matching": "phone_sub", "phone": "+79007654321"},
    {"matching": "custom", "field_name": "loyalty", "field_value": 4711},
    {"matching": "custom", "field_name": "tags", "field_value": "tag-1, tag-2"},
    {"matching": "custom_sub", "field_name": "chat", "field_value": "5"},
    {"matching": "push_sub", "provider": "android-firebase", "subscription_id": "abc"},
    {"matching": "email_phone", "email": "ann@example.com", "phone": "+79007654321"},
    {"matching": "email_phone", "phone": "+79001234567"},
    {"matching": "email_phone_sub", "email": "ann@work.example", "phone": "+79007654321"},
)

SEARCHES_THAT_MISS: tuple[dict[str, Any], ...] = (
    {"matching": "email_sub", "email": "ann@example.com"},
    {"matching": "email_profile", "email": "ann@work.example"},
    {"matching": "phone_sub", "phone": "+79001234567"},
    {"matching": "email_phone_sub", "email": "ann@example.com"},
    {"matching": "custom", "field_name": "loyalty", "field_value": 4712},
)

MALFORMED: tuple[dict[str, Any], ...] = (
    {"workflow_id": None},
    {"workflow_id": "12"},
    {"workflow_id": 0},
    {"workflow_id": True},
    {"matching": None},
    {"matching": "surname"},
    {"email": None},
    {"email": " "},
    {"matching": "phone"},
    {"matching": "profile_id"},
    {"matching": "custom", "field_name": "loyalty"},
    {"matching": "custom", "field_name": "loyalty", "field_value": True},
    {"matching": "push_sub", "provider": "android-firebase"},
    {"matching": "email_phone", "email": None, "phone": None},
    {"format": "yaml"},
    {"skip_triggers": "yes"},
    {"data": []},
    {"content": "hello"},
    {"data": {"_ip": ""}},
    {"data": {"_regip": "300.1.1.1"}},
    {"data": {"phones": "+79001234567"}},
    {"data": {"_fname": 5}},
    {"data": {"subscriptions": {"email": "ann@example.com"}}},
    {"data": {"subscriptions": [{"email": "not an address", "resource_id": 7}]}},
    {"data": {"subscriptions": [{"email_data": {"email": "nobody@"}, "resource_id": 7}]}},
    {"data": {"subscriptions": [{"channel": "pigeon", "email": "ann@example.com"}]}},
    {"data": {"subscriptions": [{"channel": "email", "resource_id": 7}]}},
    {"data": {"subscriptions": ["ann@example.com"]}},
    {"attach": [{"name": "a.pdf", "data": "aGVsbG8=", "mimetype": "application/pdf"}]},
    {"attach": {}},
)


@pytest.fixture
def client(sandbox: Handle) -> Iterator[httpx.Client]:
    """A plain HTTP client that carries the token."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as opened:
        yield opened


def call(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Send the plainest good call with some fields replaced (None leaves one out); the decoded answer."""
    body = {"workflow_id": 12, "matching": "email", "email": "ann@example.com", **fields}
    answer = client.post(PATH, json={name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 200
    decoded: dict[str, Any] = answer.json()
    return decoded


def test_the_json_example_of_the_documentation_engages_one_profile(sandbox: Handle) -> None:
    """The documented bytes, with the token in the body, get the documented answer."""
    answer = httpx.post(sandbox.url + PATH, content=JSON_EXAMPLE, headers={"Content-Type": "application/json"})
    fields = answer.json()
    assert (answer.status_code, fields["error"], fields["error_text"]) == (200, 0, "Successful operation")
    assert PROFILE_ID.fullmatch(fields["profile_id"])
    (engagement,) = sandbox.engagements()
    assert engagement["profile_id"] == fields["profile_id"]
    assert engagement["workflow_id"] == 12
    assert engagement["key"] == "example001@example.com"
    assert engagement["content"]["three"] == "Three"


def test_the_xml_example_of_the_documentation_engages_one_profile(sandbox: Handle) -> None:
    """The same call as XML is answered in XML and stores the same things, numbers as numbers."""
    answer = httpx.post(sandbox.url + PATH, content=XML_EXAMPLE, headers={"Content-Type": "application/xml"})
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert re.search(r"<xml><error>0</error><error_text>[^<]*</error_text><profile_id>[0-9a-f]{24}<", answer.text)
    (profile,) = sandbox.profiles()
    assert profile["subscriptions"] == [{"email": "example001@example.com", "resource_id": 7}]
    assert profile["data"] == {"phones": ["+79001234567", "+79001234568"]}


@pytest.mark.parametrize(
    "xml",
    [
        b"<xml><workflow_id>twelve</workflow_id></xml>",
        b"<json/>",
        b"<xml>",
        b"<xml><email>a</email><email>b</email></xml>",
        b'<!DOCTYPE xml [<!ENTITY a "aaa">]><xml><email>&a;</email></xml>',
        b"<xml><a array='true'>1</a><a>2</a></xml>",
    ],
)
def test_xml_that_cannot_be_read_is_an_incorrect_request(client: httpx.Client, xml: bytes) -> None:
    """Broken, repeated or dangerous XML is refused with 400, in XML."""
    answer = client.post(PATH, content=xml, headers={"Content-Type": "application/xml"})
    assert "<error>400</error>" in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_json_that_cannot_be_read_is_an_incorrect_request(client: httpx.Client, body: bytes) -> None:
    """A body that is not a JSON object is refused with 400."""
    answer = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (200, 400)


def test_the_format_field_chooses_the_format_of_the_answer(client: httpx.Client) -> None:
    """A JSON body with format=xml is answered in XML, also when it is refused."""
    body = {"workflow_id": 12, "matching": "email", "email": "ann@example.com", "format": "xml"}
    assert "<error>0</error>" in client.post(PATH, json=body).text
    assert "<error>400</error>" in client.post(PATH, json={**body, "matching": "?"}).text


@pytest.mark.parametrize("code", DOCUMENTED)
def test_every_documented_error_can_be_asked_for(sandbox: Handle, client: httpx.Client, code: int) -> None:
    """A +fail-CODE address gets that error with HTTP 200, a text, and no effect."""
    answer = call(client, email=f"ann+fail-{code}@example.com")
    assert answer["error"] == code
    assert answer["error_text"]
    assert "profile_id" not in answer
    assert sandbox.engagement_counts() == {}


@pytest.mark.parametrize("code", DOCUMENTED)
def test_mirrored_errors_have_their_code_as_http_status(sandbox: Handle, client: httpx.Client, code: int) -> None:
    """With http_status=mirror the API code is the HTTP status too."""
    sandbox.change(http_status="mirror")
    body = {"workflow_id": 12, "matching": "email", "email": f"ann+fail-{code}@example.com"}
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["error"]) == (code, code)


def test_a_call_without_a_token_is_told_that_one_is_required(sandbox: Handle) -> None:
    """Neither a header nor a body field: 401."""
    answer = httpx.post(sandbox.url + PATH, json={"workflow_id": 12, "matching": "email", "email": "a@b.example"})
    assert answer.json()["error"] == 401


def test_an_unknown_token_has_no_rights(client: httpx.Client) -> None:
    """A token that the sandbox does not know is 403, in the header and in the body."""
    body = {"workflow_id": 12, "matching": "email", "email": "ann@example.com"}
    assert client.post(PATH, json=body, headers={"Authorization": "Bearer other"}).json()["error"] == 403
    del client.headers["Authorization"]
    assert client.post(PATH, json={**body, "token": "other"}).json()["error"] == 403


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_an_unsupported_content_type_is_refused(client: httpx.Client, content_type: str) -> None:
    """Anything but the two documented content types is 415."""
    answer = client.post(PATH, content=JSON_EXAMPLE, headers={"Content-Type": content_type} if content_type else {})
    assert answer.json()["error"] == 415


def test_a_method_that_does_not_exist_is_refused(client: httpx.Client) -> None:
    """Other calls under /api/v1.1, and other verbs on this one, are 501."""
    assert client.post("/api/v1.1/workflows/import_and_stop", json={}).json()["error"] == 501
    assert client.get(PATH).json()["error"] == 501


@pytest.mark.parametrize("fields", MALFORMED, ids=str)
def test_a_malformed_call_is_refused_without_effect(
    sandbox: Handle, client: httpx.Client, fields: dict[str, Any]
) -> None:
    """What the documentation does not allow is 400, and nothing is stored."""
    assert call(client, **fields)["error"] == 400
    assert sandbox.stats()["effects"] == 0
    assert sandbox.profiles() == []


def test_all_documented_profile_fields_are_accepted(sandbox: Handle, client: httpx.Client) -> None:
    """The whole table of data fields, both spellings of the disputed ones, and an attachment."""
    data = {
        "_fname": "Ann", "_bdate": "1990-02-22", "_regdate": "1990-02-22T21:00:00Z", "_tz": "Europe/Moscow",
        "_sex": "female", "_postal_code": "012345", "_ip": "192.0.2.1", "_country": "RU", "_status": 1, "points": 1.5,
    }  # fmt: skip
    attach = [{"name": "a.pdf", "flie_key": "a", "data": "aGVsbG8=", "mimetype": "application/pdf"}]
    assert call(client, data=data, attach=attach, detect_geo=True)["error"] == 0
    assert call(client, data={"_sex": 0, "_postal_code": 12345})["error"] == 0
    assert sandbox.engagements()[0]["attached"] == ["a.pdf"]


def test_bad_subscriptions_are_dropped_when_the_call_says_so(sandbox: Handle, client: httpx.Client) -> None:
    """skip_invalid_subscriptions keeps the profile and its good subscriptions."""
    subscriptions = [{"email": "broken", "resource_id": 7}, {"email": "ann@example.com", "resource_id": 7}]
    answer = call(client, data={"subscriptions": subscriptions}, skip_invalid_subscriptions=True)
    assert answer["error"] == 0
    assert sandbox.profiles()[0]["subscriptions"] == [subscriptions[1]]


@pytest.mark.parametrize("search", WAYS_TO_FIND_HER, ids=str)
def test_each_matching_mode_finds_the_profile(sandbox: Handle, client: httpx.Client, search: dict[str, Any]) -> None:
    """A profile with every kind of contact is found and updated by every documented mode."""
    first = call(client, data=WHOLE_PERSON)
    again = call(client, **{"email": None, **search}, data={"_fname": "Ann"})
    assert again == first
    (profile,) = sandbox.profiles()
    assert profile["data"]["_fname"] == "Ann"
    assert profile["data"]["loyalty"] == 4711


@pytest.mark.parametrize("search", SEARCHES_THAT_MISS, ids=str)
def test_a_search_elsewhere_creates_another_profile(client: httpx.Client, search: dict[str, Any]) -> None:
    """The narrow modes look only where they say, and no match means a new profile."""
    first = call(client, data=WHOLE_PERSON)
    assert call(client, **{"email": None, **search})["profile_id"] != first["profile_id"]


def test_a_profile_id_finds_but_never_creates(sandbox: Handle, client: httpx.Client) -> None:
    """Matching by system id updates an existing profile, and is 404 otherwise."""
    first = call(client, data=WHOLE_PERSON)
    assert call(client, matching="profile_id", profile_id=first["profile_id"]) == first
    assert call(client, matching="profile_id", profile_id="f" * 24)["error"] == 404
    assert sandbox.stats()["profiles_created"] == 1


def test_a_search_that_finds_several_profiles_is_ambiguous(sandbox: Handle, client: httpx.Client) -> None:
    """Two profiles behind one value are 435, and neither is engaged."""
    call(client, email="ann@example.com", data={"email": "ann@example.com"})
    call(client, email="bob@example.com", data={"email": "bob@example.com", "phones": ["+79001234567"]})
    answer = call(client, matching="email_phone", email="ann@example.com", phone="+79001234567")
    assert answer["error"] == 435
    assert sandbox.engagement_counts() == {"ann@example.com": 1, "bob@example.com": 1}


def test_a_changed_address_is_found_and_the_old_one_no_longer(client: httpx.Client) -> None:
    """The indexes follow an update."""
    first = call(client, email="old@example.com", data={"email": "old@example.com"})
    call(client, matching="profile_id", profile_id=first["profile_id"], data={"email": "new@example.com"})
    assert call(client, email="new@example.com") == first
    assert call(client, email="old@example.com") != first


def test_the_search_value_is_stored_only_with_the_data(client: httpx.Client) -> None:
    """A call whose data does not carry the search value makes a profile that it does not find again."""
    assert call(client, data={})["profile_id"] != call(client, data={})["profile_id"]


def test_only_configured_scenarios_and_resources_exist(sandbox: Handle, client: httpx.Client) -> None:
    """Unknown workflow ids are 404 and unknown resource ids 413, when the sandbox has lists of them."""
    sandbox.change(workflow_ids=[12], resource_ids=[7])
    subscription = {"email": "ann@example.com", "resource_id": 8}
    assert call(client)["error"] == 0
    assert call(client, workflow_id=13)["error"] == 404
    assert call(client, data={"subscriptions": [subscription]})["error"] == 413
    assert call(client, data={"subscriptions": [{**subscription, "resource_id": 7}]})["error"] == 0


def test_engagements_can_be_read_in_pages(sandbox: Handle, client: httpx.Client) -> None:
    """`since` and `limit` walk the record of engagements by sequence number."""
    for name in "abc":
        call(client, email=f"{name}@example.com")
    assert [item["key"] for item in sandbox.engagements(since=1, limit=1)] == ["b@example.com"]
    assert [item["sequence"] for item in sandbox.engagements(since=1)] == [2, 3]
    assert client.get("/_sandbox/engagements").json()["count"] == 3


def test_raw_requests_are_shown_with_their_tokens_masked(sandbox: Handle, client: httpx.Client) -> None:
    """What is kept for looking at never shows a token, be it in a header, in JSON or in XML."""
    client.post(PATH, content=JSON_EXAMPLE, headers={"Content-Type": "application/json"})
    client.post(
        PATH, content=XML_EXAMPLE, headers={"Content-Type": "application/xml", "Authorization": "sandbox-token"}
    )
    seen = sandbox.requests()
    assert [item["path"] for item in seen] == [PATH, PATH]
    assert seen[0]["headers"]["Authorization"] == "Bearer ***"
    assert "example001@example.com" in seen[1]["body"]
    assert "sandbox-token" not in json.dumps(seen)
    assert len(sandbox.requests(limit=1)) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_sandbox/nothing", 404),
        ("GET", "/_sandbox/reset", 405),
        ("GET", "/_sandbox/engagements?since=x", 400),
        ("POST", "/_sandbox/settings", 400),
        ("GET", "/", 404),
    ],
)
def test_a_wrong_look_inside_is_told_so(client: httpx.Client, method: str, path: str, status: int) -> None:
    """The observing endpoints answer mistakes with plain HTTP statuses."""
    assert client.request(method, path).status_code == status


def test_a_sender_that_asks_before_a_large_body_is_told_to_go_on(sandbox: Handle) -> None:
    """Tools such as curl wait for "100 Continue" before a large body; it comes, and then the answer."""
    place = urlsplit(sandbox.url)
    head = f"POST {PATH} HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {len(JSON_EXAMPLE)}\r\n\r\n".encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(JSON_EXAMPLE)
        assert connection.recv(1024).startswith(b"HTTP/1.1 200 OK\r\n")
