"""`doctor` on a job in batches: which way of writing one is understood, and nobody engaged who was not named for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import Bench, Ended, counts, people
from test_batches import batch_job
from test_doctor import doctor, text_of, verdicts

from batchrunner.sandbox import Handle

ENGAGING = "workflows/import_and_start_batch"
CONSENT = ("--probe-profile", "me@example.com", "--db-id", 3, "--yes")


def importing(bench: Bench, **how: object) -> Path:
    """A job that imports in batches."""
    path = batch_job(bench, target={"endpoint": "profiles/import_batch"}, **how)  # type: ignore[arg-type]
    path.write_text(path.read_text().replace("workflow_id = 12\n", "db_id = 3\n"))
    return path


def batches(bench: Bench) -> list[dict[str, object]]:
    """The bodies of batches that came."""
    bodies = [json.loads(one["body"]) for one in bench.sandbox.requests(limit=1_000)]
    return [body for body in bodies if isinstance(body.get("data"), list)]


def test_nothing_is_tried_without_consent(bench: Bench) -> None:
    """It is said how to agree, and that a run finds out by itself."""
    batch_job(bench)
    ended = doctor(bench)
    assert (ended.code, verdicts(ended)["batch"]) == (0, "skipped")
    assert "--probe-profile" in text_of(ended, "batch")
    assert not batches(bench)


@pytest.mark.parametrize("endpoint", [ENGAGING, f"{ENGAGING}_task", "profiles/import_batch"])
def test_a_batch_that_is_not_understood_is_found_out_and_saved(bench: Bench, endpoint: str) -> None:
    """By batches about nobody: nobody is engaged, and the named profile alone is imported. The job then works."""
    bench.sandbox.change(batch_item="flat", workflow_ids=[12])
    path = importing(bench, item="wrapped") if endpoint.startswith("profiles") else batch_job(
        bench, item="wrapped", target={"endpoint": endpoint}
    )  # fmt: skip
    ended = doctor(bench, *CONSENT, "--save")
    assert (ended.code, verdicts(ended)["batch"]) == (1, "bad"), ended.told()
    assert 'set batch.item = "flat"' in text_of(ended, "batch")
    assert "batch.item" in ended.json["saved"]
    assert 'item = "flat"' in path.read_text(encoding="utf-8")
    assert not bench.sandbox.engagements()
    assert all(body["matching"] == "profile_id" for body in batches(bench))
    again = doctor(bench, *CONSENT, "--save")
    assert (again.code, verdicts(again)["batch"], again.json["saved"]) == (0, "ok", []), again.told()
    bench.csv(people(12))
    assert counts(bench.run().json) == {"accepted": 12}


def test_a_job_that_writes_batches_well_is_told_so(bench: Bench) -> None:
    """As the job has it, with the key inside."""
    bench.sandbox.change(batch_item="wrapped")
    batch_job(bench, item="wrapped", key="inside")
    ended = doctor(bench, *CONSENT)
    assert (ended.code, verdicts(ended)["batch"]) == (0, "ok"), ended.told()
    assert "wrapped, with the key inside `data`" in text_of(ended, "batch")


@pytest.fixture
def reticent(bench: Bench) -> Handle:
    """A platform that refuses whole what it cannot find a profile for, however it is written."""
    bench.sandbox.change(batch_item="flat", batch_refusals="whole")
    return bench.sandbox


def test_where_nobody_tells_nothing_engaging_is_asked_for_by_name(bench: Bench, reticent: Handle) -> None:
    """One profile, once, and only with a consent of its own."""
    batch_job(bench, item="wrapped")
    ended = doctor(bench, *CONSENT)
    assert verdicts(ended)["batch"] == "unknown", ended.told()
    assert "--probe-engage" in text_of(ended, "batch")
    assert not reticent.engagements()
    asked = bench.cli("doctor", "job.toml", *CONSENT[:-1], "--probe-engage")
    assert asked.code != 0
    assert "engage it in scenario 12, once" in asked.err
    assert not reticent.engagements()
    found = doctor(bench, *CONSENT, "--probe-engage")
    assert 'set batch.item = "flat"' in text_of(found, "batch"), found.told()
    assert reticent.engagement_counts() == {"me@example.com": 1}


def test_an_import_of_the_named_profile_tells_as_well(bench: Bench, reticent: Handle) -> None:
    """It is an upsert without a field, so no further consent is needed."""
    importing(bench, item="wrapped")
    ended = doctor(bench, *CONSENT, "--save")
    assert 'set batch.item = "flat"' in text_of(ended, "batch"), ended.told()
    assert "imported the profile you named" in text_of(ended, "batch")
    assert not reticent.engagements()


def refused(ended: Ended, sentence: str) -> bool:
    """Whether a command was refused before anything was sent."""
    return ended.code == 2 and sentence in ended.err


def test_engaging_is_for_batches_that_engage(bench: Bench) -> None:
    """Everything else is a slip, and said."""
    bench.job()
    assert refused(bench.cli("doctor", "job.toml", *CONSENT, "--probe-engage"), "is none: leave it out")
    assert refused(bench.cli("doctor", "job.toml", "--probe-engage"), "go with --probe-profile")
    assert not bench.sandbox.requests()
