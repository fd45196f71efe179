"""SIGKILL at every transition of a row's life, and at every statement of the ledger: what must hold holds.

After each kill the ledger is sound; after a plain run nobody was engaged twice and nobody is lost, and the result files
of every run are whole (`ordeal.Ordeal.check`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import killing
import pytest
from modes import BATCHES, MODES, SINGLE, Mode
from ordeal import Ordeal, crowd

from batchrunner.ledger import open_ledger
from batchrunner.ledger.schema import VERSION

LIVES = (
    "begun:1", "read:1", "judged:1", "claimed:1", "claimed:4", "sent:1", "sent:9", "answered:1", "answered:9",
    "collected:1", "collected:4", "committed:1", "committed:4", "unusable_committed:1", "half_a_line:1",
    "half_a_line:4", "written:1", "written:4",
)  # fmt: skip
"""While rows are under way."""

ENDS = ("run_over:1", "run_ended:1", "before_summary:1", "half_a_summary:1", "after_summary:1")
"""Between the last row and the end of the process."""

MENDS = ("buried:1", "mended:1", "half_mended:1", "half_mended:2", "half_mended:3", "mended_summary:1")
"""While the next run puts in order what the one before has left."""

OF_OLD = sorted((Path(__file__).parents[1] / "contract" / "ledgers_of_old").glob("version_*.sql"))


def test_every_point_can_be_installed() -> None:
    """The list of names is the list of points, and each of them is used here."""
    assert set(killing._points()) == set(killing.NAMES)
    of_modes = [point for mode in MODES for point in mode.points]
    points = (*LIVES, *ENDS, *MENDS, *of_modes, "before_statement", "after_statement")
    used = {name.removeprefix(killing.IN_SENDERS).partition(":")[0] for name in points}
    assert used == set(killing.NAMES)


@pytest.mark.parametrize("mode", [SINGLE, BATCHES], ids=lambda mode: mode.name)
@pytest.mark.parametrize("deduplicates", [True, False], ids=["deduplicating", "holding"])
def test_a_run_is_killed_at_every_moment_of_a_row_s_life(ordeal: Ordeal, mode: Mode, deduplicates: bool) -> None:
    """One job, killed at one point after the other, until a plain run completes it."""
    ordeal.mode, ordeal.deduplicates = mode, deduplicates
    ordeal.concurrency = 8 if mode is SINGLE else 2
    ordeal.give(crowd(700 if mode is SINGLE else 1_200, "p", poisoned=mode.poisoned))
    points = (*mode.points, *LIVES)
    died = {point: ordeal.die_at(point) for point in points}
    assert all(died[point] for point in points[:-2]), died  # the last ones may find too little left to do
    ordeal.go_through()
    ordeal.check()


def test_a_run_is_killed_at_every_moment_of_its_end_and_of_the_mending_after_it(ordeal: Ordeal) -> None:
    """Nothing is left to send any more, and yet something could be left half written."""
    ordeal.give(crowd(400, "p"))
    for point in MENDS:
        assert ordeal.die_at("half_a_line:1"), point
        assert ordeal.die_at(point), point
    for point in ENDS:
        assert ordeal.die_at(point), point
    ordeal.go_through()
    ordeal.check()


@pytest.mark.parametrize("mode", [SINGLE, BATCHES], ids=lambda mode: mode.name)
def test_a_run_is_killed_before_every_statement_of_the_ledger(ordeal: Ordeal, mode: Mode) -> None:
    """From the making of the tables to the end of the run: one statement further each time."""
    ordeal.mode = mode
    ordeal.concurrency = 4 if mode is SINGLE else 1
    ordeal.give(crowd(160, "p", poisoned=mode.poisoned))
    at = 1
    while ordeal.die_at(f"before_statement:{at}"):
        at += 1 if at < 40 else 7
    assert at > 40
    ordeal.go_through()
    ordeal.check()


def test_a_run_is_killed_after_every_statement_of_the_ledger(ordeal: Ordeal) -> None:
    """A commit that was made counts, though nobody has heard of it."""
    ordeal.deduplicates = False
    ordeal.give(crowd(120, "p"))
    at = 1
    while ordeal.die_at(f"after_statement:{at}"):
        at += 3
    assert at > 20
    ordeal.go_through()
    ordeal.check()


@pytest.mark.parametrize("script", OF_OLD, ids=lambda script: script.stem)
def test_a_migration_is_killed_at_every_statement(ordeal: Ordeal, script: Path) -> None:
    """The ledger is of the old version or of the new one, and the next command goes on."""
    ordeal.give(crowd(1, "p"))
    at = 1
    while True:
        for path in ordeal.home.glob("ledger.db*"):
            path.unlink()
        with closing(sqlite3.connect(ordeal.ledger)) as database:
            database.executescript(script.read_text())
        if not ordeal.die_at(f"before_statement:{at}", "results", "--run", "last", ends={2}):
            break
        with closing(sqlite3.connect(ordeal.ledger)) as database:
            (version,) = database.execute("SELECT version FROM schema_version").fetchone()
        assert version in {int(script.stem.removeprefix("version_")), VERSION}
        open_ledger(str(ordeal.ledger)).close()
        with closing(sqlite3.connect(ordeal.ledger)) as database:
            assert database.execute("SELECT version FROM schema_version").fetchall() == [(VERSION,)]
        at += 1


@pytest.mark.parametrize("mode", [SINGLE, BATCHES], ids=lambda mode: mode.name)
def test_a_retry_is_killed_at_every_moment(ordeal: Ordeal, mode: Mode) -> None:
    """Rows that were refused go again, one kill after the other, and each has its effect once."""
    ordeal.mode = mode
    ordeal.concurrency = 8 if mode is SINGLE else 2
    rows = crowd(200, "p", rejected=0)
    ordeal.give(rows)
    ordeal.sandbox.change(fail=["435:100"])
    assert ordeal.go_through()["rejected"] > 100
    ordeal.sandbox.change(fail=[])
    for point in ("claimed:1", "sent:5", "answered:5", "committed:2", "half_a_line:2", "written:3", "before_summary:1"):
        ordeal.die_at(point, "retry")
    ordeal.go_through("retry")
    ordeal.go_through("retry")
    ordeal.check()


def test_a_resolve_is_killed_before_every_statement(ordeal: Ordeal) -> None:
    """A decision is taken whole or not at all, and what the dead run has left is in order either way."""
    ordeal.deduplicates = False
    ordeal.give(crowd(60, "p"))
    assert ordeal.die_at("committed:2")
    at = 1
    while ordeal.die_at(f"before_statement:{at}", "resolve", "--run", "last", "--as", "resend"):
        with closing(sqlite3.connect(ordeal.ledger)) as database:
            states = {
                state for (state,) in database.execute("SELECT DISTINCT state FROM entries WHERE state IN (0, 4, 5)")
            }
        assert len(states) == 1
        at += 1
    assert at > 5
    ordeal.go_through()
    ordeal.check_files()
