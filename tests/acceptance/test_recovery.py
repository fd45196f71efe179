"""What goes wrong on the way: faults that pass, faults that stay, and every documented code."""

from __future__ import annotations

from collections import Counter

import pytest
from bench import Bench, counts, named, once_each, people, result_rows

PASSING = (
    "drop-before-once", "drop-after-once", "drop-after-times3", "half-after-once", "html-502-once",
    "html-502-after-once", "html-200-once", "empty-200-once", "empty-500-once", "http-503-once", "http-429-once",
    "html-504-after-times2",
)  # fmt: skip

STAYING = {
    "drop-before": 0, "drop-after": 1, "half-after": 1, "html-502": 0, "html-502-after": 1, "html-200": 1,
    "empty-200": 1, "empty-500": 0, "http-408": 0, "fail-500-before": 0, "fail-500-after": 1,
}  # fmt: skip
"""Faults that never end, and how often the row took effect all the same."""

CODES = {
    400: "rejected", 404: "rejected", 409: "rejected", 413: "rejected", 435: "rejected", 441: "rejected",
    450: "rejected", 440: "rejected", 499: "rejected", 500: "in_doubt", 429: "accepted",
}  # fmt: skip
"""What becomes of a row that is answered so (429: only once)."""


def test_faults_that_pass_leave_every_row_accepted_exactly_once(bench: Bench) -> None:
    """Resets, half answers, error pages and throttling are tried again under one Request-ID, with one effect."""
    bench.job()
    rows = [*named(*(f"a{n}+{fault}" for n, fault in enumerate(PASSING))), *people(20)]
    bench.csv(rows)
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (0, {"accepted": len(rows)}), ended.told()
    assert ended.json["requests"] > len(rows)
    assert bench.effects() == once_each(rows)
    assert all(len(set(ids)) == 1 for ids in bench.request_ids().values())


def test_faults_that_stay_leave_their_rows_in_doubt_and_listed(bench: Bench) -> None:
    """Without a trustworthy answer a row is neither accepted nor failed; the file says which rows, and why."""
    bench.job(limits={"attempts": 3})
    bad = named(*(f"a{n}+{fault}" for n, fault in enumerate(STAYING)))
    bench.csv([*bad, *people(10)])
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (5, {"accepted": 10, "in_doubt": len(bad)}), ended.told()
    listed = result_rows(ended.json, "in_doubt")
    assert {row["email"] for row in listed} == {row["email"] for row in bad}
    assert all(row["_outcome"] == "in_doubt" and row["_error_code"] and row["_error_text"] for row in listed)
    expected = once_each(people(10)) + Counter(
        {row["email"]: effects for row, effects in zip(bad, STAYING.values(), strict=True) if effects}
    )
    assert bench.effects() == expected


def test_a_rate_limit_slows_a_run_down_and_costs_no_row(bench: Bench) -> None:
    """429 with Retry-After holds everybody: no attempt is lost and nothing fails."""
    bench.job(limits={"attempts": 2})
    rows = people(60)
    bench.csv(rows)
    bench.sandbox.change(rate_limit=25)
    ended = bench.run("--concurrency", "32")
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 60})
    assert bench.sandbox.stats()["rate_limited"] > 0
    assert bench.effects() == once_each(rows)


def test_our_own_rate_keeps_below_the_platforms_limit(bench: Bench) -> None:
    """`--rate` bounds what leaves, so that a limit just above it is never met."""
    bench.job()
    bench.csv(people(50))
    bench.sandbox.change(rate_limit=60)
    ended = bench.run("--concurrency", "32", "--rate", "40/s")
    assert ended.code == 0
    assert bench.sandbox.stats()["rate_limited"] == 0
    assert ended.json["duration_s"] >= 0.9


@pytest.mark.parametrize("http_status", ["ok", "mirror"])
def test_every_documented_code_has_its_outcome(bench: Bench, http_status: str) -> None:
    """The codes of the table, and unlisted ones, end as documented, whatever the HTTP status says."""
    bench.job(limits={"attempts": 2})
    bench.sandbox.change(http_status=http_status)
    addressed = {f"a+fail-{code}{'-once' if code == 429 else ''}": code for code in CODES}
    bench.csv([*named(*addressed, "a+noid"), *people(5)])
    bench.sandbox.change(remember_errors=False)
    ended = bench.run()
    tally = Counter(CODES.values())
    expected = {"accepted": tally["accepted"] + 6, "rejected": tally["rejected"], "in_doubt": tally["in_doubt"]}
    assert (ended.code, counts(ended.json)) == (5, expected), ended.told()
    outcome = {f"{part}@example.com": CODES[code] for part, code in addressed.items()}
    listed = {row["email"]: row for kind in ("success", "error", "in_doubt") for row in result_rows(ended.json, kind)}
    assert {email: listed[email]["_outcome"] for email in outcome} == outcome
    rejected = {f"{part}@example.com": str(code) for part, code in addressed.items() if CODES[code] == "rejected"}
    assert {email: listed[email]["_error_code"] for email in rejected} == rejected
    for code in (440, 499):
        assert listed[f"a+fail-{code}@example.com"]["_error_text"].startswith("unlisted error")
    assert listed["a+noid@example.com"]["_profile_id"] == ""


def test_a_500_that_is_replayed_is_held_for_a_person(bench: Bench) -> None:
    """A stored 500 would be answered for ever: it is in doubt, not repeated in vain, and waits for a decision."""
    bench.job()
    bench.csv(named("a+fail-500-after"))
    first = bench.run()
    assert (first.code, counts(first.json)) == (5, {"in_doubt": 1})
    assert first.json["requests"] == 2
    again = bench.run()
    assert (again.code, counts(again.json)) == (5, {"skipped": {"in_doubt": 1}})
    assert bench.sandbox.stats()["effects"] == 1
