"""Renderings: the same facts as text for people and as values for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from ledgers import NOW_MS, a_source

from batchrunner.ledger import EntryRecord, RunRecord
from batchrunner.model import LimitRecord, RunId, SkipReason, State, Totals
from batchrunner.pipeline import Rehearsal
from batchrunner.report import (
    Summary,
    entry_values,
    outcome_lines,
    rehearsal_text,
    rehearsal_values,
    run_text,
    run_values,
    runs_text,
    status_text,
    summary_text,
    summary_values,
)

TOTALS = Totals(
    read=20,
    accepted=7,
    rejected=4,
    failed=1,
    in_doubt=2,
    unusable=3,
    skipped={"accepted": 2, "window": 1},
    codes={"rejected:304": 1, "rejected:509": 3, "failed:connect": 1, "in_doubt:reset": 2, "unusable:missing": 3},
    requests=15,
    replays=1,
)
SUMMARY = Summary(
    run="20250615-aa11",
    job="crm",
    sources=("/exports/a.csv", "/exports/b.csv"),
    totals=TOTALS,
    duration_s=2.0004,
    run_dir="/runs/1",
    ledger="/state/ledger.db",
    exit_code=5,
    next_commands=("batchrunner retry job.toml", "batchrunner resolve job.toml"),
)
RUN = RunRecord(
    id=RunId(3),
    name="20250615-aa11",
    job="crm",
    verb="run",
    started_ms=NOW_MS,
    ended_ms=NOW_MS + 61_000,
    ending="finished",
    exit_code=5,
    totals=TOTALS,
    run_dir="/runs/1",
    sources=(a_source("a.csv"),),
)
ENTRY = EntryRecord(1, 7, 8, State.IN_DOUBT, "reset", None, 3, NOW_MS, taken_over=False)


def test_the_summary_for_programs_tells_everything() -> None:
    """As plain values, and one number for each outcome."""
    values = summary_values(SUMMARY)

    assert json.loads(json.dumps(values)) == {
        "run": "20250615-aa11",
        "job": "crm",
        "source": "/exports/a.csv",
        "sources": ["/exports/a.csv", "/exports/b.csv"],
        "read": 20,
        "accepted": 7,
        "rejected": 4,
        "failed": 1,
        "in_doubt": 2,
        "unusable": 3,
        "skipped": {"accepted": 2, "window": 1},
        "codes": dict(TOTALS.codes),
        "requests": 15,
        "replays": 1,
        "balanced": True,
        "duration_s": 2.0,
        "run_dir": "/runs/1",
        "ledger": "/state/ledger.db",
        "exit_code": 5,
        "error": None,
        "next": ["batchrunner retry job.toml", "batchrunner resolve job.toml"],
    }
    assert summary_values(replace(SUMMARY, sources=()))["source"] is None
    assert not summary_values(replace(SUMMARY, totals=Totals(read=1)))["balanced"]


def test_the_summary_for_people_tells_what_happened_and_what_to_do() -> None:
    """In the order: what, why, where, next."""
    lines = summary_text(replace(SUMMARY, error="the token is not known")).splitlines()

    assert lines[0] == "run 20250615-aa11 of crm: 20 rows in 2.0 s (10 rows/s, 15 requests)"
    assert [line.split()[0] for line in lines[1:8]] == [
        "accepted",
        "rejected",
        "failed",
        "in",
        "unusable",
        "skipped",
        "replays",
    ]
    assert lines[-4:] == [
        "  the token is not known",
        "  result files  /runs/1",
        "  next          batchrunner retry job.toml",
        "  next          batchrunner resolve job.toml",
    ]


def test_a_limit_that_was_found_out_is_told() -> None:
    """How far it went, and why it went back; a fixed one is known to who wrote it."""
    record = LimitRecord(4, 96, 48, {"latency": 2, "throttled": 1})
    auto = replace(SUMMARY, concurrency=record)

    assert summary_values(auto)["concurrency"] == {
        "lowest": 4,
        "highest": 96,
        "final": 48,
        "backed_off": {"latency": 2, "throttled": 1, "failed": 0},
    }
    line = "  concurrency   from 4 to 96, at the end 48; backed off for rising latency (2), 429 (1)"
    assert line in summary_text(auto).splitlines()
    assert "never backed off" in summary_text(replace(SUMMARY, concurrency=LimitRecord(4, 8, 8)))
    assert "concurrency" not in summary_text(SUMMARY)


def test_a_run_that_took_no_time_has_no_rate() -> None:
    """And no division by zero."""
    assert "(0 rows/s" in summary_text(replace(SUMMARY, duration_s=0))


def test_outcomes_are_told_with_their_codes_the_commonest_first() -> None:
    """Each outcome with its own codes only; reasons in words."""
    lines = {line[2:11].strip(): line[11:].split(maxsplit=1) for line in outcome_lines(TOTALS)}

    assert lines["accepted"] == ["7"]
    assert lines["rejected"] == ["4", "509 (3), 304 (1)"]
    assert lines["failed"] == ["1", "connect (1)"]
    assert lines["in doubt"] == ["2", "reset (2)"]
    assert lines["unusable"] == ["3", "missing (3)"]
    assert lines["skipped"][0] == "3"
    assert lines["skipped"][1].startswith("2 accepted before")
    assert "1 in doubt for too long to send again safely" in lines["skipped"][1]


def test_what_did_not_occur_is_not_told_but_for_the_accepted() -> None:
    """A run without any is told by a zero."""
    assert outcome_lines(Totals()) == ["  accepted         0"]


@pytest.mark.parametrize("reason", SkipReason)
def test_every_reason_has_words(reason: SkipReason) -> None:
    """A new one must be given some."""
    [_, line] = outcome_lines(Totals(skipped={reason.value: 2}))
    assert reason.value != line.split("   ")[-1]
    assert len(line.split("   ")[-1]) > 10


def test_many_codes_take_several_lines() -> None:
    """Below each other, and none is lost."""
    codes = {f"rejected:code-{number}": 1 for number in range(30)}
    [_, text] = outcome_lines(Totals(rejected=30, codes=codes))
    lines = text.splitlines()

    assert len(lines) > 1
    assert max(map(len, lines)) <= 100
    assert all(line.startswith(" " * 23) for line in lines[1:])
    assert sum(line.count("code-") for line in lines) == 30


# --- rehearsals --------------------------------------------------------------------------------

REHEARSAL = Rehearsal(
    read=12,
    new=3,
    changed=2,
    again=1,
    skipped=Counter({"accepted": 2, "repeat_in_run": 1}),
    unusable=Counter({"bad_email": 1, "missing": 2}),
)


def test_a_rehearsal_is_told_for_programs() -> None:
    """Repeats inside the file are told apart, too."""
    assert rehearsal_values("crm", ["/a.csv"], REHEARSAL) == {
        "dry_run": True,
        "job": "crm",
        "source": "/a.csv",
        "sources": ["/a.csv"],
        "read": 12,
        "would_send": 6,
        "new": 3,
        "changed": 2,
        "again": 1,
        "repeated": 1,
        "skipped": {"accepted": 2, "repeat_in_run": 1},
        "unusable": 3,
        "codes": {"unusable:bad_email": 1, "unusable:missing": 2},
    }
    empty = rehearsal_values("crm", [], Rehearsal())
    assert (empty["source"], empty["repeated"], empty["skipped"]) == (None, 0, {})


def test_a_rehearsal_is_told_for_people() -> None:
    """That nothing was sent, first of all."""
    lines = rehearsal_text("crm", REHEARSAL).splitlines()

    assert lines[0] == "dry run of crm: 12 rows read, nothing sent, nothing written"
    assert lines[1].split() == ["would", "send", "6", "3", "new,", "2", "changed,", "1", "again"]
    assert lines[2].split()[:3] == ["would", "skip", "3"]
    assert lines[3].split() == ["unusable", "3", "missing", "(2),", "bad_email", "(1)"]


# --- the ledger --------------------------------------------------------------------------------


def test_a_run_is_told_for_programs() -> None:
    """With times that everybody reads; a run that goes on has no end."""
    values = run_values(RUN)

    assert json.loads(json.dumps(values)) == values
    assert (values["started"], values["ended"]) == ("2025-06-15T15:06:40Z", "2025-06-15T15:07:41Z")
    assert (values["ending"], values["exit_code"], values["read"], values["balanced"]) == ("finished", 5, 20, True)
    assert values["sources"] == [{"path": "/exports/a.csv", "fingerprint": a_source("a.csv").fingerprint,
                                  "size_bytes": 1000}]  # fmt: skip
    going_on = run_values(replace(RUN, ended_ms=None, ending=None, exit_code=None))
    assert (going_on["ended"], going_on["ending"], going_on["exit_code"]) == (None, "running", None)


def test_runs_are_a_table() -> None:
    """Columns stand below each other; errors are all that ended badly but for the doubts."""
    died = replace(RUN, name="20250616-b", ending="died", exit_code=None)
    head, first, second = runs_text([RUN, died]).splitlines()

    at = head.index("exit")
    assert first[at:].split() == ["5", "20", "7", "8", "2", "3"]
    assert first[head.index("ending") :].startswith("finished")
    assert second[head.index("ending") :].startswith("died")
    assert second[at:].split() == ["20", "7", "8", "2", "3"]


def test_a_run_is_told_for_people() -> None:
    """With the first of its bad rows, and how to see more."""
    entries = [ENTRY, replace(ENTRY, row_number=9, state=State.RESEND, taken_over=True, code=None)]
    lines = run_text(RUN, entries, limit=2).splitlines()

    assert lines[0] == "run 20250615-aa11 of crm (run): finished, exit code 5"
    assert lines[1] == "  started 2025-06-15T15:06:40Z, ended 2025-06-15T15:07:41Z"
    assert f"  source 1: /exports/a.csv ({a_source('a.csv').fingerprint})" in lines
    assert [line.split() for line in lines[-4:]] == [
        ["source", "row", "line", "now", "code", "attempts"],
        ["1", "7", "8", "in", "doubt", "reset", "3"],
        ["1", "9", "8", "taken", "over", "3"],
        ["(the", "first", "2;", "more", "with", "--limit)"],
    ]
    assert "more with" not in run_text(RUN, entries, limit=3)


def test_a_run_without_an_exit_code_does_not_tell_one() -> None:
    """It died, or goes on."""
    assert run_text(replace(RUN, ending="died", exit_code=None), [], 9).splitlines()[0] == (
        "run 20250615-aa11 of crm (run): died"
    )
    going_on = run_text(replace(RUN, ending=None, exit_code=None, ended_ms=None), [], 9).splitlines()
    assert going_on[0].endswith("(run): running")
    assert going_on[1].endswith("ended -")


def test_an_entry_is_told_for_programs() -> None:
    """As it stands now."""
    assert entry_values(ENTRY) == {
        "source": 1,
        "row": 7,
        "line": 8,
        "state": "in_doubt",
        "code": "reset",
        "profile_id": None,
        "attempts": 3,
        "requested": "2025-06-15T15:06:40Z",
    }
    assert entry_values(replace(ENTRY, taken_over=True))["state"] == "taken_over"


def test_the_status_of_a_job_tells_its_last_run_and_what_waits() -> None:
    """Or that nothing does."""
    waiting = {(State.IN_DOUBT, "reset"): 2, (State.REJECTED, "304"): 40, (State.RESEND, ""): 1}
    lines = status_text("crm", RUN, waiting, running=True).splitlines()

    assert lines[0] == "crm: running now"
    assert lines[1] == (
        "  last run 20250615-aa11 (finished): 20 read, 7 accepted, 4 rejected, 1 failed, 2 in doubt, 3 unusable, "
        "3 skipped"
    )
    assert [line.split() for line in lines[2:]] == [
        ["waiting", "40", "rejected", "(304)"],
        ["waiting", "2", "in", "doubt", "(reset)"],
        ["waiting", "1", "resend"],
    ]
    assert status_text("crm", None, {}, running=False).splitlines() == ["crm: idle", "  nothing is waiting"]
