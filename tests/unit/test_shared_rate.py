"""The file behind a shared rate: one moment, under a lock that ends with its holder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batchrunner.errors import LedgerError
from batchrunner.submit import ScheduleFile, schedule_path

HOLDS_THE_LOCK = """
import sys, time
from pathlib import Path
from batchrunner.submit import ScheduleFile
def hold(moment):
    print("held", flush=True)
    time.sleep(600)
ScheduleFile(Path(sys.argv[1])).move(hold)
"""

ADDS_ONE = """
import sys
from pathlib import Path
from batchrunner.submit import ScheduleFile
file, done = ScheduleFile(Path(sys.argv[1])), 0
while done < 200:
    done += file.move(lambda moment: (moment or 0.0) + 1.0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a schedule may be."""
    return schedule_path(tmp_path / "ledger.db", "https://a.example.com", "a-secret-token")


def moment(path: Path) -> float | None:
    """What the file says."""
    seen: list[float | None] = []

    def look(now: float | None) -> float:
        seen.append(now)
        return 0.0 if now is None else now

    assert ScheduleFile(path).move(look)
    return seen[0]


def started(code: str, path: Path) -> subprocess.Popen[bytes]:
    """Another process at the same schedule."""
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)


def test_a_moment_is_kept(path: Path) -> None:
    """From one use to the next; the first finds none."""
    schedule = ScheduleFile(path)
    assert moment(path) is None
    assert schedule.move(lambda now: (now or 0) + 12.5)
    assert moment(path) == 12.5
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"123", b"\xff" * 8])
def test_a_damaged_file_begins_anew(path: Path, content: bytes) -> None:
    """It is worth a second, not a run."""
    path.write_bytes(content)
    assert moment(path) is None
    assert ScheduleFile(path).move(lambda _: 7.0)
    assert moment(path) == 7.0


def test_no_move_of_another_process_is_lost(path: Path) -> None:
    """They wait for each other, however often they meet."""
    processes = [started(ADDS_ONE, path) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert moment(path) == 400.0


def test_a_process_that_is_killed_with_the_lock_holds_nobody_up(path: Path) -> None:
    """The operating system takes the lock back."""
    process = started(HOLDS_THE_LOCK, path)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert not ScheduleFile(path).move(lambda _: 1.0)
    process.kill()
    process.wait(60)
    process.stdout.close()
    assert moment(path) is None


def test_a_file_that_cannot_be_used_is_told_in_a_sentence(path: Path) -> None:
    """With what to do."""
    path.mkdir()
    with pytest.raises(LedgerError, match=r"the shared rate cannot be kept .* set rate_shared = false"):
        ScheduleFile(path).check(1.0)


def test_jobs_meet_where_ledger_installation_and_token_are_the_same(tmp_path: Path) -> None:
    """The name of the file tells nothing of the token."""
    ledger, there = tmp_path / "ledger.db", "https://a.example.com"
    path = schedule_path(ledger, there, "a-secret-token")
    assert path == schedule_path(ledger, there, "a-secret-token")
    assert len({path, schedule_path(ledger, there, "b"), schedule_path(ledger, f"{there}:1", "a-secret-token")}) == 3
    assert "secret" not in path.name
    assert path.parent == tmp_path
