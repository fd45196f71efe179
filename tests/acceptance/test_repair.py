"""Damaged cells through the real command line: said by check and run, and never a reason to send twice silently."""

from __future__ import annotations

import json
import sqlite3

from bench import Bench

NBSP = "\u00a0"
PEOPLE = [
    {"email": "ann@example.com", "name": "Ann"},
    {"email": "bob@example.com.", "name": f"{NBSP}Bob"},
    {"email": "cid@example.com", "name": "=SUM(A1)"},
    {"email": "dan@example.com", "name": "NULL"},
]


def job(bench: Bench) -> None:
    """A job whose search key is converted."""
    bench.csv(PEOPLE)
    bench.job(
        request={"matching": "email", "email": {"column": "email", "as": "email"}},
        data={"email": {"column": "email", "as": "email"}, "_fname": "{name}"},
    )


def test_a_run_says_what_was_damaged_and_what_became_of_it(bench: Bench) -> None:
    """By column, with lines; what was sent is what was meant."""
    job(bench)
    ended = bench.run()
    assert (ended.json["accepted"], ended.json["unusable"]) == (3, 1), ended.told()
    told = {(one["column"], one["fault"]): one for one in ended.json["repairs"]}
    assert told["email", "email_dots"]["repaired"] == 1
    assert told["name", "nbsp"]["lines"] == [3]
    assert told["name", "null_text"]["repaired"] == 1
    assert told["name", "formula"]["unusable"] == 1
    sent = [json.loads(request["body"]) for request in bench.sandbox.requests(limit=10)]
    names = {one["email"]: one["data"].get("_fname") for one in sent}
    assert names == {"ann@example.com": "Ann", "bob@example.com": "Bob", "dan@example.com": None}


def test_the_summary_for_people_says_it_too(bench: Bench) -> None:
    """One line a column and damage."""
    job(bench)
    ended = bench.cli("run", "job.toml")
    assert (
        "damaged       column 'name': 1 cell with a spreadsheet formula (line 4): 1 unusable" in ended.out + ended.err
    )


def test_an_upgrade_sends_no_repaired_row_again_without_being_asked(bench: Bench) -> None:
    """Rows that went as they stood before there were repairs stop the run; clean ones alone would not."""
    rows = [{"email": "ann@example.com", "name": "Ann"}, {"email": "bob@example.com", "name": f"{NBSP}Bob"}]
    bench.csv(rows)
    keep = ["nbsp", "encoded_twice", "null_text", "formula", "look_alikes", "e_notation", "lost_prefix", "russian_8"]
    keep += ["excel_date", "several_emails", "email_dots"]
    path = bench.job()
    plain = path.read_text(encoding="utf-8")
    path.write_text(plain + "\n[repair]\n" + "\n".join(f'{key} = "keep"' for key in keep), encoding="utf-8")
    assert bench.run().json["accepted"] == 2
    _forget_that_there_are_repairs(bench)
    path.write_text(plain, encoding="utf-8")
    stopped = bench.cli("run", "job.toml")
    assert stopped.code == 2
    assert "1 rows that were sent before would be sent again" in stopped.err
    bench.csv(rows[:1])
    assert bench.run().json["skipped"] == {"accepted": 1}
    assert max(bench.effects().values()) == 1


def _forget_that_there_are_repairs(bench: Bench) -> None:
    """Make the ledger's mapping what the version before would have written."""
    with sqlite3.connect(bench.ledger) as ledger:
        [(number, text)] = ledger.execute("select id, text from mappings").fetchall()
        mapping = json.loads(text)
        del mapping["repair"]
        dense = json.dumps(mapping, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        ledger.execute("update mappings set text = ? where id = ?", (dense, number))
