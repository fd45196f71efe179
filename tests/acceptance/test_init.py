"""From an export that nobody described to a first import: init, check, run, with the job file unedited."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from bench import Bench

SHELF = Path(__file__).parents[1] / "shelf"
EXPORTS: dict[str, Any] = runpy.run_path(str(SHELF / "make_exports.py"))["EXPORTS"]


def put(bench: Bench, name: str) -> Path:
    """An export of the shelf in the directory of a test."""
    path = bench.home / name
    path.write_bytes((SHELF / "exports" / name).read_bytes())
    return path


@pytest.mark.parametrize("name", EXPORTS)
def test_init_then_check_then_run_work_unedited(bench: Bench, name: str) -> None:
    """Rows are as many as a person counts, and those with an address are accepted."""
    export = EXPORTS[name]
    put(bench, name)
    written = bench.cli("init", name, "--name", "first", "--to", "job.toml")
    assert written.code == 0, written.told()
    checked = bench.cli("check", "job.toml", "--output", "json").json
    assert (checked["read"], checked["usable"]) == (export.records, export.sendable)
    ended = bench.run("--url", bench.sandbox.url)
    assert (ended.json["read"], ended.json["accepted"]) == (export.records, export.sendable), ended.told()


def test_the_three_commands_as_the_readme_has_them(bench: Bench) -> None:
    """Without any option: the job file is written beside the export, and the sandbox is started for the run."""
    put(bench, "russian_excel_cp1251.csv")
    assert bench.cli("init", "russian_excel_cp1251.csv").code == 0
    assert bench.cli("check", "russian_excel_cp1251.toml").code == 0
    ended = bench.cli("run", "russian_excel_cp1251.toml", "--sandbox", "--output", "json")
    assert (ended.code, ended.json["accepted"]) == (0, 4), ended.told()


def test_a_job_file_is_never_written_over_without_force(bench: Bench) -> None:
    """The refusal names the file and both ways on; with --force it is written anew."""
    put(bench, "american.csv")
    job = bench.home / "american.toml"
    job.write_text("mine", encoding="utf-8")
    refused = bench.cli("init", "american.csv")
    assert refused.code == 2
    assert "american.toml: is there already; add --force" in refused.err
    assert job.read_text(encoding="utf-8") == "mine"
    assert bench.cli("init", "american.csv", "--force").code == 0
    assert "[request.data]" in job.read_text(encoding="utf-8")


def test_what_only_the_user_knows_is_marked_unless_it_is_said(bench: Bench) -> None:
    """Address and scenario are the sandbox's until they are given."""
    put(bench, "american.csv")
    bench.cli("init", "american.csv")
    text = (bench.home / "american.toml").read_text(encoding="utf-8")
    assert 'url = "http://127.0.0.1:8080"  # YOURS TO SAY' in text
    assert "workflow_id = 12  # YOURS TO SAY" in text
    bench.cli("init", "american.csv", "--force", "--url", "https://mail.example.com", "--workflow-id", "77")
    text = (bench.home / "american.toml").read_text(encoding="utf-8")
    assert 'url = "https://mail.example.com"\nworkflow_id = 77\n' in text


def test_an_export_without_any_key_is_said_to_be_incomplete(bench: Bench) -> None:
    """The file is written all the same, the exit code and the last lines say what is missing."""
    (bench.home / "colours.csv").write_text("colour,size\nred,1\nred,2\n", encoding="utf-8")
    ended = bench.cli("init", "colours.csv")
    assert ended.code == 1
    assert "not complete yet:" in ended.out
    assert "needs `email`" in ended.out
    assert "# MISSING" in (bench.home / "colours.toml").read_text(encoding="utf-8")


def test_the_evidence_is_printed_when_asked_for(bench: Bench) -> None:
    """--explain shows what was counted, never a value of a row."""
    put(bench, "russian_koi8_r.csv")
    plain = bench.cli("init", "russian_koi8_r.csv").out
    explained = bench.cli("init", "russian_koi8_r.csv", "--force", "--explain").out
    assert "as cp1251, words are plausible to" not in plain
    assert "as cp1251, words are plausible to" in explained
    assert "read in RU," in explained
    assert "example.com" not in explained


def test_a_proposal_as_json_says_how_sure_each_column_is(bench: Bench) -> None:
    """Ambiguous dates are never sent: both forms stand in the file as comments."""
    put(bench, "ambiguous_dates.csv")
    told = bench.cli("init", "ambiguous_dates.csv", "--output", "json").json
    columns = {one["column"]: one for one in told["columns"]}
    assert (columns["email"]["sure"], columns["email"]["on"]) == ("sure", True)
    assert (columns["birthday"]["sure"], columns["birthday"]["on"]) == ("guess", False)
    text = (bench.home / "ambiguous_dates.toml").read_text(encoding="utf-8")
    assert '# _bdate = { column = "birthday", as = "date", format = "%d/%m/%Y" }' in text
    assert '# _bdate = { column = "birthday", as = "date", format = "%m/%d/%Y" }' in text


def test_columns_that_were_mapped_before_are_proposed_the_same_way(bench: Bench) -> None:
    """A job in the same folder that reads these columns lends its request."""
    put(bench, "american.csv")
    bench.job(
        "mine.toml",
        source={"path": "american.csv"},
        request={"matching": "email", "email": "{Email Address|lower}"},
        data={"email": "{Email Address|lower}", "nick": "{First Name|upper}"},
        rules={"repeat": "identity"},
    )
    told = bench.cli("init", "american.csv", "--output", "json").json
    assert told["remembered"] == "mine.toml"
    text = (bench.home / "american.toml").read_text(encoding="utf-8")
    assert 'nick = "{First Name|upper}"' in text
    assert 'repeat = "identity"' in text
    assert "# Phone Number:" in text
    assert bench.cli("check", "american.toml").code == 0


def test_the_ledger_remembers_a_mapping_whose_job_file_is_gone(bench: Bench) -> None:
    """What was run once is proposed again."""
    put(bench, "american.csv")
    job = bench.job(
        source={"path": "american.csv"},
        request={"matching": "email", "email": "{Email Address}"},
        data={"email": "{Email Address}", "nick": "{First Name|upper}", "surname": "{Last Name}"},
    )
    assert bench.run().json["accepted"] == 3
    job.unlink()
    told = bench.cli("init", "american.csv", "--output", "json").json
    assert told["remembered"] == "the job 'welcome' in the ledger"
    assert 'nick = "{First Name|upper}"' in (bench.home / "american.toml").read_text(encoding="utf-8")
