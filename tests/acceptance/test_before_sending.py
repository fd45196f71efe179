"""What happens before anything is sent: rehearsals, previews, checks, and the guard against changed jobs."""

from __future__ import annotations

import json
from pathlib import Path

from bench import Bench, counts, named, once_each, people


def files_below(path: Path) -> dict[Path, bytes]:
    """Every file under a directory, with its content."""
    return {found: found.read_bytes() for found in path.rglob("*") if found.is_file()}


# --- --dry-run ---------------------------------------------------------------------------------


def test_a_dry_run_before_the_first_run_leaves_no_trace(bench: Bench) -> None:
    """It needs no token, sends nothing, writes nothing, and counts what a run would do."""
    bench.job()
    bench.csv([*people(5), *people(2), {"email": "", "name": "Nobody"}])
    bench.token = ""
    ended = bench.cli("run", "job.toml", "--dry-run", "--output", "json")
    assert ended.code == 0, ended.told()
    told = ended.json
    assert (told["read"], told["would_send"], told["new"], told["repeated"], told["unusable"]) == (8, 5, 5, 2, 1)
    assert not (bench.home / "state").exists()
    assert bench.sandbox.stats()["requests"] == 0


def test_a_dry_run_tells_new_changed_again_and_held_back_apart(bench: Bench) -> None:
    """Its counts are those of the run that follows, and the ledger is left as it was."""
    bench.job(limits={"attempts": 1})
    rows = [*people(4), *named("a+fail-435", "b+drop-after-once")]
    bench.csv(rows)
    bench.run()
    bench.csv([{**rows[0], "name": "Changed"}, *rows[1:], *people(2, start=50)])
    before = files_below(bench.state)
    requests = bench.sandbox.stats()["requests"]
    told = bench.cli("run", "job.toml", "--dry-run", "--output", "json").json
    assert (told["new"], told["changed"], told["again"]) == (2, 1, 1)
    assert told["skipped"] == {"accepted": 3, "rejected": 1}
    assert files_below(bench.state) == before
    assert bench.sandbox.stats()["requests"] == requests
    ended = bench.run()
    assert counts(ended.json) == {"accepted": told["would_send"], "skipped": told["skipped"]}


# --- preview, check ----------------------------------------------------------------------------


def test_preview_shows_the_very_bodies_that_a_run_sends(bench: Bench) -> None:
    """Body and headers are the run's own, but for the token and the Request-ID."""
    bench.job(request={"content": {"greeting": "Hello {name}"}})
    bench.csv(people(5))
    shown = bench.cli("preview", "job.toml", "-n", "2", "--output", "json")
    assert shown.code == 0
    assert bench.token not in shown.told()
    assert bench.sandbox.stats()["requests"] == 0
    bench.run("--limit", "2")
    sent = {json.loads(one["body"])["email"]: one["body"] for one in bench.sandbox.requests()}
    bodies = [row["body"] for row in shown.json["rows"]]
    assert len(bodies) == 2
    assert {json.loads(body)["email"]: body for body in bodies} == sent


def test_check_names_every_unusable_row_with_line_column_and_reason(bench: Bench) -> None:
    """The whole file is judged without a token; values are not shown."""
    born = {"column": "born", "as": "date", "format": "%d.%m.%Y"}
    bench.job(data={"email": "{email}", "_bdate": born})
    bench.csv(
        [
            {"email": "a@example.com", "born": "01.02.1990"},
            {"email": "", "born": "01.02.1990"},
            {"email": "c@example.com", "born": "secret-1990"},
        ]
    )
    bench.token = ""
    ended = bench.cli("check", "job.toml", "--output", "json")
    assert ended.code == 1
    assert (ended.json["usable"], ended.json["unusable"]) == (1, 2)
    assert [(row["row"], row["line"]) for row in ended.json["rows"]] == [(2, 3), (3, 4)]
    assert "'email'" in ended.json["rows"][0]["reason"]
    assert "'born'" in ended.json["rows"][1]["reason"]
    assert "secret-1990" not in ended.told()
    assert not bench.state.exists()


# --- the guard ---------------------------------------------------------------------------------


def test_a_changed_mapping_stops_the_run_until_it_is_allowed(bench: Bench) -> None:
    """A mapping that would send accepted rows again is stopped with the count and the flag; the flag goes on."""
    bench.job()
    rows = people(12)
    bench.csv(rows)
    bench.run()
    bench.job(data={"email": "{email}", "_fname": "{name}", "_city": "Riga"})
    bench.csv([*rows, *people(3, start=50)])
    stopped = bench.cli("run", "job.toml")
    assert stopped.code == 2, stopped.told()
    assert "12 rows" in stopped.err
    assert "--allow-resend" in stopped.err
    assert bench.effects() == once_each(rows)
    allowed = bench.run("--allow-resend")
    assert (allowed.code, counts(allowed.json)) == (0, {"accepted": 15})
    assert bench.run().json["skipped"] == {"accepted": 15}


def test_a_changed_mapping_that_sends_nobody_anything_twice_goes_on(bench: Bench) -> None:
    """With `repeat = "identity"` a changed body is no new message, so there is nothing to guard against."""
    bench.job(rules={"repeat": "identity"})
    bench.csv(people(5))
    bench.run()
    bench.job(rules={"repeat": "identity"}, data={"email": "{email}", "_city": "Riga"})
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (0, {"skipped": {"accepted": 5}})


def test_the_order_of_columns_and_of_keys_is_no_change(bench: Bench) -> None:
    """An export with its columns in another order, and a job with its keys in another order, send nothing again."""
    bench.job()
    rows = people(5)
    bench.csv(rows)
    bench.run()
    bench.job(data={"_fname": "{name}", "email": "{email}"})
    bench.csv([{"name": row["name"], "extra": "x", "email": row["email"]} for row in rows])
    ended = bench.run()
    assert (ended.code, counts(ended.json)) == (0, {"skipped": {"accepted": 5}})


def test_a_change_of_repeat_or_of_the_address_is_guarded_too(bench: Bench) -> None:
    """Whatever makes accepted rows look new is stopped; `installation` keeps the memory when the platform moves."""
    bench.job()
    bench.csv(people(5))
    bench.run()
    bench.job(rules={"repeat": "file"})
    assert "5 rows" in bench.cli("run", "job.toml").err
    bench.job(target={"url": f"{bench.sandbox.url}/"})
    assert counts(bench.run().json) == {"skipped": {"accepted": 5}}
    bench.job()
    moved = bench.sandbox.url.replace("127.0.0.1", "localhost")
    assert bench.cli("run", "job.toml", "--url", moved).code == 2
    bench.job(target={"url": moved, "installation": bench.sandbox.url})
    assert counts(bench.run().json) == {"skipped": {"accepted": 5}}
    assert set(bench.effects().values()) == {1}
