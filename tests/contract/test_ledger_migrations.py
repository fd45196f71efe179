"""A ledger of every version that users may have becomes one of today, and remembers what it knew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from batchrunner.ledger import History, glance, open_ledger
from batchrunner.ledger.schema import VERSION
from batchrunner.model import Key, State

OF_OLD = sorted((Path(__file__).parent / "ledgers_of_old").glob("version_*.sql"))


def shape(path: Path) -> dict[str, object]:
    """Tables with their columns, and indexes with their columns and conditions: what a ledger is, not how it came."""
    with sqlite3.connect(path) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        columns = {
            name: sorted(row[1:] for row in database.execute(f"PRAGMA table_info({name})"))
            for (name,) in sorted(tables)
        }
        indexes = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return {**columns, **{name: " ".join(sql.split()) for name, sql in sorted(indexes)}}


def of_old(script: Path, path: Path) -> Path:
    with sqlite3.connect(path) as database:
        database.executescript(script.read_text())
    return path


@pytest.mark.parametrize("script", OF_OLD, ids=lambda script: script.stem)
def test_a_migrated_ledger_is_like_a_new_one(script: Path, tmp_path: Path) -> None:
    """The same tables, columns and indexes, whichever version it began as."""
    old, new = of_old(script, tmp_path / "old.db"), tmp_path / "new.db"
    open_ledger(str(old)).close()
    open_ledger(str(new)).close()
    assert shape(old) == shape(new)
    with sqlite3.connect(old) as database:
        assert database.execute("SELECT version FROM schema_version").fetchall() == [(VERSION,)]


@pytest.mark.parametrize("script", OF_OLD, ids=lambda script: script.stem)
def test_a_migrated_ledger_remembers(script: Path, tmp_path: Path) -> None:
    """What was accepted stays accepted, a claim that a dead run left is found, and runs are listed."""
    accepted, claimed = Key(bytes(range(16))), Key(bytes(range(16, 32)))
    with open_ledger(str(of_old(script, tmp_path / "old.db"))) as ledger:
        assert {key: one.state for key, one in ledger.standing([accepted, claimed]).items()} == {
            accepted: State.ACCEPTED,
            claimed: State.CLAIMED,
        }
        assert ledger.bury_dead_runs("crm", 1_795_466_800_000) == ["20261123-204501-3fa29c"]
        (run,) = History(ledger).runs("crm")
        assert (run.totals.accepted, run.totals.in_doubt) == (1, 1)


def test_there_is_a_ledger_of_every_version_but_today_s() -> None:
    """A new version needs the one before it on the shelf."""
    assert [script.stem for script in OF_OLD][: VERSION - 1] == [f"version_{n}" for n in range(1, VERSION)]


def test_a_look_knows_the_present_version() -> None:
    """Whoever changes a table looks whether `glance` still asks rightly, and raises its number."""
    assert glance.VERSION == VERSION
