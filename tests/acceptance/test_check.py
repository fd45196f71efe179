"""`check` through the command line: a table by column, JSON, a page."""

from __future__ import annotations

import json

from bench import Bench

PEOPLE = [
    {"email": "ann@example.com", "phone": "8 900 123-45-67", "name": "Ann"},
    {"email": "nobody", "phone": "7.9E+10", "name": "<b>Bob</b>"},
    {"email": "cid@example.com", "phone": "", "name": "NULL"},
]


def job(bench: Bench) -> None:
    """A job that converts addresses and phones."""
    bench.csv(PEOPLE)
    bench.job(
        request={"matching": "email", "email": {"column": "email", "as": "email"}},
        data={"_fname": "{name}", "phones": [{"column": "phone", "as": "phone", "region": "RU"}]},
    )


def test_a_check_ends_with_a_table_by_column_and_the_judgement(bench: Bench) -> None:
    """Unusable rows first, with their lines; damage with its lines; values never."""
    job(bench)
    ended = bench.cli("check", "job.toml")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].startswith("people.csv:3: row 2: bad_email: ") or ":3: row 2: bad_email: " in lines[0]
    table = {line.split()[0]: line for line in lines if "%" in line}
    assert set(table) == {"email", "phone", "name"}
    assert "bad_email (1)" in table["email"]
    assert "bad_phone (1), russian_8 repaired (1)" in table["phone"]
    assert "null_text repaired (1)" in table["name"]
    assert "column 'phone': 1 cell with a Russian phone that begins with 8 (line 2): 1 repaired" in ended.out
    assert lines[-1] == "welcome: 2 rows can be sent, 1 are unusable: bad_email (1)"
    assert "900 123" not in ended.out


def test_the_json_of_a_check_holds_columns_and_every_unusable_row(bench: Bench) -> None:
    """One object, whose rows are those that the text lists."""
    job(bench)
    told = bench.cli("check", "job.toml", "--output", "json").json
    assert (told["read"], told["usable"], told["unusable"], told["codes"]) == (3, 2, 1, {"bad_email": 1})
    assert [(row["row"], row["line"], row["code"]) for row in told["rows"]] == [(2, 3, "bad_email")]
    columns = {one["column"]: one for one in told["columns"]}
    assert columns["phone"]["filled"] == 2
    assert columns["phone"]["problems"] == {"bad_phone": 1}
    assert {one["fault"] for one in told["repairs"]} == {"russian_8", "e_notation", "null_text"}


def test_a_page_is_written_beside_the_text(bench: Bench) -> None:
    """Whole in itself, and without a value of any row."""
    job(bench)
    ended = bench.cli("check", "job.toml", "--html", "check.html")
    page = (bench.home / "check.html").read_text(encoding="utf-8")
    assert ended.code == 1
    assert page.startswith("<!doctype html>")
    assert "<b>Bob" not in page
    assert "example.com" not in page
    assert page.count("<svg") >= 8
    refused = bench.cli("check", "job.toml", "--html", "no/such/folder/check.html")
    assert "cannot be written" in refused.err
    assert refused.code != 0


def test_a_good_file_has_nothing_to_complain_about(bench: Bench) -> None:
    """Exit code 0, and the object is the same without rows."""
    bench.csv([{"email": "ann@example.com", "name": "Ann"}])
    bench.job()
    ended = bench.cli("check", "job.toml", "--output", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["rows"] == []
