"""Rows in two steps: import first, engage then. Whatever happens between them, nobody gets a message twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, counts, named, once_each, people, result_rows

SPLIT = {"mode": "split", "db_id": 3}
IMPORT, START = "/api/v1.1/profiles/import", "/api/v1.1/workflows/start"


def split_job(bench: Bench, *, target: dict[str, Any] | None = None, **tables: Any) -> Path:
    """The job of the bench, in two steps."""
    return bench.job(target={**SPLIT, **(target or {})}, **tables)


def engaged(bench: Bench) -> Counter[str]:
    """How often each address was engaged, whatever the request called the person."""
    addresses = {one["id"]: one["data"].get("email") for one in bench.sandbox.profiles(limit=10_000)}
    return Counter(addresses[one["profile_id"]] for one in bench.sandbox.engagements())


def bodies(bench: Bench, path: str) -> list[dict[str, Any]]:
    """What was asked of a call, in order."""
    return [json.loads(one["body"]) for one in bench.sandbox.requests(limit=1_000) if one["path"] == path]


def request_ids(bench: Bench, path: str) -> list[str]:
    """Of the requests of a call, in order."""
    asked = [one["headers"] for one in bench.sandbox.requests(limit=1_000) if one["path"] == path]
    return [value for headers in asked for name, value in headers.items() if name.lower() == "request-id"]


def remembered(bench: Bench) -> list[tuple[Any, ...]]:
    """What the ledger knows of each row at last, without what differs from run to run."""
    query = "SELECT row_number, hex(key), state, code, hex(profile_id) FROM entries WHERE superseded_by IS NULL"
    with closing(sqlite3.connect(bench.ledger)) as database:
        assert database.execute("SELECT count(*) FROM steps").fetchone() == (0,)
        return sorted(database.execute(query).fetchall())


@pytest.mark.parametrize("form", ["json", "xml"])
def test_the_ledger_is_that_of_the_same_job_in_one_step(bench: Bench, form: str) -> None:
    """The same keys, outcomes, codes and profile ids; two requests a row that is engaged."""
    rows = [*people(12), *named("x+fail-435", "y+fail-409"), {"email": "", "name": "nobody"}]
    bench.csv(rows)
    content = {"content": {"hello": "{name}"}}
    bench.job(target={"format": form}, limits={"concurrency": 1}, request=content)
    single = bench.run().json
    known = remembered(bench)
    shutil.rmtree(bench.state)
    bench.sandbox.reset()
    split_job(bench, target={"format": form}, limits={"concurrency": 1}, request=content)
    split = bench.run().json
    assert counts(split) == counts(single) == {"accepted": 12, "rejected": 2, "unusable": 1}
    assert (single["requests"], split["requests"]) == (14, 26)
    assert remembered(bench) == known
    assert engaged(bench) == once_each(people(12))


def test_each_part_of_a_request_goes_where_it_belongs(bench: Bench) -> None:
    """The profile with the import, the message with the start, and each step has a Request-ID of its own."""
    bench.csv(people(1))
    split_job(bench, request={"content": {"hello": "{name}"}, "skip_triggers": True})
    assert counts(bench.run().json) == {"accepted": 1}
    (profile,) = bench.sandbox.profiles()
    assert bodies(bench, IMPORT) == [
        {
            "data": {"_fname": "Name 0", "email": "p0@example.com"},
            "db_id": 3, "email": "p0@example.com", "matching": "email", "skip_triggers": True,
        }
    ]  # fmt: skip
    assert bodies(bench, START) == [
        {"content": {"hello": "Name 0"}, "id": 12, "matching": "profile_id", "profile_id": profile["id"]}
    ]
    assert len({*request_ids(bench, IMPORT), *request_ids(bench, START)}) == 2


def test_a_job_that_changes_its_way_engages_nobody_again(bench: Bench) -> None:
    """In either direction, and without a word: what is asked has not changed."""
    bench.csv(people(5))
    split_job(bench)
    assert counts(bench.run().json) == {"accepted": 5}
    bench.job()
    bench.csv(people(8))
    assert counts(bench.run().json) == {"accepted": 3, "skipped": {"accepted": 5}}
    split_job(bench)
    assert counts(bench.run().json) == {"skipped": {"accepted": 8}}
    assert engaged(bench) == once_each(people(8))


def test_a_row_that_is_refused_at_its_second_step_goes_again_from_the_first(bench: Bench) -> None:
    """It was imported and not engaged; `retry` does both."""
    bench.csv(people(4))
    split_job(bench)
    bench.sandbox.change(fail=["435:100"], only="workflows/start", remember_errors=False)
    assert counts(bench.run().json) == {"rejected": 4}
    (row, *_) = result_rows(bench.cli("show", "last", "--output", "json").json, "error")
    assert row["_error_text"].startswith("workflows/start: ")
    bench.sandbox.change(fail=[])
    assert counts(bench.retry().json) == {"accepted": 4}
    assert (len(bodies(bench, IMPORT)), len(bodies(bench, START))) == (8, 8)
    assert engaged(bench) == once_each(people(4))
    assert len(remembered(bench)) == 4


def test_an_import_without_a_profile_id_fails_its_row(bench: Bench) -> None:
    """Whom to engage is not guessed, and the next run tries again."""
    bench.csv(people(3))
    split_job(bench)
    bench.sandbox.change(faults=["noid:100"], only="profiles/import")
    ended = bench.run().json
    assert ended["codes"] == {"failed:no_profile_id": 3}
    bench.sandbox.change(faults=[])
    assert counts(bench.run().json) == {"accepted": 3}
    assert engaged(bench) == once_each(people(3))


@pytest.mark.parametrize("fault", ["drop-before", "drop-after"])
def test_an_import_in_doubt_is_made_again_and_its_row_is_engaged_once(bench: Bench, fault: str) -> None:
    """Also where the platform recognises no repeats: nobody is engaged by it."""
    bench.csv(people(6))
    split_job(bench, target={"deduplicates": False}, limits={"attempts": 2})
    bench.sandbox.change(faults=[f"{fault}:100"], only="profiles/import", dedupe_window_s=0)
    ended = bench.run().json
    assert counts(ended) == {"in_doubt": 6}
    assert "nobody was engaged" in result_rows(ended, "in_doubt")[0]["_error_text"]
    bench.sandbox.change(faults=[])
    assert counts(bench.run().json) == {"accepted": 6}
    assert engaged(bench) == once_each(people(6))
    assert len(remembered(bench)) == 6


def test_an_import_in_doubt_waits_where_the_job_says_hold(bench: Bench) -> None:
    """As for calls that engage nobody at all."""
    bench.csv(people(2))
    split_job(bench, rules={"in_doubt": "hold"})
    bench.sandbox.change(faults=["drop-after:100"], only="profiles/import")
    assert counts(bench.run().json) == {"in_doubt": 2}
    bench.sandbox.change(faults=[])
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 2}}
    first = bench.cli("runs", "--output", "json").json["runs"][-1]["run"]
    untrue = bench.cli("resolve", "job.toml", "--run", first, "--as", "accepted")
    assert ("0 rows in doubt" in untrue.out, "2 rows of this run stay in doubt" in untrue.err) == (True, True)
    bench.cli("resolve", "job.toml", "--run", first, "--as", "resend")
    assert counts(bench.run().json) == {"accepted": 2}
    assert engaged(bench) == once_each(people(2))


def test_a_start_in_doubt_is_repeated_under_its_request_id(bench: Bench) -> None:
    """The platform recognises it; nothing is imported again."""
    bench.csv(people(5))
    split_job(bench, limits={"attempts": 1})
    bench.sandbox.change(faults=["drop-after:100"], only="workflows/start")
    assert counts(bench.run().json) == {"in_doubt": 5}
    bench.sandbox.change(faults=[])
    ended = bench.run().json
    assert (counts(ended), ended["replays"]) == ({"accepted": 5}, 5)
    assert engaged(bench) == once_each(people(5))
    assert len(bodies(bench, IMPORT)) == 5
    assert set(Counter(request_ids(bench, START)).values()) == {2}


@pytest.mark.parametrize(("fault", "decision"), [("drop-before", "resend"), ("drop-after", "accepted")])
def test_a_start_in_doubt_waits_where_repeats_are_not_recognised(bench: Bench, fault: str, decision: str) -> None:
    """Until a person has decided."""
    bench.csv(people(3))
    split_job(bench, target={"deduplicates": False})
    bench.sandbox.change(faults=[f"{fault}:100"], only="workflows/start", dedupe_window_s=0)
    ended = bench.run().json
    assert counts(ended) == {"in_doubt": 3}
    assert result_rows(ended, "in_doubt")[0]["_error_text"].startswith("workflows/start: ")
    bench.sandbox.change(faults=[])
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 3}}
    bench.cli("resolve", "job.toml", "--run", ended["run"], "--as", decision)
    ended = bench.run().json
    assert counts(ended) == ({"accepted": 3} if decision == "resend" else {"skipped": {"accepted": 3}})
    assert engaged(bench) == once_each(people(3))


def test_a_row_in_doubt_stays_what_it_was_when_the_job_changes_its_way(bench: Bench) -> None:
    """An import has engaged nobody; what may have engaged somebody is repeated as it was, or not at all."""
    importing, starting, whole = named("a", "b"), named("c", "d"), named("e", "f")
    bench.sandbox.change(faults=["drop-after:100"], only="profiles/import")
    bench.csv(importing)
    split_job(bench, limits={"attempts": 1})
    assert counts(bench.run().json) == {"in_doubt": 2}
    bench.sandbox.change(only="workflows/start")
    bench.csv(starting)
    assert counts(bench.run().json) == {"in_doubt": 2}
    bench.sandbox.change(faults=[], only="")
    bench.csv([*importing, *starting])
    bench.job(limits={"attempts": 1})
    assert counts(bench.run().json) == {"accepted": 2, "skipped": {"in_doubt": 2}}
    bench.sandbox.change(faults=["drop-after:100"])
    bench.csv(whole)
    assert counts(bench.run().json) == {"in_doubt": 2}
    bench.sandbox.change(faults=[])
    bench.csv([*importing, *starting, *whole])
    split_job(bench)
    ended = bench.run().json
    assert counts(ended) == {"accepted": 2, "skipped": {"accepted": 2, "in_doubt": 2}}
    assert engaged(bench) == once_each([*importing, *starting, *whole])


def test_a_file_is_uploaded_for_the_second_step_only(bench: Bench) -> None:
    """Once, and the start names it; a row whose file does not arrive was imported and engaged nobody."""
    (bench.home / "files").mkdir()
    (bench.home / "files" / "terms.pdf").write_bytes(b"the terms")
    file_key = {"column": "file", "as": "file", "folder": "files", "upload": True}
    attach = [{"name": "{file}", "mimetype": "application/pdf", "file_key": file_key}]
    bench.csv([{**row, "file": "terms.pdf"} for row in people(3)])
    split_job(bench, request={"attach": attach}, limits={"attempts": 1})
    bench.sandbox.change(fail=["409:100"], only="file_upload", remember_errors=False)
    assert bench.run().json["codes"] == {"rejected:upload:409": 3}
    assert (len(bodies(bench, IMPORT)), bodies(bench, START)) == (3, [])
    bench.sandbox.change(fail=[])
    assert counts(bench.retry().json) == {"accepted": 3}
    (key,) = bench.sandbox.uploads()
    assert {one["attach"][0]["file_key"] for one in bodies(bench, START)} == {key}
    assert not [one for one in bodies(bench, IMPORT) if "attach" in one]
    assert engaged(bench) == once_each(people(3))


def test_a_preview_shows_both_requests(bench: Bench) -> None:
    """And `check` says that there are two."""
    bench.csv(people(1))
    split_job(bench)
    shown = bench.cli("preview", "job.toml").out
    assert "POST" in shown
    assert shown.index("/profiles/import") < shown.index("and then") < shown.index("/workflows/start")
    (row,) = bench.cli("preview", "job.toml", "--output", "json").json["rows"]
    assert json.loads(row["then"]["body"])["profile_id"] == "0" * 24
    told = bench.cli("check", "job.toml")
    assert "each row is two requests" in told.out + told.err
