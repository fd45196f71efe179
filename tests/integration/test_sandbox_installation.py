"""The platform inside the sandbox: its memory of repeats, its dice, its settings. No sockets; time is a parameter."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.sandbox import Settings, parse_fail, parse_fault_share, parse_share
from batchrunner.sandbox.installation import Bucket, Delivery, Installation
from batchrunner.sandbox.observing import Incoming

DAY_S = 86_400

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text("a@.+ é", max_size=5) | st.sampled_from(["a@b.example", "json"])
)
FIELD_NAMES = st.sampled_from([
    *("workflow_id", "matching", "email", "phone", "profile_id", "field_name", "field_value", "provider", "format"),
    *("data", "content", "attach", "subscriptions", "channel", "resource_id", "email_data", "cc_data", "phones", "_ip"),
])  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4), max_leaves=8
)
MODES = st.sampled_from(["email", "phone_sub", "profile_id", "custom", "custom_sub", "push_sub", "email_phone"])


@dataclass
class Times:
    """A clock that is set by hand, and sleeps that last until they are let go."""

    now_s: float = 0
    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def clock(self) -> float:
        """The time that was set."""
        return self.now_s

    async def sleep(self, _: float) -> None:
        """Say that somebody sleeps, and wait to be woken."""
        self.asleep.set()
        await self.wake.wait()


async def everyone_is_waiting() -> None:
    """Let all tasks run until none can go on: a few turns of the loop, as nothing here waits for the outside."""
    for _ in range(10):
        await asyncio.sleep(0)


def arriving(email: str = "ann@example.com", **headers: str) -> Incoming:
    """A good call as it arrives. `Request_ID` becomes the header `Request-ID`."""
    body = json.dumps({"workflow_id": 12, "matching": "email", "email": email}).encode()
    fixed = {"Content-Type": "application/json", "Authorization": "Bearer sandbox-token"}
    return Incoming(
        "POST",
        "/api/v1.1/workflows/import_and_start",
        fixed | {name.replace("_", "-"): text for name, text in headers.items()},
        body,
    )


def is_replayed(delivery: Delivery) -> bool:
    """Whether the platform marked its answer as a repeat."""
    return ("Duplicate-Request", "true") in delivery.reply.headers


def answers(installation: Installation, *calls: Incoming) -> list[Delivery]:
    """The answers to calls, one after the other."""

    async def send_all() -> list[Delivery]:
        return [await installation.answer(call) for call in calls]

    return asyncio.run(send_all())


def test_a_repeat_is_recognised_until_its_window_ends() -> None:
    """The window counts from the first request; a repeat does not prolong it."""
    times = Times()
    installation = Installation(Settings(dedupe_window_s=DAY_S), times.clock)
    replayed: list[bool] = []
    for times.now_s in (0, DAY_S - 1, DAY_S):
        replayed += map(is_replayed, answers(installation, arriving(Request_ID="id-1")))
    assert replayed == [False, True, False]
    assert installation.store.engagements_by_key == {"ann@example.com": 2}


def test_another_id_is_another_request() -> None:
    """Equal data with another id is executed, as is a request without any."""
    installation = Installation(Settings())
    calls = [arriving(Request_ID="id-1"), arriving(Request_ID="id-2"), arriving(), arriving()]
    assert not any(map(is_replayed, answers(installation, *calls)))
    assert len(installation.store.engagements) == 4


def test_the_newer_header_is_looked_at_first() -> None:
    """Request-ID wins over X-Request-ID, and either alone is enough."""
    installation = Installation(Settings())
    calls = [
        arriving(Request_ID="new", X_Request_ID="old"),
        arriving(X_Request_ID="old"),
        arriving(X_Request_ID="new"),
    ]
    assert list(map(is_replayed, answers(installation, *calls))) == [False, False, True]


def test_a_window_of_zero_turns_recognition_off() -> None:
    """Without deduplication the same id engages twice: what a safe sender must survive."""
    installation = Installation(Settings(dedupe_window_s=0))
    answers(installation, arriving(Request_ID="id-1"), arriving(Request_ID="id-1"))
    assert len(installation.store.engagements) == 2
    assert len(installation.memory) == 0


def test_the_memory_is_bounded_by_time_and_number() -> None:
    """Old ids are dropped as new ones come, and never more than the capacity are kept."""
    times = Times()
    installation = Installation(Settings(dedupe_window_s=10, dedupe_capacity=3), times.clock)
    answers(installation, *(arriving(Request_ID=f"id-{number}") for number in range(6)))
    assert (installation.memory.forgotten, len(installation.memory)) == (3, 3)
    times.now_s = 10
    answers(installation, arriving(Request_ID="late"))
    assert len(installation.memory) == 1


def test_a_repeat_waits_for_the_first_that_is_still_running() -> None:
    """The second gets the first one's answer and nothing is executed twice, though both are here at once."""

    async def both() -> list[Delivery]:
        times = Times()
        installation = Installation(Settings(latency_s=1), times.clock, times.sleep)
        first = asyncio.create_task(installation.answer(arriving(Request_ID="id-1")))
        await times.asleep.wait()
        repeats = [asyncio.create_task(installation.answer(arriving(Request_ID="id-1"))) for _ in range(2)]
        await everyone_is_waiting()
        assert installation.stats.max_in_flight == 3
        times.wake.set()
        done = [await first, *[await repeat for repeat in repeats]]
        assert len(installation.store.engagements) == 1
        return done

    first, *repeats = asyncio.run(both())
    assert not is_replayed(first)
    assert all(map(is_replayed, repeats))
    assert {delivery.reply.body for delivery in repeats} == {first.reply.body}


def test_a_first_that_is_called_off_is_not_remembered() -> None:
    """When the first execution dies without an answer, its id is free again and nobody waits for ever."""

    async def call_off() -> int:
        times = Times()
        installation = Installation(Settings(latency_s=1), times.clock, times.sleep)
        first = asyncio.create_task(installation.answer(arriving(Request_ID="id-1")))
        await times.asleep.wait()
        repeat = asyncio.create_task(installation.answer(arriving(Request_ID="id-1")))
        await everyone_is_waiting()
        assert installation.stats.max_in_flight == 2
        first.cancel()
        results = await asyncio.gather(first, repeat, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        return len(installation.memory)

    assert asyncio.run(call_off()) == 0


@pytest.mark.parametrize(("remember", "replays"), [(True, [False, True]), (False, [False, False])])
def test_remembering_refusals_is_a_choice(remember: bool, replays: list[bool]) -> None:
    """A refusal is replayed, or decided anew, as the settings say."""
    installation = Installation(Settings(remember_errors=remember))
    calls = [arriving("ann+fail-435@example.com", Request_ID="id-1")] * 2
    assert list(map(is_replayed, answers(installation, *calls))) == replays


def test_refusals_at_the_door_are_never_remembered() -> None:
    """A wrong token is not a request of the platform: with the right one, the same id is executed."""
    installation = Installation(Settings())
    wrong = arriving(Request_ID="id-1", Authorization="Bearer other")
    refused, accepted = answers(installation, wrong, arriving(Request_ID="id-1"))
    assert (refused.reply.code, accepted.reply.code, is_replayed(accepted)) == (403, 0, False)


def test_an_id_that_is_reused_for_another_body_is_counted() -> None:
    """The platform replays by id alone; the sandbox counts it, since the sender has a bug."""
    installation = Installation(Settings())
    _, second = answers(installation, arriving("a@b.example", Request_ID="x"), arriving("c@d.example", Request_ID="x"))
    assert is_replayed(second)
    assert installation.stats.repeats_with_other_body == 1


def codes(settings: Settings, number: int) -> list[int | None]:
    """The API codes of that many calls about different people."""
    installation = Installation(settings)
    calls = (arriving(f"user{index}@example.com") for index in range(number))
    return [delivery.reply.code for delivery in answers(installation, *calls)]


def test_the_same_seed_draws_the_same_errors() -> None:
    """Random errors repeat exactly with the seed, and differ with another."""
    settings = Settings(fail=((435, 20.0), (404, 20.0)), seed=1)
    first = codes(settings, 300)
    assert first == codes(settings, 300)
    assert first != codes(settings.changed({"seed": 2}), 300)
    assert 30 <= first.count(435) <= 90
    assert 30 <= first.count(404) <= 90


def test_half_of_the_random_500s_come_after_the_effect() -> None:
    """A 500 does not say whether it took effect: some did, some did not."""
    installation = Installation(Settings(fail=((500, 100.0),)))
    delivered = answers(installation, *(arriving(f"user{index}@example.com") for index in range(300)))
    assert {delivery.reply.code for delivery in delivered} == {500}
    assert 100 <= len(installation.store.engagements) <= 200


def test_the_share_of_500s_after_the_effect_is_a_choice() -> None:
    """None of them, when the settings say so."""
    installation = Installation(Settings(fail=((500, 100.0),), fail_500_after_percent=0))
    answers(installation, *(arriving() for _ in range(50)))
    assert installation.store.engagements == []


def test_the_rate_limit_fills_up_with_time() -> None:
    """One second's worth may come at once; then one more for each interval."""
    times = Times()
    bucket = Bucket(times.clock)
    assert [bucket.admits(4) for _ in range(6)] == [True] * 4 + [False] * 2
    times.now_s = 0.25
    assert [bucket.admits(4) for _ in range(2)] == [True, False]
    times.now_s = 100
    assert [bucket.admits(4) for _ in range(6)] == [True] * 4 + [False] * 2


def test_shares_are_read_from_text() -> None:
    """NAME:PERCENT, with fractions, for codes and for faults."""
    assert parse_share("435:2") == ("435", 2.0)
    assert parse_fail("435:0.5") == (435, 0.5)
    assert parse_fault_share("drop-after:2") == ("drop-after", 2.0)


@pytest.mark.parametrize("text", ["", "435", ":2", "435:", "435:x", "435:101", "435:-1", "435:nan"])
def test_a_share_that_cannot_be_read_is_explained(text: str) -> None:
    """The sentence says what is expected."""
    with pytest.raises(ValueError, match="is not NAME:PERCENT with a percentage from 0 to 100, such as 435:2"):
        parse_share(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"http_status": "maybe"},
        {"latency_s": -1},
        {"latency_s": "1"},
        {"latency_s": None},
        {"rate_limit": True},
        {"remember_errors": "yes"},
        {"fail": "435:2"},
        {"fail": ["12:2"]},
        {"fail": ["435:60", "404:60"]},
        {"faults": ["explode:2"]},
        {"faults": [["drop-after", 200]]},
        {"workflow_ids": ["12"]},
        {"fail_500_after_percent": 101},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_change_nothing(changes: dict[str, Any]) -> None:
    """A wrong setting is refused with a sentence, and the old ones stay."""
    installation = Installation(Settings())
    with pytest.raises(ValueError, match=r"expected|more than 100 percent|cannot be|is not NAME:PERCENT"):
        installation.change(changes)
    assert installation.settings == Settings()


def test_settings_survive_the_way_through_json() -> None:
    """What is written as JSON is read back as the same settings."""
    settings = Settings(
        fail=((435, 2.0),), faults=(("slow-0.5", 1.5),), workflow_ids=frozenset({3, 1}), http_status="mirror"
    )
    assert Settings().changed(json.loads(json.dumps(settings.as_json()))) == settings


@given(st.dictionaries(FIELD_NAMES, VALUES, max_size=8), MODES)
def test_whatever_the_body_says_the_answer_is_a_documented_one(body: dict[str, Any], mode: str) -> None:
    """No body makes the platform fall over: it is accepted, or refused with a code of the documentation."""
    installation = Installation(Settings())
    raw = json.dumps({"workflow_id": 1, "matching": mode} | body).encode()
    plain = arriving()
    (delivery,) = answers(installation, Incoming(plain.method, plain.path, plain.headers, raw))
    assert delivery.reply.code in {0, 400, 404}
    assert len(installation.store.engagements) == (delivery.reply.code == 0)
