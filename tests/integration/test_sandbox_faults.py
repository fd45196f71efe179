"""The sandbox goes wrong as it was told to, over real sockets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from batchrunner.sandbox import Handle

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/api/v1.1/workflows/import_and_start"

# tag, expected HTTP status, part of the body, whether the call takes effect
ANSWERED = [
    ("html-502", 502, "<h1>502 Bad Gateway</h1>", False),
    ("html-502-after", 502, "<h1>502", True),
    ("html-200", 200, "<h1>200 OK</h1>", True),
    ("html-200-before", 200, "<h1>200 OK</h1>", False),
    ("empty-200", 200, "", True),
    ("empty-502", 502, "", False),
    ("http-429", 429, "Too Many Requests", False),
    ("http-503", 503, "Service Unavailable", False),
    ("http-504-after", 504, "Gateway Timeout", True),
    ("redirect", 302, "", False),
    ("noid", 200, '{"error":0,"error_text":"Successful operation"}', True),
    ("slow-0.01", 200, '"profile_id"', True),
    ("fail-435", 200, '"error":435', False),
    ("fail-500-after", 200, '"error":500', True),
    ("fail-999", 200, '"error":999', False),
]
CUT = [
    ("drop-before", httpx.RemoteProtocolError, False),
    ("drop-after", httpx.RemoteProtocolError, True),
    ("drop", httpx.RemoteProtocolError, True),
    ("half-after", httpx.ReadError, True),
]


@pytest.fixture
def client(sandbox: Handle) -> Iterator[httpx.Client]:
    """A plain HTTP client that carries the token and never repeats by itself."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as opened:
        yield opened


def post(client: httpx.Client, email: str, request_id: str | None = None) -> httpx.Response:
    """Send the plainest good call."""
    headers = {"Request-ID": request_id} if request_id else {}
    return client.post(PATH, json={"workflow_id": 12, "matching": "email", "email": email}, headers=headers)


@pytest.mark.parametrize(("tag", "status", "part", "effect"), ANSWERED)
def test_an_address_can_ask_for_a_bad_answer(  # noqa: PLR0917 - one line of the table each
    sandbox: Handle, client: httpx.Client, tag: str, status: int, part: str, effect: bool
) -> None:
    """Every fault with an answer gives this answer, and takes effect or not as the table says."""
    email = f"ann+{tag}@example.com"
    answer = post(client, email)
    assert answer.status_code == status
    assert part in answer.text
    assert sandbox.engagement_counts() == ({email: 1} if effect else {})


@pytest.mark.parametrize(("tag", "error", "effect"), CUT)
def test_an_address_can_ask_for_a_cut_connection(
    sandbox: Handle, client: httpx.Client, tag: str, error: type[httpx.HTTPError], effect: bool
) -> None:
    """Every fault without a whole answer breaks the connection, before or after the effect."""
    email = f"ann+{tag}@example.com"
    with pytest.raises(error):
        post(client, email)
    assert sandbox.engagement_counts() == ({email: 1} if effect else {})


def test_half_an_answer_really_begins(sandbox: Handle, client: httpx.Client) -> None:
    """Before the reset come the headers of a success and half of its body."""
    request = client.build_request(
        "POST", PATH, json={"workflow_id": 12, "matching": "email", "email": "ann+half-after@example.com"}
    )
    response = client.send(request, stream=True)
    parts: list[bytes] = []
    with pytest.raises(httpx.ReadError):
        parts.extend(response.iter_raw())
    assert response.status_code == 200
    assert len(b"".join(parts)) == int(response.headers["Content-Length"]) // 2
    assert sandbox.stats()["by_fault"] == {"half-after": 1}


@pytest.mark.parametrize("tag", ["http-429", "http-503"])
def test_a_throttled_caller_is_told_how_long_to_wait(client: httpx.Client, tag: str) -> None:
    """429 and 503 carry Retry-After."""
    assert post(client, f"ann+{tag}@example.com").headers["Retry-After"] == "1"


@pytest.mark.parametrize("tag", ["drop-after-once", "half-after-once", "html-200-once", "empty-200-once"])
def test_a_repeat_after_a_lost_answer_is_replayed(sandbox: Handle, client: httpx.Client, tag: str) -> None:
    """When the answer was lost after the effect, the same Request-ID gets it again and engages nobody twice."""
    email = f"ann+{tag}@example.com"
    try:
        lost = post(client, email, "id-1")
        assert "profile_id" not in lost.text
    except httpx.TransportError:
        pass  # the connection was cut, as asked
    repeat = post(client, email, "id-1")
    assert repeat.json()["error"] == 0
    assert (repeat.headers["Duplicate-Request"], repeat.headers["Duplicate-Key"]) == ("true", "id-1")
    assert sandbox.engagement_counts() == {email: 1}


@pytest.mark.parametrize("tag", ["html-502-once", "http-429-once", "http-503-once", "redirect-once"])
def test_a_page_of_a_proxy_is_never_remembered(sandbox: Handle, client: httpx.Client, tag: str) -> None:
    """What kept a request from the platform is forgotten: the repeat is executed, not replayed."""
    email = f"ann+{tag}@example.com"
    assert post(client, email, "id-1").status_code != 200
    repeat = post(client, email, "id-1")
    assert repeat.json()["error"] == 0
    assert "Duplicate-Request" not in repeat.headers
    assert sandbox.engagement_counts() == {email: 1}


def test_a_fault_can_happen_a_number_of_times(client: httpx.Client) -> None:
    """-timesN counts by address."""
    statuses = [post(client, "ann+http-503-times3@example.com").status_code for _ in range(5)]
    assert statuses == [503, 503, 503, 200, 200]
    assert post(client, "bob+http-503-times3@example.com").status_code == 503


@pytest.mark.parametrize("local", ["ann", "ann+news", "ann+fail", "ann+fail-12", "ann+noid-before", "ann+http-999"])
def test_other_addresses_are_left_alone(client: httpx.Client, local: str) -> None:
    """What is not in the table of faults is an ordinary address."""
    answer = post(client, f"{local}@example.com").json()
    assert answer["error"] == 0
    assert answer["profile_id"]


def test_an_address_that_aims_is_not_drawn_for(sandbox: Handle, client: httpx.Client) -> None:
    """The random shares spare addresses that ask for something themselves."""
    sandbox.change(fail=["402:100"], faults=["http-429:100"])
    assert post(client, "ann+fail-435@example.com").json()["error"] == 435
    assert post(client, "ann@example.com").status_code == 429


def test_shares_hit_about_as_many_calls_as_they_say(sandbox: Handle, client: httpx.Client) -> None:
    """A tenth of errors and a tenth of throttles, seeded: about that many of 300 calls, and the rest takes effect."""
    sandbox.change(fail=["435:10"], faults=["http-429:10"], seed=7)
    for number in range(300):
        post(client, f"user{number}@example.com")
    stats = sandbox.stats()
    assert 15 <= stats["by_fault"]["http-429"] <= 50
    assert 15 <= stats["by_code"]["435"] <= 50
    assert stats["effects"] == 300 - stats["by_fault"]["http-429"] - stats["by_code"]["435"]


def test_the_rate_limit_throttles_without_effect(sandbox: Handle, client: httpx.Client) -> None:
    """Above the rate, calls get 429 with Retry-After and no effect."""
    sandbox.change(rate_limit=2)
    answers = [post(client, "ann@example.com") for _ in range(10)]
    throttled = [answer for answer in answers if answer.status_code == 429]
    assert throttled
    assert all(answer.headers["Retry-After"] == "1" for answer in throttled)
    assert sandbox.stats()["rate_limited"] == len(throttled)
    assert sandbox.stats()["effects"] == len(answers) - len(throttled)


def test_simultaneous_calls_are_seen_in_the_stats(sandbox: Handle, client: httpx.Client) -> None:
    """Four calls at once, two about one person: the highest counts say so."""
    sandbox.change(latency_s=0.2)
    emails = ["ann@example.com", "ANN@example.com", "bob@example.com", "cid@example.com"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda email: post(client, email), emails))
    assert [answer.json()["error"] for answer in answers] == [0, 0, 0, 0]
    stats = sandbox.stats()
    assert (stats["max_in_flight"], stats["max_in_flight_per_identity"], stats["in_flight"]) == (4, 2, 0)


def test_a_concurrent_repeat_waits_for_the_first(sandbox: Handle, client: httpx.Client) -> None:
    """Two requests with one id at the same time: one effect, the same answer twice, one of them marked."""
    sandbox.change(latency_s=0.2)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(client, "ann@example.com", "id-1"), range(2)))
    assert answers[0].content == answers[1].content
    assert sorted(answer.headers.get("Duplicate-Request", "") for answer in answers) == ["", "true"]
    assert sandbox.engagement_counts() == {"ann@example.com": 1}
    assert sandbox.stats()["replays"] == 1


def test_a_reset_forgets_everything_but_the_settings(sandbox: Handle, client: httpx.Client) -> None:
    """After a reset there are no data, counts or repeats, and -once faults happen again."""
    sandbox.change(http_status="mirror")
    post(client, "ann+http-503-once@example.com", "id-1")
    post(client, "bob@example.com", "id-2")
    sandbox.reset()
    assert sandbox.stats()["requests"] == 0
    assert sandbox.requests() == []
    assert "Duplicate-Request" not in post(client, "bob@example.com", "id-2").headers
    assert post(client, "ann+http-503-once@example.com", "id-1").status_code == 503
    assert post(client, "ann+fail-435@example.com").status_code == 435
