"""A ledger that is not what was written: found, said with the command that helps, never silently made anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from bench import Bench, once_each, people

pytestmark = pytest.mark.damaged


@pytest.fixture
def used(bench: Bench) -> Bench:
    """A home whose ledger knows a first export, and has a backup from then; a second export came after it."""
    bench.job()
    bench.csv(people(600))
    assert bench.run().code == 0
    assert bench.cli("ledger", "backup", bench.home / "backup.db").code == 0
    bench.csv(people(700))
    assert bench.run().code == 0
    return bench


def flip(path: Path, first: int, count: int) -> None:
    """Damage some bytes."""
    with path.open("r+b") as file:
        file.seek(first)
        file.write(b"\xde\xad\xbe\xef" * (count // 4))


def integrity(path: Path) -> str:
    """What the database says of itself."""
    with closing(sqlite3.connect(path)) as database:
        try:
            return str(database.execute("PRAGMA integrity_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)


def test_a_sound_ledger_is_called_sound(used: Bench) -> None:
    """And nothing is missing in it."""
    told = used.cli("ledger", "check", "--output", "json")
    assert (told.code, told.json["sound"], told.json["gaps"]) == (0, True, [])


@pytest.mark.parametrize("size", [0, 4_096, 20_000])
def test_a_ledger_that_has_lost_its_end_is_not_made_anew(used: Bench, size: int) -> None:
    """Cut off or empty: exit code 4, the command that helps, and the file stays as it is."""
    with used.ledger.open("r+b") as file:
        file.truncate(size)
    before = used.ledger.read_bytes()
    ended = used.cli("run", "job.toml")
    assert ended.code == 4, ended.told()
    assert "batchrunner ledger repair" in ended.err
    assert "Traceback" not in ended.err
    assert used.ledger.read_bytes() == before


def test_a_damaged_page_is_found_by_a_check(used: Bench) -> None:
    """With exit code 4 and what to do."""
    flip(used.ledger, 3 * 4_096, 3_000)
    ended = used.cli("ledger", "check")
    assert ended.code == 4, ended.told()
    assert "batchrunner ledger repair" in ended.out


def test_a_damaged_ledger_is_made_anew_from_its_backup_and_what_can_be_read(used: Bench) -> None:
    """Nobody who was engaged is engaged again, and the damaged file is kept."""
    flip(used.ledger, used.ledger.stat().st_size // 2 // 4_096 * 4_096, 4_096)
    assert integrity(used.ledger) != "ok"
    done = used.cli("ledger", "repair", "--from", used.home / "backup.db", "--output", "json")
    assert done.code == 0, done.told()
    assert integrity(used.ledger) == "ok"
    assert Path(done.json["kept"]).exists()
    assert done.json["from_backup"] == 600
    lost = sum(gap["told"] - gap["remembered"] for gap in done.json["gaps"])
    again = used.run("--allow-resend")
    assert again.json["skipped"]["accepted"] >= 600
    assert again.json["accepted"] <= lost
    assert used.effects().keys() == once_each(people(700)).keys()


def test_a_repair_finds_the_newest_sound_backup_by_itself(used: Bench) -> None:
    """Of those that were made, in the order in which they were made: not one that is gone, nor one that is damaged."""
    assert used.cli("ledger", "backup", used.home / "second.db").code == 0
    for name in ("third.db", "fourth.db"):
        assert used.cli("ledger", "backup", used.home / name).code == 0
    flip(used.home / "third.db", 2 * 4_096, 4_000)
    (used.home / "fourth.db").unlink()
    used.ledger.unlink()
    done = used.cli("ledger", "repair", "--output", "json")
    assert done.code == 0, done.told()
    assert done.json["backup"] == str(used.home / "second.db")
    assert "the newest backup that is there and sound is" in done.err
    assert done.json["from_backup"] == 700
    assert used.run().json["skipped"] == {"accepted": 700}


def test_a_repair_says_which_rows_are_not_remembered(used: Bench) -> None:
    """Nothing of the file can be read, so what came after the backup is known from result files alone."""
    flip(used.ledger, 0, 40_000)
    done = used.cli("ledger", "repair", "--from", used.home / "backup.db")
    assert done.code == 0, done.told()
    assert integrity(used.ledger) == "ok"
    assert used.run().json["skipped"]["accepted"] == 600


def test_a_damaged_backup_is_refused_and_nothing_is_changed(used: Bench) -> None:
    """The ledger stays as it was."""
    flip(used.home / "backup.db", 2 * 4_096, 4_000)
    before = used.ledger.read_bytes()
    ended = used.cli("ledger", "repair", "--from", used.home / "backup.db")
    assert ended.code == 4, ended.told()
    assert "is damaged itself" in ended.err
    assert used.ledger.read_bytes() == before
    assert not list(used.ledger.parent.glob(".*repair*"))
    assert not list(used.ledger.parent.glob(".*salvage*"))
