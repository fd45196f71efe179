"""Power loss, as far as a machine can play it: the write-ahead log cut at every page since the last sync.

What was synced is on the disk; of what was written since, any part may be. A commit of ours returns after its sync: so
whatever is cut behind it, what it holds must be there, and the next commit must be there whole or not at all.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from ledgers import NOW_MS, a_claim, a_run, ends, totals_of

from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import State

WAL_HEADER, FRAME_HEADER = 32, 24
PAGE = 4096
COMMITS = 6
CLAIMS = 40
"""In each commit: enough for several pages."""


def states_in(ledger: Path) -> dict[int, int]:
    """Row number and state of every entry."""
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT row_number, state FROM entries").fetchall())


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[tuple[int, dict[int, int]]]]:
    """A copy of a ledger in the middle of a run: for each commit, the size of the log after it and what it promised."""
    promised: list[tuple[int, dict[int, int]]] = []
    kept = tmp_path / "kept"
    kept.mkdir()
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        run = a_run(ledger)
        log = Path(f"{ledger.path}-wal")
        promised.append((log.stat().st_size, {}))
        states: dict[int, int] = {}
        flying = []
        for commit in range(COMMITS):
            claims = [a_claim(commit * CLAIMS + number) for number in range(1, CLAIMS + 1)]
            settled = [ends(claim) for claim in flying]
            ledger.exchange(run, settled, claims, totals_of(len(states) + CLAIMS, settled))
            states.update({claim.request.row.number: int(State.ACCEPTED) for claim in flying})
            states.update({claim.request.row.number: int(State.CLAIMED) for claim in claims})
            flying = claims
            promised.append((log.stat().st_size, dict(states)))
        for path in (ledger.path, log):  # while it is open: closing would fold the log into the file
            shutil.copy(path, kept)
    assert (promised[-1][0] - WAL_HEADER) % (PAGE + FRAME_HEADER) == 0
    return kept, promised


def cut(kept: Path, to: Path, size: int, *, zeroes: bool) -> Path:
    """The files as the disk might hold them: the log ends there, or is empty paper from there on."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(kept, to)
    log = to / "ledger.db-wal"
    content = log.read_bytes()
    log.write_bytes(content[:size] + (bytes(len(content) - size) if zeroes else b""))
    return to / "ledger.db"


@pytest.mark.parametrize("zeroes", [False, True], ids=["cut off", "zeroes"])
def test_what_a_commit_has_promised_survives_any_loss_behind_it(
    written: tuple[Path, list[tuple[int, dict[int, int]]]], tmp_path: Path, zeroes: bool
) -> None:
    """At every page boundary, and in the middle of each page."""
    kept, promised = written
    cuts = 0
    for (synced, before), (end, after) in pairwise(promised):
        assert end > synced + PAGE
        for boundary in range(synced, end, PAGE + FRAME_HEADER):
            for size in (boundary, boundary + FRAME_HEADER + PAGE // 2):
                assert states_in(cut(kept, tmp_path / "cut", size, zeroes=zeroes)) == before
                cuts += 1
        assert states_in(cut(kept, tmp_path / "cut", end, zeroes=zeroes)) == after
    assert cuts > 4 * COMMITS


def test_after_the_loss_the_next_run_finds_every_claim_in_doubt(
    written: tuple[Path, list[tuple[int, dict[int, int]]]], tmp_path: Path
) -> None:
    """Through the program's own door: what was protected is protected still, and nothing else is made up."""
    kept, promised = written
    for (synced, before), _ in pairwise(promised[1:]):
        with SqlLedger(cut(kept, tmp_path / "cut", synced + PAGE, zeroes=False)) as ledger:
            assert ledger.bury_dead_runs("crm", NOW_MS + 1) == ["run-1"]
        claimed = {number for number, state in before.items() if state == State.CLAIMED}
        after = states_in(tmp_path / "cut" / "ledger.db")
        assert {number for number, state in after.items() if state == State.IN_DOUBT} == claimed
        assert after.keys() == before.keys()
