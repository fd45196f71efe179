"""A backup and a damaged file become one ledger: nobody is forgotten, and what cannot be believed changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledgers import a_claim, a_request, a_run, end, key_of, send

from batchrunner.errors import LedgerError
from batchrunner.ledger import History, open_ledger
from batchrunner.ledger.repairing import problems_of, repair
from batchrunner.model import State

PEOPLE = ("ann", "bob", "cid", "dee")
KEYS = [key_of(name) for name in PEOPLE]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a run in which four people ended in four ways, and its backup beside it."""
    path = tmp_path / "ledger.db"
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        for number, (name, state) in enumerate(zip(PEOPLE, (State.ACCEPTED, *list(State)[2:5]), strict=True), 1):
            send(ledger, run, a_claim(a_request(number, name)), to=state)
        end(ledger, run)
    shutil.copy(path, tmp_path / "backup.db")
    return path


def change(path: Path, *statements: str) -> None:
    """What damage may look like that happens to leave a database in order."""
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def states(path: Path) -> dict[str, State]:
    """How the gate sees each of the four."""
    with open_ledger(str(path)) as ledger:
        standing = ledger.standing(KEYS)
    return {name: standing[key].state for name, key in zip(PEOPLE, KEYS, strict=True)}


BEFORE = dict(zip(PEOPLE, (State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT), strict=True))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET key = x'00112233445566778899aabbccddeeff' WHERE row_number = 1",
        "UPDATE entries SET key = x'00' WHERE row_number = 1",
        "UPDATE entries SET state = 3 WHERE row_number = 1",
        "UPDATE entries SET state = 111 WHERE row_number = 1",
        "UPDATE entries SET superseded_by = 77",
        "UPDATE entries SET superseded_by = 1 WHERE row_number = 1",
        "UPDATE entries SET run_id = 9",
        "UPDATE entries SET request_id = 'text'",
        "UPDATE runs SET totals = '{\"read\":'",
        "UPDATE runs SET name = 'another'",
        "DELETE FROM runs",
        "DELETE FROM entries",
        "DROP TABLE entries",
    ],
)
def test_nobody_whom_the_backup_knows_is_forgotten_for_what_a_damaged_file_says(path: Path, damage: str) -> None:
    """Whatever it says of a row, the row stands as in the backup."""
    change(path, damage)
    repair(path, path.with_name("backup.db"), "mark")
    assert states(path) == BEFORE
    assert problems_of(path) == []


def test_what_went_on_after_the_backup_is_believed(path: Path) -> None:
    """A row that was in doubt and was accepted since, and a run that the backup does not know."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger, "run-2")
        standing = ledger.standing([key_of("dee")])[key_of("dee")]
        send(ledger, run, a_claim(a_request(4, "dee"), takes_over=(standing.ref,)))
        send(ledger, run, a_claim(a_request(5, "eve")))
        end(ledger, run)
    repair(path, path.with_name("backup.db"), "mark")
    assert states(path) == {**BEFORE, "dee": State.ACCEPTED}
    with open_ledger(str(path)) as ledger:
        assert ledger.standing([key_of("eve")])[key_of("eve")].state is State.ACCEPTED


def test_entries_whose_run_cannot_be_read_still_hold_their_rows_back(path: Path) -> None:
    """Without a backup: they are kept under a run of their own, in the state they had."""
    change(path, "DELETE FROM runs")
    repair(path, None, "mark")
    assert states(path) == BEFORE
    with open_ledger(str(path)) as ledger:
        assert [run.job for run in History(ledger).runs()] == ["lost"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("UPDATE entries SET state = 111 WHERE row_number = 1", "1 entries hold what no entry can hold"),
        ("UPDATE runs SET totals = 'x'", "1 runs hold what no run can hold"),
        ("UPDATE entries SET run_id = 5", "4 entries belong to no run"),
    ],
)
def test_what_no_ledger_holds_is_called_damage(path: Path, damage: str, sentence: str) -> None:
    """Though the database is in order."""
    change(path, damage)
    assert problems_of(path) == [sentence]


def test_a_row_that_is_none_is_said_with_the_command_that_helps(path: Path) -> None:
    """Where it is read: by the gate, and by those who look."""
    change(path, "UPDATE entries SET state = 111", "UPDATE runs SET totals = 'x'")
    with open_ledger(str(path)) as ledger:
        for read in (lambda: ledger.standing(KEYS), lambda: History(ledger).runs()):
            with pytest.raises(LedgerError, match="mend with 'batchrunner ledger repair'"):
                read()


def test_a_backup_of_an_older_version_is_taken(tmp_path: Path) -> None:
    """It is brought up to date on the way."""
    for number, old in enumerate(sorted(Path(__file__).parent.glob("ledgers_of_old/version_*.sql"))):
        backup = tmp_path / f"{number}.backup"
        with closing(sqlite3.connect(backup)) as database:
            database.executescript(old.read_text())
        repair(tmp_path / f"{number}.db", backup, "mark")
        assert problems_of(tmp_path / f"{number}.db") == []
