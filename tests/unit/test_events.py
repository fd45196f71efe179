"""What somebody is told of a run, and what nobody is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchrunner.cli.exits import Exit
from batchrunner.notify import Event, judge, message_of, trial
from batchrunner.notify.webhook import signature
from batchrunner.schedule import Ended, exit_of, processes, sentence_of

WELL = {"read": 100, "accepted": 100}
SOME = {"read": 100, "accepted": 97, "rejected": 3}
MANY = {"read": 100, "accepted": 40, "rejected": 50, "unusable": 10}


@pytest.mark.parametrize(
    ("told", "code", "before", "event"),
    [
        (WELL, 0, None, Event.SUCCESS),
        (WELL, 0, Event.SUCCESS, Event.SUCCESS),
        (WELL, 0, Event.FAILURE, Event.RECOVERY),
        (WELL, 0, Event.MISSING_FILE, Event.RECOVERY),
        (SOME, 1, None, Event.SUCCESS),
        (SOME, 1, Event.DEGRADED, Event.RECOVERY),
        (MANY, 1, None, Event.DEGRADED),
        ({"read": 100, "accepted": 90, "in_doubt": 10}, 5, None, Event.DEGRADED),
        ({**WELL, "error": "stopped"}, 3, None, Event.FAILURE),
        ({"error": "the API refused us"}, 4, Event.FAILURE, Event.FAILURE),
        ({"error": "job.toml: unknown key"}, 2, None, Event.FAILURE),
        ({}, 4, None, Event.FAILURE),
        ({"error": "no file", "reason": "missing_file"}, 4, None, Event.MISSING_FILE),
        ({"error": "growing", "reason": "unfinished_file"}, 4, None, Event.MISSING_FILE),
        ({"error": "small", "reason": "shrunk_file"}, 4, None, Event.FAILURE),
        ({"message": "loaded", "reason": "already_loaded"}, 0, Event.FAILURE, None),
        ({"error": "paused", "reason": "paused"}, 6, None, None),
        ({**WELL, "error": "07:00", "reason": "outside_hours"}, 6, None, None),
        ({"error": "running"}, 75, None, None),
        ({**WELL, "error": "stopped by signal 15"}, 143, None, None),
    ],
)
def test_the_event_of_a_run(told: dict[str, Any], code: int, before: Event | None, event: Event | None) -> None:
    """By its exit code, the reason of a night, the share of bad rows, and what came before."""
    assert judge(told, code, degraded_at=5.0, before=before) is event


def test_a_run_that_took_too_long_is_a_failure() -> None:
    """Although it stopped as one that somebody stops."""
    assert judge(WELL, 6, degraded_at=5.0, before=None, out_of_time=True) is Event.FAILURE


def test_a_message_has_the_numbers_three_reasons_and_what_to_do() -> None:
    """The commonest first, the rest left to the result files, commands ready to be pasted."""
    codes = {"rejected:435": 7, "unusable:bad_date": 9, "failed:throttled": 1, "rejected:400": 8}
    told = {"run": "20261123-020000-abcdef", **MANY, "skipped": {"accepted": 5}, "codes": codes, "next": ["retry it"]}
    message = message_of(
        Event.DEGRADED, told, job="crm", at="2026-11-23T02:10:00Z", host="box", exit_code=1,
        slot="2026-11-23T02:00:00Z", sentence=None, again="run it",
    )  # fmt: skip
    assert message.reasons == [("unusable:bad_date", 9), ("rejected:400", 8), ("rejected:435", 7)]
    assert message.title == "crm: 60% of the rows ended badly"
    for part in (
        "accepted          40",
        "skipped            5",
        "unusable:bad_date (9)",
        "  retry it",
        "20261123-020000",
    ):
        assert part in message.text
    assert "throttled" not in message.text
    values = json.loads(json.dumps(message.values))
    assert values["rows"]["rejected"] == 50
    assert values["next"] == ["retry it"]
    assert values["event"] == "degraded"


def test_a_failure_before_the_run_began_says_how_to_run_again() -> None:
    """Nothing was counted, so there are no numbers; the sentence is there, and a command."""
    message = message_of(
        Event.FAILURE, {"error": "no token"}, job="crm", at="2026-11-23T02:10:00Z", host="box", exit_code=2,
        slot=None, sentence="no token", again="batchrunner run job.toml",
    )  # fmt: skip
    assert message.text.startswith("no token\n")
    assert "batchrunner run job.toml" in message.text
    assert message.values["rows"] is None


def test_a_trial_says_that_it_is_one() -> None:
    """Nobody is to be woken by it."""
    assert trial(job="crm", at="2026-11-23T02:10:00Z", host="box").title == "crm: a test"


def test_the_signature_is_what_the_page_says() -> None:
    """HMAC-SHA256 in hexadecimal over timestamp, dot, body: pinned, for others verify it."""
    expected = "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
    assert signature("secret", "1700000000", b'{"a":1}') == expected
    assert signature("secret", "1700000000", b"{}") != signature("secret", "1700000001", b"{}")


def test_exit_codes_are_those_of_the_table() -> None:
    """The schedule's own words for them."""
    assert (processes.STOPPED, processes.HELD_BACK) == (Exit.STOPPED, Exit.HELD_BACK)


@pytest.mark.parametrize(
    ("ended", "code", "says"),
    [
        (Ended(1, {"read": 3, "accepted": 2, "rejected": 1}), 1, None),
        (Ended(1, {}), 4, "the run broke off"),
        (Ended(137, {}), 4, "the run was killed (signal 9)"),
        (Ended(143, {"error": "stopped by SIGTERM"}), 143, "stopped by SIGTERM"),
        (Ended(143, {}, out_of_time=True), 6, "stopped, for it took longer"),
        (Ended(137, {}, out_of_time=True), 4, "the run was killed (signal 9)"),
    ],
)
def test_a_run_that_says_nothing_of_itself_did_not_go_through(ended: Ended, code: int, says: str | None) -> None:
    """Python ends a program that met a bug with 1, which of a run that has told of itself means something else."""
    assert exit_of(ended) == code
    assert (sentence_of(ended) or "").startswith(says or "")
    event = judge(ended.told, exit_of(ended), degraded_at=50, before=None, out_of_time=ended.out_of_time)
    assert event == {1: Event.SUCCESS, 4: Event.FAILURE, 6: Event.FAILURE, 143: None}[code]
