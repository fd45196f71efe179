"""Every exit code, produced for real."""

from __future__ import annotations

import re
import signal
import sqlite3
from pathlib import Path

import pytest
from bench import STOPS, Bench, assert_accounted, counts, named, once_each, people, until

from batchrunner.cli.exits import Exit, table
from batchrunner.sources import CHUNK_ROWS

README = Path(__file__).parents[2] / "README.md"
README_ROW = re.compile(r"^\|\s*`?(\d+)`?\s*\|\s*(.+?)\s*\|$", re.MULTILINE)


# --- the table ---------------------------------------------------------------------------------


def test_help_shows_the_table_of_exit_codes(bench: Bench) -> None:
    """`--help` ends with the very table of the program."""
    ended = bench.cli("--help")
    assert ended.code == 0
    assert table() in ended.out


def test_the_readme_tells_the_same_exit_codes() -> None:
    """The README has a row for each exit code, in the program's words."""
    text = README.read_text(encoding="utf-8")
    assert dict(README_ROW.findall(text)) == {str(code.value): code.meaning for code in Exit}


# --- 0, 1, 3, 5 --------------------------------------------------------------------------------


def test_0_when_every_row_ended_well(bench: Bench) -> None:
    """Accepted rows are a success, and so are rows that were accepted before."""
    bench.job()
    rows = people(25)
    bench.csv(rows)
    first = bench.run()
    assert (first.code, counts(first.json)) == (0, {"accepted": 25})
    assert first.json["exit_code"] == 0
    second = bench.run()
    assert (second.code, counts(second.json)) == (0, {"skipped": {"accepted": 25}})
    assert bench.effects() == once_each(rows)


def test_1_when_a_row_was_rejected_and_again_while_it_is_held_back(bench: Bench) -> None:
    """A refused row is not well, neither when it is refused nor when it is only held back."""
    bench.job()
    bench.csv([*people(3), *named("a+fail-435")])
    first = bench.run()
    assert (first.code, counts(first.json)) == (1, {"accepted": 3, "rejected": 1})
    second = bench.run()
    assert (second.code, counts(second.json)) == (1, {"skipped": {"accepted": 3, "rejected": 1}})
    assert bench.sandbox.stats()["requests"] == 4


def test_1_when_a_row_is_unusable(bench: Bench) -> None:
    """A record without the value that the profile is looked up by never becomes a request."""
    bench.job()
    bench.csv([*people(3), {"email": "", "name": "Nobody"}])
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (1, {"accepted": 3, "unusable": 1})


def test_1_when_nothing_listens_at_the_address(bench: Bench) -> None:
    """A connection that never opened is certain to have had no effect: failed, and sent by the next run."""
    bench.job(limits={"attempts": 2})
    rows = people(5)
    bench.csv(rows)
    ended = bench.run("--url", "http://127.0.0.1:9")
    assert (ended.code, counts(ended.json)) == (1, {"failed": 5})
    again = bench.run()
    assert (again.code, counts(again.json)) == (0, {"accepted": 5})
    assert bench.effects() == once_each(rows)


def test_3_when_more_rows_fail_than_allowed(bench: Bench) -> None:
    """`--max-errors N` stops the run after N errors, long before the end of the file."""
    bench.job()
    bench.csv(named(*(f"a{n}+fail-435" for n in range(400))))
    ended = bench.run("--max-errors", "10")
    assert ended.code == 3
    assert 10 < ended.json["rejected"] < 100
    assert "max_errors = 10" in ended.json["error"]


def test_3_when_too_great_a_share_fails(bench: Bench) -> None:
    """`--max-errors N%` waits until a share means anything, then stops the run."""
    bench.job()
    bench.csv([*people(30), *named(*(f"a{n}+fail-435" for n in range(970)))])
    ended = bench.run("--max-errors", "50%")
    assert ended.code == 3
    assert 100 <= ended.json["read"] < 500
    assert ended.json["accepted"] == 30


def test_0_when_errors_stay_below_the_allowed_share(bench: Bench) -> None:
    """A threshold that is not passed changes nothing but the exit code of the errors themselves."""
    bench.job()
    bench.csv([*people(150), *named("a+fail-435", "b+fail-435")])
    ended = bench.run("--max-errors", "5%")
    assert (ended.code, counts(ended.json)) == (1, {"accepted": 150, "rejected": 2})


def test_5_when_a_row_is_in_doubt_even_if_others_were_rejected(bench: Bench) -> None:
    """In doubt wins over rejected, and stays so while the row is held back."""
    bench.job(rules={"in_doubt": "hold"})
    bench.csv([*people(2), *named("a+fail-435", "b+drop-after")])
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (5, {"accepted": 2, "rejected": 1, "in_doubt": 1})
    again = bench.run()
    assert (again.code, counts(again.json)) == (5, {"skipped": {"accepted": 2, "rejected": 1, "in_doubt": 1}})


# --- 2 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "Missing argument 'JOB'"),
        (["run", "job.toml", "--bogus"], "--bogus"),
        (["run", "job.toml", "--sandbox", "--url", "http://127.0.0.1:9"], "leave --url out"),
        (["run", "job.toml", "--rate", "fast"], "is not a rate"),
        (["run", "absent.toml"], "absent.toml: cannot be read"),
        (["run", "typo.toml"], "did you mean 'workflow_id'?"),
        (["run", "column.toml"], "column 'emial' is not in people.csv; did you mean 'email'?"),
        (["retry", "job.toml", "--outcome", "bogus"], "choose from failed, rejected, in-doubt"),
        (["retry", "job.toml", "--run", "nothing"], "there is no run 'nothing'"),
        (["resolve", "job.toml", "--run", "last", "--as", "failed"], "there is no run 'last'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_2_when_the_command_or_the_job_is_wrong(bench: Bench, arguments: list[str], sentence: str) -> None:
    """One sentence says what is wrong, nothing is sent, and no traceback is shown."""
    bench.job()
    bench.job("typo.toml", target={"worflow_id": 12})
    bench.job("column.toml", request={"email": "{emial}"})
    bench.csv(people(3))
    ended = bench.cli(*arguments)
    assert ended.code == 2, ended.told()
    assert sentence in ended.err
    assert "Traceback" not in ended.err
    assert bench.sandbox.stats()["requests"] == 0


def test_2_without_a_token(bench: Bench) -> None:
    """A run without a token does not start, and says where the token may come from."""
    bench.job()
    bench.csv(people(3))
    bench.token = ""
    ended = bench.cli("run", "job.toml", "--output", "json")
    assert ended.code == 2
    assert "ALTCRAFT_TOKEN" in ended.err
    assert ended.json["exit_code"] == 2
    assert not bench.state.exists()
    assert bench.sandbox.stats()["requests"] == 0


# --- 4 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [401, 402, 403, 415, 501])
def test_4_when_the_api_refuses_the_sender(bench: Bench, code: int) -> None:
    """A refusal of the sender stops the run before it burns rows; the next run sends what was not sent."""
    bench.job()
    rows = [*named(f"a+fail-{code}-once"), *people(60)]
    bench.csv(rows)
    bench.sandbox.change(remember_errors=False, latency_s=0.02)
    ended = bench.run("--concurrency", "2")
    assert ended.code == 4, ended.told()
    assert ended.json["error"]
    assert ended.json["read"] < 30
    assert ended.json["failed"] >= 1
    bench.sandbox.change(latency_s=0)
    again = bench.run()
    assert again.code == 0
    assert bench.effects() == once_each(rows)


def test_4_when_the_token_is_not_the_right_one(bench: Bench) -> None:
    """A wrong token is found out with the first answer, and never shown."""
    bench.job()
    bench.csv(people(300))
    bench.token = "not-the-token"
    ended = bench.run()
    assert ended.code == 4
    assert "403" in ended.json["error"]
    assert bench.sandbox.stats()["requests"] < 50
    assert bench.token not in ended.told()


def test_4_when_there_is_no_api_at_the_address(bench: Bench) -> None:
    """A page that is not the API's says that the address is wrong, and names the key to look at."""
    bench.job(target={"url": f"{bench.sandbox.url}/elsewhere"})
    bench.csv(people(300))
    ended = bench.run()
    assert ended.code == 4
    assert "target.url" in ended.json["error"]
    assert ended.json["read"] <= 32  # what was claimed before the first answer: 16 in flight, and as many next in line


def test_4_when_every_row_is_answered_404(bench: Bench) -> None:
    """One 404 is about a row; nothing but 404 is about the scenario, and stops the run."""
    bench.job()
    rows = people(200)
    bench.csv(rows)
    bench.sandbox.change(workflow_ids=[7])
    ended = bench.run()
    assert ended.code == 4
    assert 20 <= ended.json["rejected"] < 100
    assert "workflow_id" in ended.json["error"]
    bench.sandbox.change(workflow_ids=[12])
    assert bench.run().json["skipped"] == {"rejected": ended.json["rejected"]}
    retried = bench.retry()
    assert counts(retried.json) == {"accepted": ended.json["rejected"]}
    assert bench.effects() == once_each(rows)


@pytest.mark.parametrize("source", ["absent.csv", ".", "empty.csv"])
def test_4_when_the_source_cannot_be_read(bench: Bench, source: str) -> None:
    """An export that is not there, is no file or holds nothing is named, and nothing is sent."""
    bench.job()
    (bench.home / "empty.csv").touch()
    ended = bench.cli("run", "job.toml", source, "--output", "json")
    assert ended.code == 4, ended.told()
    assert ended.json["exit_code"] == 4
    assert "Traceback" not in ended.err
    assert bench.sandbox.stats()["requests"] == 0


def test_4_when_the_source_changes_under_the_run(bench: Bench) -> None:
    """An export that is still being written stops the run; what was read is accounted for."""
    bench.job()
    path = bench.csv(people(CHUNK_ROWS + 100))
    bench.sandbox.change(latency_s=0.1)
    started = bench.start("run", "job.toml", "--output", "json", "--concurrency", "64")
    until(lambda: bench.sandbox.stats()["effects"] >= 10, "some rows were sent")
    with path.open("a", encoding="utf-8") as file:
        file.write("late@example.com,Late\n")
    # Reading is ahead of sending by a chunk; without the latency the rest of that chunk goes quickly.
    bench.sandbox.change(latency_s=0)
    ended = started.end()
    assert ended.code == 4
    assert "changed" in ended.json["error"]
    assert_accounted(ended.json)
    assert ended.json["accepted"] == bench.sandbox.stats()["effects"]
    assert max(bench.effects().values()) == 1


def test_4_when_the_ledger_is_no_database(bench: Bench) -> None:
    """A file that is no ledger stops the run before anything is sent, and is left as it was."""
    bench.job()
    bench.csv(people(3))
    path = bench.home / "other.db"
    path.write_text("this is no database, only a long enough text file" * 50, encoding="utf-8")
    before = path.read_bytes()
    ended = bench.cli("run", "job.toml", "--ledger", path)
    assert ended.code == 4, ended.told()
    assert str(path) in ended.err
    assert "Traceback" not in ended.err
    assert path.read_bytes() == before
    assert bench.sandbox.stats()["requests"] == 0


def test_4_when_the_ledger_is_somebody_elses_database(bench: Bench) -> None:
    """A database of another program stops the run before anything is sent, and is left as it was to the byte."""
    bench.job()
    bench.csv(people(3))
    path = _database_of_another_program(bench)
    before = path.read_bytes()
    ended = bench.cli("run", "job.toml", "--ledger", path)
    assert ended.code == 4, ended.told()
    assert "not a ledger of batchrunner" in ended.err
    assert bench.sandbox.stats()["requests"] == 0
    assert path.read_bytes() == before


def _database_of_another_program(bench: Bench) -> Path:
    path = bench.home / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table somebody (elses text)")
    connection.close()
    return path


# --- 75 ----------------------------------------------------------------------------------------


def test_75_while_another_run_of_the_job_goes_on(bench: Bench) -> None:
    """Two runs of one job never overlap; another job is not in the way."""
    bench.job()
    bench.job("other.toml", name="other", source={"path": "other.csv"})
    bench.csv(named("held+slow-40"))
    bench.csv(people(2), "other.csv")
    first = bench.start("run", "job.toml", "-v")
    until(lambda: bench.sandbox.stats()["effects"] == 1, "the first run has sent its row")
    second = bench.cli("run", "job.toml")
    assert second.code == 75, second.told()
    assert "already being run by run " in second.err
    assert bench.run(job="other.toml").code == 0
    assert "welcome: running now" in bench.cli("status").out
    first.signal(signal.SIGTERM)
    until(lambda: "stopping" in first.stderr(), "the first signal was noticed")
    first.signal(signal.SIGTERM)
    assert first.end().code == 143


# --- 130, 143 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_signal_settles_what_flies_and_the_next_run_completes(bench: Bench, number: signal.Signals) -> None:
    """The first signal stops claiming and waits for answers: nothing is in doubt, nothing is lost."""
    bench.job()
    rows = people(300)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.3)
    started = bench.start("run", "job.toml", "--output", "json", "--concurrency", "4")
    until(lambda: bench.sandbox.stats()["effects"] >= 8, "some rows were sent")
    started.signal(number)
    ended = started.end()
    assert ended.code == STOPS[number], ended.told()
    assert ended.json["exit_code"] == STOPS[number]
    assert_accounted(ended.json)
    assert ended.json["in_doubt"] == 0
    assert ended.json["accepted"] == bench.sandbox.stats()["effects"] < 300
    assert ended.json["read"] < 300
    bench.sandbox.change(latency_s=0)
    again = bench.run()
    assert (again.code, counts(again.json)) == (
        0,
        {"accepted": 300 - ended.json["accepted"], "skipped": {"accepted": ended.json["accepted"]}},
    )
    assert bench.effects() == once_each(rows)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_second_signal_stops_at_once_and_the_rest_goes_under_the_same_request_id(
    bench: Bench, processes: int
) -> None:
    """What flies at the second signal is in doubt; the next run repeats it so that the platform recognises it."""
    bench.job(limits={"processes": processes})
    held = named(*(f"held{n}+slow-10" for n in range(4)))
    rows = [*held, *people(50)]
    bench.csv(rows)
    started = bench.start("run", "job.toml", "--output", "json", "--concurrency", "4", "-v")
    until(lambda: bench.sandbox.stats()["effects"] == 4, "four rows are held by the platform")
    started.signal(signal.SIGINT)
    until(lambda: "stopping" in started.stderr(), "the first signal was noticed")
    started.signal(signal.SIGINT)
    ended = started.end()
    assert ended.code == 130, ended.told()
    assert_accounted(ended.json)
    assert ended.json["in_doubt"] >= 4
    assert ended.json["accepted"] == 0
    again = bench.run("--concurrency", "32")
    assert (again.code, counts(again.json)) == (0, {"accepted": 54})
    assert bench.effects() == once_each(rows)
    ids = bench.request_ids()
    for row in held:
        assert len(ids[row["email"]]) == 2
        assert len(set(ids[row["email"]])) == 1
    assert again.json["replays"] == 4
