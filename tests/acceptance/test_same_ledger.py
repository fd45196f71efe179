"""The sample job runs through every call and both formats, with identical ledgers.

Identical is what a call cannot change: which rows were claimed, under which keys, how each ended, which profile it
became. What differs is a fact of the call:

key        one for each family of calls: imported is not engaged (docs/endpoints.md). Formats and batches share theirs.
profile    a queue tells none.
rows       Calls that only start import nothing, so a row whose only fault is in `data` is usable to them: the platform
           does not know that person, and says 404.
attempts   and replays are those of the request: one lost answer of a batch is that of all its rows. They are compared
           between formats alone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from bench import Bench

from batchrunner.endpoints import ENDPOINTS, Endpoint
from batchrunner.model import State
from batchrunner.sandbox import Handle, Settings

SAMPLES = Path(__file__).parents[2] / "sample_data"
ROWS = 120
CONTENT = re.compile(r"^\[request\.content\].*?(?=^# ---)", re.MULTILINE | re.DOTALL)
"""Of the sample, with which it can go through calls that send no message, or have no place for one row's."""
DATA = re.compile(r"^skip_triggers.*?\n|^\[request\.data\].*?(?=^# ---)", re.MULTILINE | re.DOTALL)
"""Of the sample, without which it can go through calls that import nothing."""

FIRST = "workflows/import_and_start"


class Entry(NamedTuple):
    """What the ledger keeps of a row, without what differs from run to run: Request-ID and the second of the claim."""

    run: int
    source: int
    row: int
    lines_ahead: int
    key: bytes
    state: int
    code: str | None
    profile: bytes | None
    replayed: int
    attempts: int

    @property
    def end(self) -> tuple[object, ...]:
        """How the row ended."""
        return self.run, self.source, self.row, self.lines_ahead, self.state, self.code, self.profile


def remembered(path: Path) -> list[Entry]:
    """Every entry of a ledger."""
    with closing(sqlite3.connect(path)) as database:
        columns = "run_id, source_no, row_number, lines_ahead, key, state, code, profile_id, replayed, attempts"
        return [Entry(*row) for row in database.execute(f"SELECT {columns} FROM entries ORDER BY 1, 2, 3")]


def sample_job(bench: Bench, call: Endpoint, form: str) -> Path:
    """The sample job, sent to the sandbox through this call."""
    text = CONTENT.sub("", (SAMPLES / "crm-contacts.toml").read_text(encoding="utf-8"))
    if "data" not in call.takes:
        text = DATA.sub("", text)
    number = f"{call.number} = 12" if call.scenario else "db_id = 3" if call.database == "must" else ""
    target = f'url = "{bench.sandbox.url}"\nendpoint = "{call.name}"\nformat = "{form}"\n{number}\n'
    text = re.sub(r"^url = .*\nworkflow_id = .*\n", target, text, flags=re.MULTILINE)
    text = text.replace('"crm_contacts.csv"', f'"{SAMPLES / "crm_contacts.csv"}"').replace('"10%"', '"90%"')
    path = bench.home / "sample.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run_sample(bench: Bench, call: Endpoint, form: str, ledger: str) -> list[Entry]:
    """Run it, one request after the other, so that the platform's ids go by the order of rows."""
    path = bench.home / ledger
    ended = bench.cli(
        "run", sample_job(bench, call, form), "--ledger", path, "--limit", ROWS, "--concurrency", 1, "--no-progress"
    )
    assert ended.code == 1, ended.told()  # the sample has rows that are unusable
    return remembered(path)


def imported(bench: Bench, call: Endpoint, form: str) -> list[Entry]:
    """The sample's ledger, on a platform that knows nobody; or everybody, where profiles have to exist."""
    bench.sandbox.reset()
    if call.name == "profiles/update" or call.name.endswith("/start"):
        run_sample(bench, ENDPOINTS["profiles/import"], "json", f"first-{form}.db")
    return run_sample(bench, call, form, f"{call.name.replace('/', '-')}-{form}.db")


@pytest.fixture(scope="module")
def engaged(shared_sandbox: Handle, tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """What the main call leaves."""
    bench = Bench(tmp_path_factory.mktemp("engaged"), shared_sandbox)
    shared_sandbox.change(**Settings().as_json())
    try:
        return imported(bench, ENDPOINTS[FIRST], "json")
    finally:
        bench.close()


@pytest.mark.parametrize("call", [pytest.param(one, id=one.name) for one in ENDPOINTS.values()])
def test_the_sample_job_leaves_one_ledger_through_every_call_and_both_formats(
    engaged: list[Entry], bench: Bench, call: Endpoint
) -> None:
    """Key, row, end, profile: what differs is what the head of this file says, and nothing else."""
    in_json, in_xml = imported(bench, call, "json"), imported(bench, call, "xml")
    assert len(engaged) > 0.9 * ROWS
    assert in_xml == in_json
    assert [one.end for one in known(in_json, engaged, call)] == [expected(one, call) for one in engaged]
    same_keys = [one.key for one in known(in_json, engaged, call)] == [one.key for one in engaged]
    assert same_keys == (call.family == ENDPOINTS[FIRST].family)


def known(entries: Sequence[Entry], engaged: Sequence[Entry], call: Endpoint) -> list[Entry]:
    """The entries, without rows that only a call without `data` can use: the platform does not know those people."""
    rows = {one.row for one in engaged}
    others = [one for one in entries if one.row not in rows]
    assert ("data" in call.takes) == (not others)
    assert {(one.state, one.code) for one in others} <= {(State.REJECTED, "404")}
    return [one for one in entries if one.row in rows]


def expected(entry: Entry, call: Endpoint) -> tuple[object, ...]:
    """How a row ends through a call that the main call has accepted."""
    assert entry.state == State.ACCEPTED
    return entry._replace(profile=None).end if call.queued else entry.end


@pytest.mark.parametrize(
    ("one", "many"),
    [(call.alone, call.name) for call in ENDPOINTS.values() if call.item is not None and not call.queued],
)
def test_batches_and_single_calls_share_their_keys(bench: Bench, one: str, many: str) -> None:
    """So a job may go over to batches, and back: nothing is sent twice by that."""
    alone = imported(bench, ENDPOINTS[one], "json")
    ledger = bench.home / f"{one.replace('/', '-')}-json.db"
    again = bench.cli(
        "run", sample_job(bench, ENDPOINTS[many], "xml"), "--ledger", ledger, "--limit", ROWS, "--output", "json"
    )
    assert (again.json["accepted"], again.json["skipped"]) == (0, {"accepted": len(alone)}), again.told()
