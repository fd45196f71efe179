"""The sample job through every call and both formats: the ledger cannot tell them apart."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bench import Bench

SAMPLES = Path(__file__).parents[2] / "sample_data"
ROWS = 300
CONTENT = re.compile(r"^\[request\.content\].*?(?=^# ---)", re.MULTILINE | re.DOTALL)
"""Of the sample, with which it can go through calls that send no message."""

CALLS = {
    "workflows/import_and_start": "workflow_id = 12",
    "profiles/import": "db_id = 3",
    "profiles/update": "",
    "workflows/import_and_start_batch": "workflow_id = 12",
    "workflows/import_and_start_batch_task": "workflow_id = 12",
    "profiles/import_batch": "db_id = 3",
}
"""With the number that each wants."""


def sample_job(bench: Bench, endpoint: str, form: str, more: str = "") -> Path:
    """The sample job, sent to the sandbox through this call."""
    text = CONTENT.sub("", (SAMPLES / "crm-contacts.toml").read_text(encoding="utf-8"))
    target = f'url = "{bench.sandbox.url}"\nendpoint = "{endpoint}"\nformat = "{form}"\n{CALLS[endpoint]}\n'
    text = re.sub(r"^url = .*\nworkflow_id = .*\n", target, text, flags=re.MULTILINE)
    text = text.replace('"crm_contacts.csv"', f'"{SAMPLES / "crm_contacts.csv"}"').replace('"10%"', '"90%"') + more
    path = bench.home / "sample.toml"
    path.write_text(text, encoding="utf-8")
    return path


def remembered(path: Path) -> list[tuple[Any, ...]]:
    """Every entry of a ledger, without what differs from run to run: Request-IDs and the second of the claim."""
    with closing(sqlite3.connect(path)) as database:
        columns = "run_id, source_no, row_number, lines_ahead, key, state, code, profile_id, replayed, attempts"
        return database.execute(f"SELECT {columns} FROM entries ORDER BY 1, 2, 3").fetchall()


def import_sample(bench: Bench, endpoint: str, form: str, more: str = "") -> list[tuple[Any, ...]]:
    """Run it on a platform that knows nobody, or everybody where profiles have to exist; what the ledger holds then."""
    bench.sandbox.reset()
    if endpoint == "profiles/update":
        first = sample_job(bench, "profiles/import", "json")
        known = bench.cli(
            "run", first, "--ledger", bench.home / f"first-{form}.db", "--limit", ROWS, "--concurrency", 1
        )
        assert known.code == 1, known.told()
    ledger = bench.home / f"{endpoint.replace('/', '-')}-{form}.db"
    ended = bench.cli(
        "run", sample_job(bench, endpoint, form, more), "--ledger", ledger, "--limit", ROWS, "--concurrency", 1
    )
    assert ended.code == 1, ended.told()  # the sample has rows that are unusable
    return remembered(ledger)


@pytest.mark.parametrize("endpoint", CALLS)
def test_a_sample_leaves_the_same_ledger_in_both_formats(bench: Bench, endpoint: str) -> None:
    """Key, state, code, profile: all alike."""
    in_json = import_sample(bench, endpoint, "json")
    assert len(in_json) > 0.9 * ROWS
    assert import_sample(bench, endpoint, "xml") == in_json


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("workflows/import_and_start", "workflows/import_and_start_batch"),
        ("profiles/import", "profiles/import_batch"),
    ],
)
def test_a_batch_leaves_the_ledger_of_single_calls(bench: Bench, one: str, many: str) -> None:
    """So a job may go over to batches, and back. Only attempts are those of the batch: one lost answer is all rows'."""
    in_batches, alone = import_sample(bench, many, "json"), import_sample(bench, one, "json")
    assert [entry[:8] for entry in in_batches] == [entry[:8] for entry in alone]


def test_a_task_leaves_the_same_ledger_but_for_the_profiles(bench: Bench) -> None:
    """Queued is accepted; nobody tells the profile."""
    queued = import_sample(bench, "workflows/import_and_start_batch_task", "json")
    done = import_sample(bench, "workflows/import_and_start_batch", "json")
    assert [one[:7] for one in queued] == [one[:7] for one in done]
    assert {one[7] for one in queued} == {None}
