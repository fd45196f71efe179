"""The same people through each call: what arrives at the platform, and what the ledger remembers."""

from __future__ import annotations

from typing import Any

import pytest
from bench import Bench, counts, named, people

CALLS = {
    "workflows/import_and_start": {"workflow_id": 12},
    "profiles/import": {"workflow_id": None, "db_id": 3},
    "profiles/update": {"workflow_id": None},
}


def target_of(endpoint: str, form: str) -> dict[str, object]:
    """`[target]` with this call."""
    return {
        "endpoint": endpoint,
        "format": form,
        **{name: number for name, number in CALLS[endpoint].items() if number is not None},
    }


def job_of(bench: Bench, endpoint: str, form: str = "json", **tables: Any) -> None:
    """The job of the bench, with another call."""
    path = bench.job(target=target_of(endpoint, form), **tables)
    if CALLS[endpoint].get("workflow_id") is None:
        path.write_text(path.read_text().replace("workflow_id = 12\n", ""))


def test_an_import_engages_nobody_and_is_not_repeated(bench: Bench) -> None:
    """The profiles are there, with what they were given."""
    job_of(bench, "profiles/import")
    bench.csv(people(20))
    assert counts(bench.run().json) == {"accepted": 20}
    assert bench.effects() == {}
    assert {one["data"]["_fname"] for one in bench.sandbox.profiles()} == {f"Name {n}" for n in range(20)}
    assert counts(bench.run().json) == {"skipped": {"accepted": 20}}


def test_what_was_imported_is_still_to_be_engaged(bench: Bench) -> None:
    """Two calls, two things asked: but a job that changes its call has to say that this is meant."""
    job_of(bench, "profiles/import")
    bench.csv(people(5))
    bench.run()
    bench.job()
    refused = bench.cli("run", "job.toml")
    assert (refused.code, "--allow-resend" in refused.err) == (2, True), refused.told()
    assert counts(bench.run("--allow-resend").json) == {"accepted": 5}
    assert set(bench.effects().values()) == {1}


def test_an_update_and_a_start_need_a_profile(bench: Bench) -> None:
    """404 is about the row while other rows do better."""
    bench.job(name="first")
    bench.csv(people(3))
    bench.run()
    bench.csv(people(4))
    job_of(bench, "profiles/update", data={"_city": "Paris"})
    assert bench.run().json["codes"] == {"rejected:404": 1}
    assert [one["data"].get("_city") for one in bench.sandbox.profiles()] == ["Paris"] * 3
    path = bench.job(
        target={"endpoint": "workflows/start"}, name="start", request={"content": {"one": "{name}"}}, data={}
    )
    assert path.exists()
    assert bench.run().json["codes"] == {"rejected:404": 1}
    assert sorted(bench.effects().values()) == [2, 2, 2]
    assert bench.sandbox.engagements()[-1]["content"]["one"].startswith("Name")


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("endpoint", CALLS)
def test_every_documented_code_means_the_same_through_each_call(bench: Bench, endpoint: str, form: str) -> None:
    """That row alone; `test_xml` holds the codes that stop a run to both formats."""
    codes = [400, 404, 409, 413, 435, 441, 450]
    rows = [*named(*(f"p{code}+fail-{code}" for code in codes), "doubt+fail-500", "ann")]
    if endpoint == "profiles/update":  # there has to be somebody to update
        bench.csv(rows[-1:])
        job_of(bench, "profiles/import", name="before")
        bench.run()
    bench.csv(rows)
    job_of(bench, endpoint, form=form)
    ended = bench.run().json
    assert ended["codes"] == {**{f"rejected:{code}": 1 for code in codes}, "in_doubt:500": 1}
    assert ended["accepted"] == 1


@pytest.mark.parametrize("endpoint", ["profiles/import"])
def test_an_import_in_doubt_is_repeated_without_deduplication(bench: Bench, endpoint: str) -> None:
    """An upsert cannot happen twice."""
    bench.sandbox.change(dedupe_window_s=0)
    job_of(bench, endpoint)
    path = bench.home / "job.toml"
    path.write_text(path.read_text().replace("[target]\n", "[target]\ndeduplicates = false\n"))
    bench.csv(named("ann+drop-after-once", "bob"))
    ended = bench.run().json
    assert (counts(ended), ended["requests"]) == ({"accepted": 2}, 3)


def test_check_says_what_is_inferred(bench: Bench) -> None:
    """On stderr, before the first row."""
    bench.job(target={"endpoint": "workflows/start"}, data={})
    bench.csv(people(1))
    ended = bench.cli("check", "job.toml")
    assert ended.code == 0, ended.told()
    assert "job.toml: target.endpoint: how workflows/start is asked is inferred" in ended.err
