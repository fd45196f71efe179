"""Attachments that are uploaded: each file once, whatever happens to the rows."""

from __future__ import annotations

import hashlib
import json

import pytest
from bench import Bench, counts, once_each

from batchrunner.sandbox import Handle

ATTACH = [
    {
        "name": "{file|file_name}",
        "mimetype": "application/pdf",
        "file_key": {"column": "file", "as": "file", "folder": "files", "upload": True},
    }
]


@pytest.fixture
def rows(bench: Bench) -> list[dict[str, str]]:
    """Six people and two files between them."""
    (bench.home / "files").mkdir()
    for name in ("terms.pdf", "прайс 1.pdf"):
        (bench.home / "files" / name).write_bytes(f"content of {name}".encode())
    names = ["terms.pdf"] * 4 + ["прайс 1.pdf"] * 2
    return [{"email": f"p{n}@example.com", "name": "N", "file": name} for n, name in enumerate(names)]


def uploads(sandbox: Handle) -> list[str]:
    """The names of the files that arrived, in order."""
    return [file["name"] for file in sandbox.uploads().values()]


@pytest.mark.parametrize("processes", [1, 3])
def test_each_file_is_uploaded_once_and_named_by_its_key(
    bench: Bench, sandbox: Handle, rows: list[dict[str, str]], processes: int
) -> None:
    """Many rows in flight wait for one upload; the next run knows the key, and sends nobody anything again."""
    bench.job(request={"attach": ATTACH}, limits={"processes": processes})
    bench.csv(rows)
    first = bench.run()
    assert counts(first.json) == {"accepted": 6}, first.told()
    assert first.json["requests"] == sandbox.stats()["requests"] == 8  # six rows and two files
    assert sorted(uploads(sandbox)) == ["terms.pdf", "прайс 1.pdf"]
    assert bench.effects() == once_each(rows)
    digests = {file["sha256"] for file in sandbox.uploads().values()}
    assert hashlib.sha256(b"content of terms.pdf").hexdigest() in digests
    sent = [json.loads(one["body"]) for one in sandbox.requests() if one["path"].endswith("import_and_start")]
    assert {one["attach"][0]["file_key"] for one in sent} == set(sandbox.uploads())
    assert all(set(one["attach"][0]) == {"name", "mimetype", "file_key"} for one in sent)

    more = [*rows, {"email": "new@example.com", "name": "N", "file": "terms.pdf"}]
    bench.csv(more)
    second = bench.run()
    assert counts(second.json) == {"accepted": 1, "skipped": {"accepted": 6}}
    assert len(uploads(sandbox)) == 2


def test_a_changed_file_is_uploaded_and_its_rows_are_sent_again(
    bench: Bench, sandbox: Handle, rows: list[dict[str, str]]
) -> None:
    """Its content is part of what is sent; the other file is not touched."""
    bench.job(request={"attach": ATTACH})
    bench.csv(rows)
    bench.run()
    (bench.home / "files" / "terms.pdf").write_bytes(b"new terms")
    again = bench.run()
    assert counts(again.json) == {"accepted": 4, "skipped": {"accepted": 2}}
    assert uploads(sandbox).count("terms.pdf") == 2


def test_rows_whose_file_does_not_arrive_had_no_effect(
    bench: Bench, sandbox: Handle, rows: list[dict[str, str]]
) -> None:
    """They are failed, and the next run sends them; rows without a file go all the same."""
    sandbox.change(fail=["500:100"])
    bench.job(request={"attach": ATTACH}, limits={"attempts": 2})
    bench.csv(rows)
    ended = bench.run()
    assert counts(ended.json) == {"failed": 6}
    assert ended.json["codes"] == {"failed:upload:500": 6}
    assert not bench.effects()
    sandbox.change(fail=[])
    assert counts(bench.run().json) == {"accepted": 6}
    assert bench.effects() == once_each(rows)


def test_a_file_that_is_too_large_is_said_before_anything_is_sent(
    bench: Bench, sandbox: Handle, rows: list[dict[str, str]]
) -> None:
    """By `check`, and by a run, which sends the others."""
    limited = {**ATTACH[0], "file_key": {**ATTACH[0]["file_key"], "max_bytes": 20}}  # type: ignore[dict-item]
    bench.job(request={"attach": [limited]})
    (bench.home / "files" / "terms.pdf").write_bytes(b"x" * 21)
    bench.csv(rows)
    checked = bench.cli("check", "job.toml", "--output", "json")
    assert checked.json["codes"] == {"bad_file": 4 + 2}, checked.told()
    assert "more than 20 bytes" in checked.out
    assert not sandbox.uploads()


def test_an_upload_that_is_refused_us_stops_the_run(bench: Bench, rows: list[dict[str, str]]) -> None:
    """A token without rights would burn every row."""
    bench.token = "another"
    bench.job(request={"attach": ATTACH})
    bench.csv(rows)
    ended = bench.run()
    assert ended.code == 4
    assert "the API refuses us with error 403" in ended.json["error"]


def test_a_cell_cannot_name_a_file_by_itself(bench: Bench, sandbox: Handle, rows: list[dict[str, str]]) -> None:
    """A text that looks like our own mark reaches no file outside of the job's folders."""
    (bench.home / "secret.txt").write_text("secret", encoding="utf-8")
    digest = hashlib.blake2b(b"secret", digest_size=16).hexdigest()
    marks = [f"batchrunner-upload:{digest}:{place}" for place in (".%2F/secret.txt", "files/..%2Fsecret.txt")]
    bench.job(request={"attach": ATTACH, "content": {"note": "{name}"}})
    bench.csv([{**row, "name": mark} for row, mark in zip(rows, marks, strict=False)])
    ended = bench.run()
    assert ended.json["accepted"] == 0, ended.told()
    assert "secret.txt" not in uploads(sandbox)
