"""`retry` over days: all unfinished business, oldest first, from the archive, or from the result files of the runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bench import Bench, counts, once_each, people, rows_of, table


def archiving(bench: Bench, **source: object) -> None:
    """A job whose exports go to an archive that is nowhere near it."""
    path = bench.job(source={"path": "in/export-*.csv", **source})
    (bench.home / "in").mkdir(exist_ok=True)
    archive = bench.home.parent / f"{bench.home.name}-archive"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + table("arrival", {}) + table("after", {"archive_to": str(archive)}), encoding="utf-8")


def three_bad_nights(bench: Bench) -> None:
    """Each with two rows that the platform refuses, and one that it takes."""
    for night in range(3):
        rows = people(3, start=night * 10)
        bench.csv(rows, f"in/export-{night}.csv")
        bench.sandbox.change(fail=["400:100"])
        assert counts(bench.run("--limit", "2").json) == {"rejected": 2}
        bench.sandbox.change(fail=[])
        assert counts(bench.run().json) == {"accepted": 1, "skipped": {"rejected": 2}}


def archive_of(bench: Bench) -> Path:
    """Where the exports went."""
    return bench.home.parent / f"{bench.home.name}-archive"


def test_all_nights_are_retried_oldest_first_from_the_archive(bench: Bench) -> None:
    """Known by their content, and by where the ledger says they were put."""
    archiving(bench)
    three_bad_nights(bench)
    assert len(list(archive_of(bench).iterdir())) == 3
    again = bench.retry("--concurrency", "1")
    assert (again.code, counts(again.json)) == (0, {"accepted": 6})
    assert [Path(path).name for path in again.json["sources"]] == ["export-0.csv", "export-1.csv", "export-2.csv"]
    sent = [json.loads(one["body"])["email"] for one in bench.sandbox.requests(limit=100)][-6:]
    assert sent == [f"p{night * 10 + n}@example.com" for night in range(3) for n in range(2)]
    assert bench.retry().json["read"] == 0


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_rows_of_a_source_that_is_gone_are_read_from_its_result_files(bench: Bench, encoding: str) -> None:
    """As they came, under the keys that they had: nothing is sent twice, and the ledger forgets them as unfinished."""
    archiving(bench, encoding=encoding)
    three_bad_nights(bench)
    shutil.rmtree(archive_of(bench))
    told = bench.cli("retry", "job.toml", "--dry-run", "--output", "json")
    assert told.code == 0, told.told()
    again = bench.retry()
    assert (again.code, counts(again.json)) == (0, {"accepted": 6}), again.told()
    assert "is gone: they are read from" in again.err
    assert bench.effects() == once_each([row for night in range(3) for row in people(3, start=night * 10)])
    assert bench.cli("status", "welcome", "--output", "json").json["jobs"][0]["waiting"] == []


def test_rows_in_doubt_are_read_from_their_file_too(bench: Bench) -> None:
    """And go again under the Request-ID that they had."""
    path = bench.job(limits={"attempts": 1})
    bench.csv([{"email": "a+drop-after-once@example.com", "name": "A"}])
    assert bench.run().code == 5
    (bench.home / "people.csv").unlink()
    again = bench.retry()
    assert (again.code, again.json["accepted"], again.json["replays"]) == (0, 1, 1), again.told()
    assert len(set(bench.request_ids()["a+drop-after-once@example.com"])) == 1
    assert path.exists()


def test_rows_that_are_nowhere_are_told_one_by_one(bench: Bench) -> None:
    """On the terminal, and all of them in a file; what can be sent is sent."""
    archiving(bench)
    three_bad_nights(bench)
    shutil.rmtree(archive_of(bench))
    gone = 0
    for directory in (bench.state / "runs" / "welcome").iterdir():
        if rows_of(directory / "error.csv") and not gone:
            gone = len(rows_of(directory / "error.csv"))
            shutil.rmtree(directory)
    again = bench.retry()
    assert (again.code, counts(again.json)) == (4, {"accepted": 4})
    assert "2 rows were not sent again, because their source is gone" in again.json["error"]
    listed = rows_of(Path(again.json["run_dir"]) / "gone.csv")
    assert [(row["row"], row["line"], row["outcome"], row["code"]) for row in listed] == [
        ("1", "2", "rejected", "400"),
        ("2", "3", "rejected", "400"),
    ]
    assert "row 1, line 2: rejected (400); its source is gone" in again.err


def test_a_row_that_was_changed_in_its_result_file_is_not_sent_for_the_old_one(bench: Bench) -> None:
    """It asks for something else by now: a person gives it to `run`."""
    bench.job()
    bench.csv(people(1))
    bench.sandbox.change(fail=["400:100"])
    first = bench.run()
    bench.sandbox.change(fail=[])
    (bench.home / "people.csv").unlink()
    errors = Path(first.json["run_dir"]) / "error.csv"
    errors.write_text(errors.read_text().replace("Name 0", "Corrected"))
    again = bench.retry()
    assert again.code == 4
    assert "feed a corrected error.csv to 'run'" in again.json["error"]
    assert counts(bench.run(str(errors)).json) == {"accepted": 1}
