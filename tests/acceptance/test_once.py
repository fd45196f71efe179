"""Nobody twice: repeats in a file, files run again, rows that changed, and rows in doubt."""

from __future__ import annotations

import json

import pytest
from bench import Bench, counts, named, once_each, people, until

CHANGED = "Changed"


def with_changed_name(rows: list[dict[str, str]], at: int) -> list[dict[str, str]]:
    """The same export, in which one person is called something else."""
    return [{**row, "name": CHANGED} if place == at else row for place, row in enumerate(rows)]


# --- inside one file ---------------------------------------------------------------------------


def test_repeats_in_a_file_do_not_race_each_other(bench: Bench) -> None:
    """A row that says the same as one in flight is held back, although the ledger knows no answer yet."""
    bench.job()
    row = people(1)
    bench.csv(row * 60)
    bench.sandbox.change(latency_s=0.05)
    ended = bench.run("--concurrency", "32")
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 1, "skipped": {"repeat_in_run": 59}})
    assert bench.effects() == once_each(row)


def test_rows_about_one_person_go_in_file_order_and_never_at_once(bench: Bench) -> None:
    """Different messages for one person all go, one after the other, however many connections there are."""
    bench.job(request={"content": {"n": "{name}"}}, data={"_fname": "{name}"})
    rows = [{"email": "Ann@example.com" if n % 2 else "ann@example.com", "name": f"{n:03d}"} for n in range(40)]
    bench.csv([*rows, *people(40)])
    bench.sandbox.change(jitter_s=0.02)
    ended = bench.run("--concurrency", "32")
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 80})
    assert bench.sandbox.stats()["max_in_flight_per_identity"] == 1
    assert bench.sandbox.stats()["max_in_flight"] > 1
    seen = [one["content"]["n"] for one in bench.sandbox.engagements() if "ann" in one["key"].lower()]
    assert seen == [row["name"] for row in rows]


# --- from run to run ---------------------------------------------------------------------------


def test_a_changed_row_is_sent_again_and_only_that_one(bench: Bench) -> None:
    """`repeat = "unchanged"`: what we would send decides."""
    bench.job()
    rows = people(10)
    bench.csv(rows)
    bench.run()
    bench.csv(with_changed_name(rows, 4))
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (0, {"accepted": 1, "skipped": {"accepted": 9}})
    assert bench.effects() == once_each(rows) + once_each(rows[4:5])


def test_a_person_is_engaged_once_whatever_changes(bench: Bench) -> None:
    """`repeat = "identity"`: neither a changed row nor another spelling of the address counts."""
    bench.job(rules={"repeat": "identity"})
    rows = people(10)
    bench.csv([*rows, {"email": " P3@Example.com", "name": "Again"}])
    first = bench.run()
    assert counts(first.json) == {"accepted": 10, "skipped": {"repeat_in_run": 1}}
    bench.csv(with_changed_name(rows, 4))
    assert counts(bench.run().json) == {"skipped": {"accepted": 10}}
    assert bench.effects() == once_each(rows)


def test_each_new_file_is_sent_whole_and_the_same_file_is_not(bench: Bench) -> None:
    """`repeat = "file"`: the same content is one file wherever it lies; repeats inside it are rows of their own."""
    bench.job(rules={"repeat": "file"})
    rows = people(10)
    bench.csv([*rows, rows[0]])
    assert counts(bench.run().json) == {"accepted": 11}
    bench.csv([*rows, rows[0]], "renamed.csv")
    assert counts(bench.run("renamed.csv").json) == {"skipped": {"accepted": 11}}
    bench.csv([*rows, *people(1, start=10)], "tomorrow.csv")
    assert counts(bench.run("tomorrow.csv").json) == {"accepted": 11}


def test_accepted_rows_are_forgotten_after_repeat_after(bench: Bench) -> None:
    """`repeat_after` bounds the memory: afterwards a row is sent again, and before it is not."""
    rows = people(3)
    bench.csv(rows)
    bench.job(rules={"repeat_after": "30d"})
    bench.run()
    assert counts(bench.run().json) == {"skipped": {"accepted": 3}}
    bench.job(rules={"repeat_after": "1ms"})
    assert counts(bench.run().json) == {"accepted": 3}
    assert set(bench.effects().values()) == {2}


def test_another_job_has_a_memory_of_its_own(bench: Bench) -> None:
    """What one job has sent does not hold back another job's rows, although they share the ledger."""
    bench.job()
    bench.job("other.toml", name="other")
    bench.csv(people(3))
    bench.run()
    assert counts(bench.run(job="other.toml").json) == {"accepted": 3}


def test_limit_sends_the_first_rows_and_the_next_run_the_others(bench: Bench) -> None:
    """`--limit N` is a run over the first N rows and nothing more."""
    bench.job()
    rows = people(30)
    bench.csv(rows)
    assert counts(bench.run("--limit", "7").json) == {"accepted": 7}
    assert bench.effects() == once_each(rows[:7])
    assert counts(bench.run().json) == {"accepted": 23, "skipped": {"accepted": 7}}
    assert bench.effects() == once_each(rows)


# --- resume ------------------------------------------------------------------------------------


def test_a_killed_run_is_resumed_without_loss_and_little_of_it_was_claimed(bench: Bench) -> None:
    """Only what was about to leave is marked; a new run, not the dead one, sends the rest."""
    bench.job()
    rows = people(1_500)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.1)
    started = bench.start("run", "job.toml", "--concurrency", "8")
    until(lambda: bench.sandbox.stats()["effects"] >= 20, "some rows were sent")
    started.kill()
    bench.sandbox.change(latency_s=0)
    shown = bench.cli("run", "job.toml", "--limit", "1", "--output", "json")
    assert shown.json["skipped"] == {"accepted": 1}
    assert "died before it ended" in shown.err
    # 8 in flight and 8 that wait for a connection: not the rest of the chunk.
    died = json.loads(bench.cli("runs", "--output", "json").out)["runs"][-1]
    assert died["ending"] == "died"
    assert 0 < died["in_doubt"] <= 16
    ended = bench.run("--concurrency", "64")
    assert ended.code == 0
    assert set(ended.json["skipped"]) == {"accepted"}
    assert ended.json["accepted"] == 1_500 - died["accepted"]
    assert bench.effects() == once_each(rows)


# --- in doubt ----------------------------------------------------------------------------------


def test_a_row_in_doubt_goes_again_under_its_request_id(bench: Bench) -> None:
    """`in_doubt = "resend"`: the platform recognises the repeat, and the doubt is lifted without a second effect."""
    bench.job(limits={"attempts": 1})
    rows = [*named("a+drop-after-once"), *people(3)]
    bench.csv(rows)
    first = bench.run()
    assert (first.code, counts(first.json)) == (5, {"accepted": 3, "in_doubt": 1})
    second = bench.run()
    assert (second.code, counts(second.json)) == (0, {"accepted": 1, "skipped": {"accepted": 3}})
    assert second.json["replays"] == 1
    assert len(set(bench.request_ids()["a+drop-after-once@example.com"])) == 1
    assert bench.effects() == once_each(rows)


@pytest.mark.parametrize(
    ("rules", "target"), [({"in_doubt": "hold"}, {}), ({}, {"deduplicates": False})], ids=["hold", "no deduplication"]
)
def test_a_row_in_doubt_waits_for_a_person(bench: Bench, rules: dict[str, str], target: dict[str, object]) -> None:
    """With `hold`, or where repeats are not recognised, a doubtful row is tried once and then left alone."""
    bench.job(rules=rules, target=target)
    rows = [*named("a+drop-after", "b+drop-before"), *people(3)]
    bench.csv(rows)
    if target:
        bench.sandbox.change(dedupe_window_s=0)
    first = bench.run()
    assert (first.code, counts(first.json)) == (5, {"accepted": 3, "in_doubt": 2})
    assert first.json["requests"] == 5
    for command in (bench.run, bench.retry):
        again = command()
        assert again.code == 5
        assert again.json["skipped"]["in_doubt"] == 2
        assert again.json["requests"] == 0
    assert bench.effects() == once_each([rows[0], *rows[2:]])


def test_a_row_in_doubt_waits_when_its_request_id_is_too_old(bench: Bench) -> None:
    """Outside the platform's window a repeat would be a second message: the row waits, and says why."""
    bench.job(limits={"attempts": 1}, target={"dedupe_window": "1s"})
    bench.csv(named("a+drop-after-once"))
    assert bench.run().code == 5
    again = bench.run()
    assert (again.code, counts(again.json)) == (5, {"skipped": {"window": 1}})
    assert bench.sandbox.stats()["effects"] == 1
