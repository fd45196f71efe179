"""One rate for all processes of a host that use the same ledger and the same token.

Time is cut into permits, evenly spaced. A small file beside the ledger holds the moment of the next free one; who
needs permits takes a few in a row under a lock, and moves the moment on. A permit is good for a short while after its
moment and then lost, so that permits of different processes never pile up: the sum keeps the rate exactly.

The lock is the operating system's and ends with the process that holds it. A process that dies leaves a few permits
unused, and nothing else.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from batchrunner.errors import LedgerError
from batchrunner.submit.pace import JITTER_S, windows

LATE_S = 0.02
"""For how long after its moment a permit is good: as late as timers are. What it adds, a window has to give up."""

BLOCK_S = 0.05
"""Permits for so long at most are taken at once: few locks at high rates, and nobody waits long for the others."""

LONGEST_QUEUE_S = 300.0
"""A next moment further ahead (and further than `LONGEST_QUEUE` permits) was written before the machine started."""

LONGEST_QUEUE = 1000

LOCKED_S = 0.001
"""Until the next look at a lock that another process holds, which it does for microseconds."""


class Schedule(Protocol):
    """Where processes keep the moment of the next free permit."""

    def move(self, on: Callable[[float | None], float]) -> bool:
        """Replace the moment (None: there is none yet), all others kept out. False: somebody is at it just now."""
        ...


class SharedPacer:
    """The part of one process in a shared rate. `now_s` is the same clock in all of them."""

    def __init__(self, rate_per_s: float, schedule: Schedule) -> None:
        """`rate_per_s` may be a fraction."""
        slack_s = LATE_S + JITTER_S
        self._spacing_s = max((window.seconds + slack_s) / window.count for window in windows(rate_per_s))
        self._block = max(1, int(BLOCK_S / self._spacing_s))
        self._longest_queue_s = max(LONGEST_QUEUE_S, LONGEST_QUEUE * self._spacing_s)
        self._schedule = schedule
        self._permits: deque[float] = deque()

    def delay_s(self, now_s: float, asking: int) -> float:
        """How long from now the next request has to wait; 0 when it may leave."""
        self._forget(now_s)
        if not self._permits and not self._schedule.move(lambda free_s: self._take(now_s, asking, free_s)):
            return LOCKED_S
        return max(0.0, self._permits[0] - now_s)

    def leave(self, now_s: float) -> None:  # noqa: ARG002  the permit says when
        """Use a permit up."""
        self._permits.popleft()

    def _forget(self, now_s: float) -> None:
        while self._permits and self._permits[0] + LATE_S < now_s:
            self._permits.popleft()

    def _take(self, now_s: float, asking: int, free_s: float | None) -> float:
        """Take as many permits as are asked for, and say when the next one is free."""
        first_s = now_s if free_s is None or free_s > now_s + self._longest_queue_s else max(free_s, now_s)
        count = max(1, min(asking, self._block))
        self._permits.extend(first_s + number * self._spacing_s for number in range(count))
        return first_s + count * self._spacing_s


class ScheduleFile:
    """A schedule in a file. Every use opens and closes it: nothing is held that a crash could leave behind."""

    def __init__(self, path: Path) -> None:
        """The file and its lock are made when they are first used; `check` does that ahead of a run."""
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"), mode=0o600)

    def move(self, on: Callable[[float | None], float]) -> bool:
        """Replace the moment under the lock. Raises LedgerError where the file cannot be used."""
        try:
            with self._lock.acquire(timeout=0):
                self._replace(on)
        except Timeout:
            return False
        except OSError as error:
            raise LedgerError(
                f"{self._path}: the shared rate cannot be kept ({error.strerror}); check your rights and the disk, "
                "or set rate_shared = false"
            ) from error
        return True

    def check(self, now_s: float) -> None:
        """Raise LedgerError where the file cannot be used, while nothing has been sent yet."""
        self.move(lambda free_s: now_s if free_s is None else free_s)

    def _replace(self, on: Callable[[float | None], float]) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            moment_s = on(_moment(os.read(file, _MOMENT.size)))
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, _MOMENT.pack(moment_s))
        finally:
            os.close(file)


_MOMENT = struct.Struct("<d")


def _moment(content: bytes) -> float | None:
    if len(content) != _MOMENT.size:
        return None
    moment_s: float = _MOMENT.unpack(content)[0]
    return moment_s if math.isfinite(moment_s) else None


def schedule_path(ledger: Path, installation: str, token: str) -> Path:
    """The file of a token at an installation, beside the ledger. Its name tells nothing of the token."""
    digest = hashlib.blake2b(f"{installation}\0{token}".encode(), digest_size=8, person=b"shared-rate").hexdigest()
    return ledger.with_name(f"{ledger.name}.{digest}.rate")
