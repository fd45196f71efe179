"""What a run leaves behind: result files, the summary, the ledger; and what it never leaves anywhere."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

from bench import Bench, counts, named, once_each, people, result_rows

KEYS = {
    "run", "job", "source", "read", "accepted", "rejected", "failed", "in_doubt", "unusable", "skipped", "requests",
    "duration_s", "run_dir", "ledger", "exit_code",
}  # fmt: skip
"""Of the summary, as promised to whoever reads it by machine."""

OURS = ["_row", "_line", "_source", "_outcome", "_profile_id", "_error_code", "_error_text"]


def mixed(bench: Bench) -> list[dict[str, str]]:
    """One row for each end, with a value of each that must not be found anywhere else."""
    bench.job(rules={"in_doubt": "hold"}, request={"content": {"note": "{name}"}})
    rows = [
        {"email": "good@example.com", "name": 'Line one\nline two, "quoted"; Юрий'},
        *named("bad+fail-435", "lost+drop-after"),
        {"email": "", "name": "Nobody-in-particular"},
    ]
    bench.csv(rows)
    return rows


def test_the_result_files_hold_each_row_once_with_its_end(bench: Bench) -> None:
    """Untouched columns behind ours, line numbers of the export, profile ids and codes."""
    rows = mixed(bench)
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (5, {"accepted": 1, "rejected": 1, "in_doubt": 1, "unusable": 1})
    (good,), (lost,) = result_rows(ended.json, "success"), result_rows(ended.json, "in_doubt")
    bad, nobody = sorted(result_rows(ended.json, "error"), key=lambda row: int(row["_row"]))
    for row, given in zip((good, bad, lost, nobody), rows, strict=True):
        assert list(row) == [*OURS, "email", "name"]
        assert {name: row[name] for name in given} == given
    found = [(row["_row"], row["_line"], row["_outcome"], row["_error_code"]) for row in (good, bad, lost, nobody)]
    # The first record spans two lines, so from then on line and row are two apart.
    assert found[:2] == [("1", "2", "accepted", ""), ("2", "4", "rejected", "435")]
    assert found[2][:3] == ("3", "5", "in_doubt")
    assert found[3][:3] == ("4", "6", "unusable")
    (profile,) = [one["id"] for one in bench.sandbox.profiles() if one["data"]["email"] == "good@example.com"]
    assert good["_profile_id"] == profile
    assert all(row["_error_text"] for row in (bad, lost, nobody))


def test_the_summary_is_one_object_with_the_promised_keys(bench: Bench) -> None:
    """On stdout with `--output json`, and the same beside the result files."""
    mixed(bench)
    ended = bench.run()
    assert set(ended.json) >= KEYS
    assert isinstance(ended.json["skipped"], dict)
    assert ended.json["source"] == str(bench.home / "people.csv")
    assert ended.json["ledger"] == str(bench.ledger)
    assert Path(ended.json["run_dir"]).is_relative_to(bench.state)
    assert json.loads((Path(ended.json["run_dir"]) / "summary.json").read_text(encoding="utf-8")) == ended.json
    shown = bench.cli("show", "last", "--output", "json").json
    assert {name: shown[name] for name in ("read", "accepted", "rejected", "in_doubt", "unusable")} == {
        name: ended.json[name] for name in ("read", "accepted", "rejected", "in_doubt", "unusable")
    }


def test_only_the_owner_can_read_what_is_left(bench: Bench) -> None:
    """Directories 0700 on the way to every file, files 0600, wherever the result files go."""
    mixed(bench)
    bench.run("--run-dir", bench.home / "results")
    bench.run()
    left = [*bench.state.rglob("*"), bench.home / "results", *(bench.home / "results").iterdir()]
    files = [path for path in left if path.is_file()]
    assert len(files) >= 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    private = {path.parent for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o700}


def test_no_token_and_no_person_is_found_where_they_do_not_belong(bench: Bench) -> None:
    """The token is nowhere; addresses and values are in the result files only, not even in -vv logs."""
    secret = "tOkEn-0123456789-abcdef"
    bench.token = secret
    bench.sandbox.change(token=secret)
    mixed(bench)
    ended = [
        bench.cli("run", "job.toml", "-vv"),
        bench.cli("run", "job.toml", "-vv", "--output", "json"),
        bench.cli("retry", "job.toml", "-vv"),
        bench.cli("resolve", "job.toml", "--run", "last", "--as", "failed", "-vv"),
        bench.cli("show", "last", "-vv"),
        bench.cli("status", "-vv"),
    ]
    assert "outcome=Rejected" in ended[0].err
    said = "".join(one.told() for one in ended)
    people_of = ("good@example", "bad+fail", "lost+drop", "Nobody-in-particular", "Name of")
    assert [word for word in (secret, *people_of) if word in said] == []
    files = [path for path in bench.home.rglob("*") if path.is_file()]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    belongs = {"success.csv", "error.csv", "in_doubt.csv", "people.csv"}
    elsewhere = [path for path in files if path.name not in belongs]
    assert bench.ledger in elsewhere
    assert [path for path in elsewhere if any(word.encode() in path.read_bytes() for word in people_of)] == []


def test_the_ledger_holds_digests_and_ids_only(bench: Bench) -> None:
    """No column of any table of the ledger holds an address, a name or a payload."""
    mixed(bench)
    bench.run()
    with sqlite3.connect(bench.ledger) as connection:
        dump = "\n".join(connection.iterdump()).lower()
    connection.close()
    assert "insert into" in dump
    for word in ("example.com", "юрий", "nobody", "quoted"):
        assert word not in dump
        assert word.encode().hex() not in dump


def test_nothing_but_data_is_on_stdout_and_no_bar_in_a_pipe(bench: Bench) -> None:
    """Piped, a run that goes well says nothing on stderr at all; `-q` says nothing at all."""
    bench.job()
    rows = people(300)
    bench.csv(rows)
    bench.sandbox.change(latency_s=0.02)  # long enough for a bar to be drawn several times
    first = bench.run()
    assert first.err == ""
    quiet = bench.cli("run", "job.toml", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert bench.effects() == once_each(rows)


# --- other sources -----------------------------------------------------------------------------


def test_a_jsonl_export_goes_all_the_way_and_back(bench: Bench) -> None:
    """Lines of JSON are rows; broken ones are accounted for; error.jsonl can be fed back."""
    bench.job(source={"path": "people.jsonl"})
    lines = [json.dumps(row) for row in [*people(3), *named("a+fail-435-once")]]
    (bench.home / "people.jsonl").write_text("\n".join([*lines[:2], "{broken", *lines[2:]]) + "\n", encoding="utf-8")
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (1, {"accepted": 3, "rejected": 1, "unusable": 1})
    directory = Path(ended.json["run_dir"])
    good = [json.loads(line) for line in (directory / "success.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(row["email"] for row in good) == [row["email"] for row in people(3)]
    assert all(row["_profile_id"] for row in good)
    bad = [json.loads(line) for line in (directory / "error.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted((row["_row"], row["_line"], row["_outcome"]) for row in bad) == [
        (3, 3, "unusable"),
        (5, 5, "rejected"),
    ]
    fed_back = bench.run(directory / "error.jsonl")
    assert fed_back.json["skipped"] == {"rejected": 1}
    assert bench.retry().json["accepted"] == 1
    assert bench.effects() == once_each([*people(3), *named("a+fail-435-once")])


def test_several_sources_are_one_run(bench: Bench) -> None:
    """Rows of all files are one run: repeats across files are held back, and results name their file."""
    bench.job()
    bench.csv(people(4), "one.csv")
    bench.csv([*people(4, start=2), *named("a+fail-435")], "two.csv")
    ended = bench.run("one.csv", "two.csv")
    assert (ended.code, counts(ended.json)) == (1, {"accepted": 6, "rejected": 1, "skipped": {"repeat_in_run": 2}})
    assert [Path(path).name for path in ended.json["sources"]] == ["one.csv", "two.csv"]
    assert len({row["_source"] for row in result_rows(ended.json, "success")}) == 2
    (bad,) = result_rows(ended.json, "error")
    assert (bad["_row"], bad["_line"]) == ("5", "6")
    assert bench.effects() == once_each(people(6))


def test_a_source_that_is_missing_among_several_stops_before_sending(bench: Bench) -> None:
    """All files are looked at before the first row of any is sent."""
    bench.job()
    bench.csv(people(4), "one.csv")
    ended = bench.cli("run", "job.toml", "one.csv", "absent.csv")
    assert ended.code == 4
    assert "absent.csv" in ended.err
    assert bench.sandbox.stats()["requests"] == 0
