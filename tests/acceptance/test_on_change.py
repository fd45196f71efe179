"""Rows that have changed since their person was engaged: engaged again, imported only, or left out, as the job says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, counts, once_each, people

UPDATE = {"target": {"db_id": 3}, "rules": {"on_change": "update"}}
SKIP = {"rules": {"on_change": "skip"}}
SPLIT_UPDATE = {"target": {"db_id": 3, "mode": "split"}, "rules": {"on_change": "update"}}


def changed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same people, of whom something else is told."""
    return [{**row, "name": f"{row['name']} since"} for row in rows]


def engaged(bench: Bench) -> Counter[str]:
    """How often each address was engaged, whatever the request called the person."""
    addresses = {one["id"]: one["data"].get("email") for one in bench.sandbox.profiles(limit=10_000)}
    return Counter(addresses[one["profile_id"]] for one in bench.sandbox.engagements())


def names(bench: Bench) -> set[str]:
    """What the platform knows."""
    return {one["data"]["_fname"] for one in bench.sandbox.profiles()}


def paths(bench: Bench) -> Counter[str]:
    """How often each call was made."""
    return Counter(one["path"].removeprefix("/api/v1.1/") for one in bench.sandbox.requests(limit=1_000))


def test_without_a_word_a_changed_row_is_engaged_again(bench: Bench) -> None:
    """As it always was."""
    bench.job()
    bench.csv(people(3))
    bench.run()
    bench.csv(changed(people(3)))
    assert counts(bench.run().json) == {"accepted": 3}
    assert set(engaged(bench).values()) == {2}


@pytest.mark.parametrize("job", [UPDATE, SPLIT_UPDATE], ids=["single", "split"])
def test_a_changed_row_is_imported_and_nobody_is_engaged(bench: Bench, job: dict[str, Any]) -> None:
    """The profile is as the file says, the summary counts it, and the next run has nothing to do."""
    bench.job(**job)
    bench.csv(people(4))
    assert "updated" not in bench.run().json
    bench.csv([*changed(people(4)), *people(2, start=10)])
    rehearsed = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (rehearsed["new"], rehearsed["changed"], rehearsed["updated"]) == (2, 4, 4)
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 6}, 4)
    assert engaged(bench) == once_each([*people(4), *people(2, start=10)])
    assert names(bench) == {f"Name {n} since" for n in range(4)} | {"Name 10", "Name 11"}
    assert counts(bench.run().json) == {"skipped": {"accepted": 6}}
    exported = bench.cli("ledger", "export", "--format", "jsonl").out.splitlines()
    assert Counter(json.loads(line)["code"] for line in exported)["updated"] == 4
    assert "4 of them updated" in bench.cli("show", ended["run"]).out


def test_a_changed_row_is_left_out(bench: Bench) -> None:
    """By way of any call that engages: here singly, and in batches."""
    bench.job(**SKIP)
    bench.csv(people(3))
    bench.run()
    bench.csv([*changed(people(3)), *people(1, start=10)])
    rehearsed = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (rehearsed["new"], rehearsed["skipped"]) == (1, {"changed": 3})
    assert counts(bench.run().json) == {"accepted": 1, "skipped": {"changed": 3}}
    bench.job(target={"endpoint": "workflows/import_and_start_batch"}, **SKIP)
    bench.csv([*changed(changed(people(3))), *people(2, start=20)])
    assert counts(bench.run().json) == {"accepted": 2, "skipped": {"changed": 3}}
    assert set(engaged(bench).values()) == {1}


def test_of_two_rows_about_one_person_the_first_engages(bench: Bench) -> None:
    """In one file, and whatever is in flight: the second one only updates."""
    bench.job(**UPDATE)
    rows = [row for pair in zip(people(20), changed(people(20)), strict=True) for row in pair]
    bench.csv(rows)
    rehearsed = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (rehearsed["new"], rehearsed["updated"]) == (20, 20)
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 40}, 20)
    assert engaged(bench) == once_each(people(20))
    assert names(bench) == {f"Name {n} since" for n in range(20)}


def test_a_row_waits_while_its_person_is_in_doubt(bench: Bench) -> None:
    """To engage might be once too often: it is sent when the doubt is lifted."""
    bench.job(limits={"attempts": 1}, **UPDATE)
    bench.csv(people(2))
    bench.sandbox.change(faults=["drop-after:100"])
    assert counts(bench.run().json) == {"in_doubt": 2}
    bench.sandbox.change(faults=[])
    bench.csv(changed(people(2)))
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 2}}
    first = bench.cli("runs", "--output", "json").json["runs"][-1]["run"]
    bench.cli("resolve", "job.toml", "--run", first, "--as", "accepted")
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 2}, 2)
    assert engaged(bench) == once_each(people(2))


def test_the_first_of_two_rows_is_in_doubt_and_the_second_waits(bench: Bench) -> None:
    """Though both are new to the ledger when the file is read."""
    bench.job(limits={"attempts": 1}, **UPDATE)
    bench.csv([people(1)[0], changed(people(1))[0]])
    bench.sandbox.change(faults=["drop-after:100"])
    assert counts(bench.run().json) == {"in_doubt": 1, "skipped": {"in_doubt": 1}}
    bench.sandbox.change(faults=[])
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 2}, 1)
    assert engaged(bench) == once_each(people(1))


def test_an_update_in_doubt_is_made_again_and_stays_one(bench: Bench) -> None:
    """Also where the platform recognises no repeats, and also by `retry`; nobody is engaged by it."""
    bench.job(limits={"attempts": 1}, target={"db_id": 3, "deduplicates": False}, rules={"on_change": "update"})
    bench.csv(people(3))
    bench.run()
    bench.csv(changed(people(3)))
    bench.sandbox.change(faults=["drop-after:100"], dedupe_window_s=0)
    assert counts(bench.run().json) == {"in_doubt": 3}
    assert counts(bench.retry().json) == {"in_doubt": 3}
    bench.sandbox.change(faults=[])
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 3}, 3)
    assert engaged(bench) == once_each(people(3))


def test_an_update_that_failed_or_was_refused_stays_one(bench: Bench) -> None:
    """`retry` asks the ledger about the person, too."""
    bench.job(**UPDATE)
    bench.csv(people(3))
    bench.run()
    bench.csv(changed(people(3)))
    bench.sandbox.change(fail=["435:100"])
    assert counts(bench.run().json) == {"rejected": 3}
    bench.sandbox.change(fail=[])
    ended = bench.retry().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 3}, 3)
    assert engaged(bench) == once_each(people(3))


def test_a_person_whose_first_row_was_refused_is_engaged_by_the_next(bench: Bench) -> None:
    """Nothing was accepted for anybody yet: there is nothing to update."""
    bench.job(**UPDATE)
    bench.csv(people(2))
    bench.sandbox.change(fail=["435:100"])
    bench.run()
    bench.sandbox.change(fail=[])
    bench.csv(changed(people(2)))
    ended = bench.run().json
    assert (counts(ended), "updated" in ended) == ({"accepted": 2}, False)
    assert engaged(bench) == once_each(people(2))


def test_an_update_counts_as_no_engagement(bench: Bench) -> None:
    """A job that goes back to `engage` engages by the next change, and by none that was an update."""
    bench.job(**UPDATE)
    bench.csv(people(1))
    bench.run()
    bench.csv(changed(people(1)))
    bench.run()
    bench.job()
    assert counts(bench.run().json) == {"skipped": {"accepted": 1}}
    bench.csv(changed(changed(people(1))))
    assert counts(bench.run().json) == {"accepted": 1}
    assert paths(bench) == {"workflows/import_and_start": 2, "profiles/import": 1}


def test_a_job_may_go_over_to_updates_without_a_word(bench: Bench) -> None:
    """What is asked for each row has not changed."""
    bench.job()
    bench.csv(people(2))
    bench.run()
    path: Path = bench.job(**UPDATE)
    assert "nobody is engaged by it" in (told := bench.cli("check", path)).out + told.err
    bench.csv(changed(people(2)))
    ended = bench.run().json
    assert (counts(ended), ended["updated"]) == ({"accepted": 2}, 2)
