"""Ledgers with damage: opened, checked and repaired, they give a sentence or a ledger, and a backup loses no row.

eight bytes a spoilt place: where (4), how many bytes (1), with what (1), and two more that they are mixed with
"""

from __future__ import annotations

import functools
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from ledgers import a_claim, a_request, a_run, end, key_of, send

from batchrunner.errors import LedgerError
from batchrunner.ledger import History, open_ledger
from batchrunner.ledger.copies import export
from batchrunner.ledger.repairing import gaps_in, problems_of, repair
from batchrunner.model import State

STATES = (State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT)
PEOPLE = 120
SEEDS = (
    b"\0\0\0\x10\x08\xff\0\0",
    b"\0\0\x10\0\x40\0\0\0",
    b"\0\0\x30\x05\x01\x7f\x01\0\0\0\x50\0\xff\xaa\x03\0",
    b"\0\0\0\0\xff\0\0\0",
)
PIECES = tuple(bytes([value]) for value in (0, 1, 2, 0x0D, 0x10, 0x40, 0x7F, 0x80, 0xFF))


@functools.cache
def whole() -> bytes:
    """A ledger with rows of every end."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "ledger.db")
        with open_ledger(str(path)) as ledger:
            for number, state in enumerate(STATES):
                run = a_run(ledger, f"run-{number}")
                people = range(number, PEOPLE, len(STATES))
                send(ledger, run, *(a_claim(a_request(n + 1, f"person-{n}")) for n in people), to=state)
                end(ledger, run)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def spoilt(data: bytes) -> bytes:
    """The ledger with these places spoilt."""
    content = bytearray(whole())
    for start in range(0, len(data) - 7, 8):
        at = int.from_bytes(data[start : start + 4], "big") % len(content)
        count, value, mixed = data[start + 4], data[start + 5], data[start + 6]
        for place in range(at, min(at + count, len(content))):
            content[place] = value ^ (content[place] if mixed & 1 else 0)
    return bytes(content)


def try_one(data: bytes) -> None:
    """Nothing but a LedgerError comes out, and what is repaired from a backup is sound and knows everybody."""
    with TemporaryDirectory() as folder:
        path, backup = Path(folder, "ledger.db"), Path(folder, "backup.db")
        damaged = spoilt(data)
        path.write_bytes(damaged)
        backup.write_bytes(whole())
        look(Path(shutil.copy(path, Path(folder, "looked-at.db"))))
        repair(path, backup, "mark")
        assert problems_of(path) == []
        gaps_in(path)
        with open_ledger(str(path)) as ledger:
            keys = [key_of(f"person-{n}") for n in range(PEOPLE)]
            assert set(ledger.standing(keys)) == set(keys)
        assert Path(folder, "ledger.db.damaged-mark").read_bytes() == damaged


def look(path: Path) -> None:
    """Read it in every way there is."""
    with suppress(LedgerError):
        if not problems_of(path):
            gaps_in(path)
    with suppress(LedgerError), open_ledger(str(path), create=False) as ledger:
        with suppress(LedgerError):
            ledger.standing([key_of(f"person-{n}") for n in range(PEOPLE)])
        with suppress(LedgerError):
            for _ in export(ledger):
                pass
        with suppress(LedgerError):
            History(ledger).runs()
        with suppress(LedgerError):
            ledger.bury_dead_runs("crm", 0)
