"""The exit codes: one table, shown by `--help`, quoted by the README, and asserted by a test."""

from __future__ import annotations

import enum
import errno

from batchrunner.errors import (
    AlreadyRunning,
    BatchrunnerError,
    ConfigError,
    Exhausted,
    HeldBack,
    Interrupted,
    TooManyErrors,
    UsageError,
)
from batchrunner.model import SkipReason, Totals


class Exit(enum.IntEnum):
    """What a process of ours ends with."""

    OK = 0
    SOME_BAD = 1
    USAGE = 2
    TOO_MANY_ERRORS = 3
    STOPPED = 4
    IN_DOUBT = 5
    HELD_BACK = 6
    LOCKED = 75
    SIGINT = 130
    SIGTERM = 143

    @property
    def meaning(self) -> str:
        """For people."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "every row ended well",
    Exit.SOME_BAD: "finished, some rows rejected, failed or unusable",
    Exit.USAGE: "usage or job file wrong, nothing sent",
    Exit.TOO_MANY_ERRORS: "stopped by the error threshold",
    Exit.STOPPED: "the API refused us, or the ledger or source broke: stopped",
    Exit.IN_DOUBT: "finished, some rows in doubt (wins over 1)",
    Exit.HELD_BACK: "held back by a guard of the job: paused, outside its hours, its limit reached",
    Exit.LOCKED: "another run of this job holds the lock",
    Exit.SIGINT: "stopped by Ctrl-C, everything in flight settled",
    Exit.SIGTERM: "stopped by SIGTERM, everything in flight settled",
}


def table() -> str:
    """All exit codes, one a line."""
    return "\n".join(f"{code.value:>4}  {code.meaning}" for code in Exit)


def of_error(error: BatchrunnerError) -> int:
    """The exit code of a run that could not go on."""
    match error:
        case UsageError() | ConfigError():
            return Exit.USAGE
        case TooManyErrors():
            return Exit.TOO_MANY_ERRORS
        case HeldBack():
            return Exit.HELD_BACK
        case AlreadyRunning():
            return Exit.LOCKED
        case Interrupted():
            return 128 + error.signal_number
        case _:
            return Exit.STOPPED


def of_totals(totals: Totals) -> Exit:
    """The exit code of a run that went through. A row held back because it is in doubt has not ended well either."""
    if totals.in_doubt or totals.skipped.get(SkipReason.IN_DOUBT) or totals.skipped.get(SkipReason.WINDOW):
        return Exit.IN_DOUBT
    if totals.rejected or totals.failed or totals.unusable or totals.skipped.get(SkipReason.REJECTED):
        return Exit.SOME_BAD
    return Exit.OK


def exhausted(error: BaseException | None) -> Exhausted | None:
    """What an error means that can come up anywhere, because the machine has nothing left to give. None: a bug."""
    match error:
        case None:
            return None
        case MemoryError() | OSError(errno=errno.ENOMEM):
            return _no_more("memory", "ulimit -v, a container's limit")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return _no_more("open files", "ulimit -n")
        case RuntimeError() if "start new thread" in str(error):
            return _no_more("threads or memory", "ulimit -u, ulimit -v, a container's limit")
        case _:
            return exhausted(error.__cause__)


def _no_more(what: str, limit: str) -> Exhausted:
    return Exhausted(
        f"this process may have no more {what}; raise the limit ({limit}) or lower limits.concurrency, then run again: "
        "what was settled stays settled"
    )
