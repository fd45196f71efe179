"""Rows that leave together: each ends as if it had gone alone, and after a crash nobody gets a message twice."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bench import Bench, counts, named, once_each, people, until

BATCH = {"endpoint": "workflows/import_and_start_batch"}


def batch_job(bench: Bench, *, size: int = 10, target: dict[str, Any] | None = None, **more: Any) -> Path:
    """The job of the bench, in batches; `more` are keys of `[batch]` and tables."""
    tables = {name: more.pop(name) for name in ("request", "data", "rules", "limits", "name") if name in more}
    path = bench.job(target={**BATCH, **(target or {})}, **tables)
    keys = "".join(f"{name} = {json.dumps(value)}\n" for name, value in {"size": size, **more}.items())
    path.write_text(f"{path.read_text()}\n[batch]\n{keys}")
    return path


def sizes(bench: Bench) -> list[int]:
    """The rows of each batch that came, in order of arrival."""
    bodies = [json.loads(request["body"]) for request in bench.sandbox.requests(limit=1_000)]
    return [len(body["data"]) for body in bodies if isinstance(body["data"], list)]


def test_a_batch_of_one_comes_first_and_is_remembered(bench: Bench) -> None:
    """The shape is not documented: one row has to be understood before others follow, once for each platform."""
    batch_job(bench)
    bench.csv(people(35))
    ended = bench.run()
    assert counts(ended.json) == {"accepted": 35}
    assert (sizes(bench)[0], sorted(sizes(bench)[1:])) == (1, [4, 10, 10, 10]) or sum(sizes(bench)) == 35
    assert ended.json["requests"] == len(sizes(bench)) < 8
    assert bench.effects() == once_each(people(35))
    bench.sandbox.reset()
    bench.csv(people(20, start=100))
    assert counts(bench.run().json) == {"accepted": 20}
    assert sizes(bench) == [10, 10]


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("endpoint", ["workflows/import_and_start_batch", "profiles/import_batch"])
def test_each_item_ends_its_own_row(bench: Bench, endpoint: str, form: str) -> None:
    """Every documented code of a row, through each call and both formats: as if it had gone alone."""
    codes = [400, 404, 409, 413, 435, 441, 450]
    rows = named("ann", *(f"p{code}+fail-{code}" for code in codes), "doubt+fail-500", "bob")
    bench.csv(rows)
    path = batch_job(bench, size=50, target={"endpoint": endpoint, "format": form})
    if endpoint == "profiles/import_batch":
        path.write_text(path.read_text().replace("workflow_id = 12\n", "db_id = 3\n"))
    ended = bench.run().json
    assert ended["codes"] == {**{f"rejected:{code}": 1 for code in codes}, "in_doubt:500": 1}
    assert (ended["accepted"], ended["requests"]) == (2, 2)


@pytest.mark.parametrize(("item", "key"), [("wrapped", "beside"), ("wrapped", "inside"), ("flat", "beside")])
@pytest.mark.parametrize("form", ["json", "xml"])
def test_an_item_is_written_as_the_job_says(bench: Bench, item: str, key: str, form: str) -> None:
    """Whatever the platform wants to read; the profiles are the same."""
    bench.sandbox.change(batch_item=item)
    batch_job(bench, item=item, key=key, target={"format": form})
    bench.csv(people(12))
    assert counts(bench.run().json) == {"accepted": 12}
    assert bench.effects() == once_each(people(12))
    assert sorted(one["data"]["_fname"] for one in bench.sandbox.profiles()) == sorted(f"Name {n}" for n in range(12))


def test_a_platform_that_does_not_understand_stops_the_run(bench: Bench) -> None:
    """After three rows, and with what to try: a whole export must not be spent on finding out."""
    bench.sandbox.change(batch_item="flat")
    batch_job(bench, item="wrapped")
    bench.csv(people(40))
    ended = bench.run()
    assert ended.code == 4, ended.told()
    assert 'try batch.item = "flat"' in ended.json["error"]
    assert (counts(ended.json), sizes(bench)) == ({"rejected": 3}, [1, 1, 1])
    batch_job(bench, item="flat")
    assert counts(bench.run().json) == {"accepted": 37, "skipped": {"rejected": 3}}


def test_an_answer_of_another_length_puts_its_rows_in_doubt(bench: Bench) -> None:
    """Which row is the missing one is not guessed, and nothing is sent again without a person."""
    bench.csv(people(1))
    batch_job(bench)
    bench.run()
    bench.csv([*people(6, start=1), *named("odd+short")])
    ended = bench.run()
    assert (ended.code, ended.json["codes"]) == (5, {"in_doubt:batch_shape": 7}), ended.told()
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 7}}
    assert set(bench.effects().values()) == {1}


def test_a_first_answer_that_is_not_understood_stops_at_once(bench: Bench) -> None:
    """One row is in doubt, and no more."""
    bench.csv([*named("odd+short"), *people(20)])
    batch_job(bench)
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (4, {"in_doubt": 1}), ended.told()
    assert sizes(bench) == [1]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_good_rows_do_not_wait_for_a_bad_one(bench: Bench, form: str) -> None:
    """A batch that is refused whole is halved until the rows that are to blame stand alone."""
    rows = [*people(90), *named("bad+poison-400", "worse+poison-450")]
    Random(1).shuffle(rows)
    bench.csv([*people(1, start=500), *rows])
    batch_job(bench, size=100, target={"format": form})
    ended = bench.run().json
    assert counts(ended) == {"accepted": 91, "rejected": 2}
    assert ended["codes"] == {"rejected:400": 1, "rejected:450": 1}
    assert ended["requests"] == bench.sandbox.stats()["requests"] <= 2 + 2 * 2 * 7
    assert set(bench.effects().values()) == {1}


def test_a_search_that_is_used_up_ends_its_rows_as_failed(bench: Bench) -> None:
    """They were refused with others, so nothing was done; the next run goes on searching."""
    bench.csv(people(1))
    batch_job(bench, size=64, search=4)
    bench.run()
    bench.csv([*people(63, start=1), *named("bad+poison-400")])
    ended = bench.run().json
    assert counts(ended) == {"accepted": 48, "failed": 16}
    while "failed" in counts(ended):
        ended = bench.run().json
    assert ended["codes"] == {"rejected:400": 1}
    assert len(bench.effects()) == 64
    assert set(bench.effects().values()) == {1}


def test_rows_with_content_go_alone(bench: Bench) -> None:
    """A batch has no place for it, and `check` says so."""
    rows = [{**row, "hello": "Hello" if number % 3 == 0 else ""} for number, row in enumerate(people(12))]
    bench.csv(rows)
    batch_job(bench, request={"content": {"one": "{hello}"}})
    checked = bench.cli("check", "job.toml")
    assert "request.content: a batch has no place for it; rows that have it are sent one by one" in checked.err
    assert counts(bench.run().json) == {"accepted": 12}
    assert bench.effects() == once_each(rows)
    told = [one["content"] for one in bench.sandbox.engagements()]
    assert sum(content == {"one": "Hello"} for content in told) == 4
    assert sum(sizes(bench)) == 8


@pytest.mark.parametrize("key", ["beside", "inside"])
def test_rows_with_content_go_together_where_the_job_says_so(bench: Bench, key: str) -> None:
    """Inferred, so it has to be asked for: each profile gets its own, and `check` says how sure that is."""
    rows = [{**row, "hello": f"Hello {number}"} for number, row in enumerate(people(12))]
    bench.csv(rows)
    batch_job(bench, request={"content": {"one": "{hello}"}}, content="inside", key=key)
    checked = bench.cli("check", "job.toml")
    assert "batch.content: that a profile in a batch may have `content` of its own is inferred" in checked.err
    assert counts(bench.run().json) == {"accepted": 12}
    assert sum(sizes(bench)) == 12
    told = sorted((one["key"], one["content"]["one"]) for one in bench.sandbox.engagements())
    assert told == sorted((row["email"], row["hello"]) for row in rows)


def test_a_platform_that_is_away_is_not_taken_for_one_that_does_not_understand(bench: Bench) -> None:
    """At the first contact, too: nothing that answers says anything of how a batch is written."""
    batch_job(bench, target={"url": "http://127.0.0.1:1"}, limits={"attempts": 1})
    bench.csv(people(20))
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (4, {"failed": 3}), ended.told()
    assert "none of which got an answer of the API, the last with connect:" in ended.json["error"]
    assert "batch.item" not in ended.json["error"]


def test_a_lost_answer_is_asked_for_again_with_the_very_same_batch(bench: Bench) -> None:
    """The platform recognises the Request-ID and tells what it told before."""
    bench.csv(people(1))
    batch_job(bench)
    bench.run()
    bench.csv([*people(5, start=1), *named("lost+drop-after-once")])
    ended = bench.run().json
    assert (counts(ended), ended["requests"], ended["replays"]) == ({"accepted": 6}, 2, 6)
    assert bench.sandbox.stats()["repeats_with_other_body"] == 0
    assert set(bench.effects().values()) == {1}


def lost(bench: Bench, **more: Any) -> list[dict[str, str]]:
    """Seven rows of a batch whose answer was lost in the last of its attempts."""
    bench.csv(people(1))
    batch_job(bench, limits={"attempts": 1}, **more)
    bench.run()
    rows = [*people(6, start=1), *named("lost+drop-after-once")]
    bench.csv(rows)
    assert counts(bench.run().json) == {"in_doubt": 7}
    return rows


def test_a_batch_in_doubt_is_resumed_as_it_was(bench: Bench) -> None:
    """Between new rows of a longer file, too: the very same rows leave under the very same Request-ID."""
    rows = lost(bench)
    bench.csv([*people(3, start=50), *rows[:4], *people(3, start=60), *rows[4:], *people(3, start=70)])
    ended = bench.run().json
    assert (counts(ended), ended["replays"]) == ({"accepted": 16}, 7)
    assert bench.sandbox.stats()["repeats_with_other_body"] == 0
    assert set(bench.effects().values()) == {1}


@pytest.mark.parametrize("change", ["one is gone", "another order"])
def test_a_batch_in_doubt_that_cannot_be_put_together_again_waits(bench: Bench, change: str) -> None:
    """Its Request-ID would be answered as it was the first time, and the answer laid to other rows."""
    rows = lost(bench)
    bench.csv([*(rows[1:] if change == "one is gone" else rows[::-1]), *people(2, start=50)])
    ended = bench.run().json
    held = 6 if change == "one is gone" else 7
    assert counts(ended) == {"accepted": 2, "skipped": {"in_doubt": held}}
    assert set(bench.effects().values()) == {1}
    bench.cli("resolve", "job.toml", "--run", runs_in_doubt(bench)[0]["run"], "--as", "accepted")
    assert counts(bench.run().json) == {"skipped": {"accepted": held + 2}}


def runs_in_doubt(bench: Bench) -> list[dict[str, Any]]:
    """The runs that have rows in doubt."""
    return [run for run in bench.cli("runs", "--output", "json").json["runs"] if run["in_doubt"]]


def test_a_batch_in_doubt_is_not_repeated_row_by_row(bench: Bench) -> None:
    """A job that went back to single calls: the Request-ID belongs to the batch."""
    lost(bench)
    bench.job()
    assert counts(bench.run().json) == {"skipped": {"in_doubt": 7}}
    assert set(bench.effects().values()) == {1}


def test_an_import_in_doubt_is_simply_imported_again(bench: Bench) -> None:
    """Whoever is engaged by nothing may be imported twice."""
    target = {"endpoint": "profiles/import_batch", "db_id": 3, "workflow_id": None}
    without = lambda: bench.home.joinpath("job.toml")  # noqa: E731

    def job() -> None:
        batch_job(bench, limits={"attempts": 1}, target={key: value for key, value in target.items() if value})
        without().write_text(without().read_text().replace("workflow_id = 12\n", ""))

    job()
    bench.csv(people(1))
    bench.run()
    rows = [*people(6, start=1), *named("lost+drop-after-once")]
    bench.csv(rows)
    assert counts(bench.run().json) == {"in_doubt": 7}
    bench.csv(rows[1:])
    assert counts(bench.run().json) == {"accepted": 6}


def test_the_sender_is_refused_and_no_row(bench: Bench) -> None:
    """Without the right token nothing is spent."""
    batch_job(bench)
    bench.csv(people(30))
    bench.token = "wrong"
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (4, {"failed": 1}), ended.told()


def test_a_stopped_run_settles_what_flies_and_goes_on_later(bench: Bench) -> None:
    """SIGTERM: batches that are under way end, others are not begun."""
    bench.sandbox.change(latency_s=0.05)
    batch_job(bench, size=5, limits={"concurrency": 2})
    given = people(200)
    bench.csv(given)
    started = bench.start("run", "job.toml", "--output", "json")
    until(lambda: bench.sandbox.stats()["effects"] >= 20, "some batches were sent")
    started.signal(15)
    ended = started.end()
    assert ended.code == 143, ended.told()
    assert set(counts(ended.json)) <= {"accepted", "failed"}
    bench.sandbox.change(latency_s=0)
    bench.run()
    assert bench.effects() == once_each(given)


@pytest.mark.slow
@pytest.mark.parametrize("deduplicates", [True, False])
def test_after_kills_nobody_is_engaged_twice(bench: Bench, deduplicates: bool) -> None:
    """SIGKILL at any moment: batches in doubt are resumed as they were, or wait."""
    random = Random(f"batches-{deduplicates}")
    given = people(600)
    bench.csv(given)
    if not deduplicates:
        bench.sandbox.change(dedupe_window_s=0)
    batch_job(bench, size=20, limits={"concurrency": 4}, target={"deduplicates": deduplicates})
    for _ in range(4):
        bench.sandbox.change(latency_s=0.02, jitter_s=0.05)
        before = bench.sandbox.stats()["effects"]
        started = bench.start("run", "job.toml")
        wanted = before + random.randint(1, 100)
        until(lambda: bench.sandbox.stats()["effects"] >= wanted or started.process.poll() is not None, "rows arrived")  # noqa: B023
        started.kill()
    bench.sandbox.change(latency_s=0, jitter_s=0)
    ended = bench.run().json
    assert set(bench.effects().values()) == {1}
    if deduplicates:
        assert bench.effects() == once_each(given)
        assert bench.sandbox.stats()["repeats_with_other_body"] == 0
    else:
        assert len(bench.effects()) + ended["skipped"].get("in_doubt", 0) >= 600


def test_the_number_of_a_task_is_kept_with_the_rows_that_are_in_it(bench: Bench) -> None:
    """Accepted means queued: by its number alone can anybody on the platform find out what became of them."""
    batch_job(bench, size=10, target={"endpoint": "workflows/import_and_start_batch_task"}, limits={"concurrency": 1})
    bench.csv(people(25))
    ended = bench.run().json
    told = [(one["task"], one["rows"], one["first"]["row"], one["last"]["row"]) for one in ended["tasks"]]
    assert told == [("task-1", 1, 1, 1), ("task-2", 9, 2, 10), ("task-3", 10, 11, 20), ("task-4", 5, 21, 25)]
    assert json.loads((Path(ended["run_dir"]) / "summary.json").read_text())["tasks"] == ended["tasks"]
    shown = bench.cli("show", "last")
    assert "task task-3: 10 rows, from row 11 to row 20" in shown.out, shown.told()
    assert bench.cli("show", "last", "--output", "json").json["tasks"] == ended["tasks"]
