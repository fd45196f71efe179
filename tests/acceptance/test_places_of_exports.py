"""Exports that are piped in, or lie in a folder: the real command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
from bench import DEADLINE_S, Bench, Ended, counts, named, once_each, people, result_rows, until

BAD = "a+fail-435-once"
"""Refused at first, accepted when it comes again."""


def piped(bench: Bench, content: bytes, *arguments: str) -> Ended:
    """A command with something on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "batchrunner", *arguments],
        input=content,
        capture_output=True,
        cwd=bench.home,
        env=bench.environment_of_commands(),
        timeout=DEADLINE_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def copies(bench: Bench) -> list[Path]:
    """What is kept of the sources of the job."""
    return sorted((bench.state / "spool" / "welcome").iterdir())


@pytest.mark.parametrize("path", ["people.csv", "-"])
def test_an_export_is_piped_in_and_retried_from_its_copy(bench: Bench, path: str) -> None:
    """The pipe is gone by then; the copy is not. Named on the command line or by the job itself."""
    bench.job(source={"path": path})
    rows = [*people(3), *named(BAD)]
    content = bench.csv(rows, "kept elsewhere.csv").read_bytes()
    (bench.home / "kept elsewhere.csv").unlink()
    named_here = ["-"] if path != "-" else []
    ran = piped(bench, content, "run", "job.toml", *named_here, "--output", "json")
    assert counts(ran.json) == {"accepted": 3, "rejected": 1}, ran.told()
    assert [ran.json["source"]] == [str(copy) for copy in copies(bench)]
    assert counts(piped(bench, content, "run", "job.toml", *named_here, "--output", "json").json) == {
        "skipped": {"accepted": 3, "rejected": 1}
    }
    assert len(copies(bench)) == 1
    assert counts(bench.retry().json) == {"accepted": 1}
    assert bench.effects() == once_each(rows)


def test_json_is_known_by_its_beginning_when_it_is_piped_in(bench: Bench) -> None:
    """A pipe has no name that would tell."""
    bench.job()
    checked = piped(bench, b'{"email": "a@example.com", "name": "A"}\n', "check", "job.toml", "-", "--output", "json")
    assert (checked.code, checked.json["usable"]) == (0, 1), checked.told()


def test_ctrl_c_ends_the_wait_for_a_pipe(bench: Bench) -> None:
    """Before anything was sent, and nothing of it is left."""
    bench.job()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchrunner", "run", "job.toml", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=bench.home,
        env=bench.environment_of_commands(),
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b"email,name\n")
        process.stdin.flush()
        spool = bench.state / "spool" / "welcome"
        until(lambda: spool.is_dir() and list(spool.iterdir()), "the pipe is being read")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    assert copies(bench) == []
    assert not bench.ledger.exists()


def test_all_files_of_a_folder_are_one_run_and_retry_finds_each_of_them(bench: Bench) -> None:
    """In order of their names, and each under its own name in the report."""
    folder = bench.home / "exports"
    folder.mkdir()
    first, second = [*people(2), *named(BAD)], people(2, start=10)
    bench.csv(second, "exports/b.csv")
    bench.csv(first, "exports/a.csv")
    bench.job(source={"path": "exports"})
    ran = bench.run()
    assert counts(ran.json) == {"accepted": 4, "rejected": 1}
    assert ran.json["sources"] == [str(folder / "a.csv"), str(folder / "b.csv")]
    bench.csv(people(1, start=20), "exports/c.csv")
    again = bench.run("exports/[bc].csv")
    assert counts(again.json) == {"accepted": 1, "skipped": {"accepted": 2}}
    assert again.json["sources"] == ["exports/b.csv", "exports/c.csv"]
    bench.job(source={"path": "exports/*.csv"})
    (folder / "a.csv").rename(folder / "loaded.csv")
    assert counts(bench.retry().json) == {"accepted": 1}
    assert max(bench.effects().values()) == 1


def test_a_pattern_that_matches_nothing_ends_the_run(bench: Bench) -> None:
    """No export is no success."""
    bench.job(source={"path": "exports/*.csv"})
    ended = bench.cli("run", "job.toml")
    assert ended.code == 4
    assert "no file matches this pattern" in ended.err


def test_a_workbook_is_imported_and_its_error_file_goes_back_into_the_same_job(bench: Bench) -> None:
    """The result files are CSV, and point at the row that Excel shows."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("People")
    rows = [*people(2), *named(BAD)]
    for cells in (["email", "name"], *([row["email"], row["name"]] for row in rows)):
        sheet.append(cells)
    book.save(bench.home / "people.xlsx")
    bench.job(source={"path": "people.xlsx", "format": "xlsx", "sheet": "People"})
    ran = bench.run()
    assert counts(ran.json) == {"accepted": 2, "rejected": 1}
    [bad] = result_rows(ran.json, "error")
    assert (bad["_line"], bad["email"], bad["_error_code"]) == ("4", rows[2]["email"], "435")
    again = bench.retry()
    assert counts(again.json) == {"accepted": 1}
    fed_back = bench.run(str(Path(ran.json["run_dir"]) / "error.csv"))
    assert counts(fed_back.json) == {"skipped": {"accepted": 1}}
    assert bench.effects() == once_each(rows)
