"""How a run ends when it cannot go on. Rows end in outcomes (`model`); runs end in these.

    BatchrunnerError
    ├── UsageError          the command line asks for something impossible; nothing sent      exit 2
    ├── ConfigError         the job file or the environment is wrong; nothing sent            exit 2
    ├── SourceError         an input file cannot be found, opened or read on                  exit 4
    │   ├── MissingFile     the export of the night has not arrived                           exit 4
    │   └── RefusedFile     an export came that must not be sent: empty, or suddenly small    exit 4
    ├── LedgerError         the ledger cannot be opened, read or written                      exit 4
    ├── NotifyError         nobody could be told of a run                                     exit 4
    ├── ResultError         the result files cannot be written                                exit 4
    ├── Exhausted           the machine, or a limit, gave no more memory, files or threads    exit 4
    ├── SenderDied          a process that sends for the run died, or does not start          exit 4
    ├── ApiRefusedUs        the API refuses the sender, not the row                           exit 4
    ├── Unbalanced          rows read and outcomes disagree: a bug, said loudly               exit 4
    ├── TooManyErrors       the error threshold of the job was passed                         exit 3
    ├── HeldBack            a guard of the job: paused, outside its hours, its limit reached  exit 6
    ├── AlreadyRunning      another run of this job holds the lock                            exit 75
    └── Interrupted         a signal asked us to stop                                         exit 130, 143

Every message is one sentence for a person that ends with what to do next.
"""

from __future__ import annotations

import enum


class BatchrunnerError(Exception):
    """The root of all errors that a user is meant to read."""


class UsageError(BatchrunnerError):
    """The command line asks for something impossible."""


class ConfigError(BatchrunnerError):
    """The job file or the environment is wrong."""


class SourceError(BatchrunnerError):
    """An input file cannot be found, opened or read on."""


class Reason(enum.StrEnum):
    """Why a night went otherwise than planned. The names are relied on by whoever is told: add, never rename."""

    MISSING_FILE = "missing_file"
    """Nothing came, or nothing new, by the deadline."""
    UNFINISHED_FILE = "unfinished_file"
    """Something came, but it was still being written, or its marker is missing."""
    TOO_FEW_ROWS = "too_few_rows"
    """Fewer records than `min_rows`."""
    SHRUNK_FILE = "shrunk_file"
    """Much fewer records than in the last nights."""
    UNREADABLE_FILE = "unreadable_file"
    """It came, and cannot be read."""
    ALREADY_LOADED = "already_loaded"
    """What came was loaded before: nothing was sent, and nothing is wrong."""
    NOTHING_NEW = "nothing_new"
    """There is no file that was not loaded before, and the job has no deadline: nothing is wrong."""
    PAUSED = "paused"
    """A person has paused the job."""
    OUTSIDE_HOURS = "outside_hours"
    """The hours in which the job may send are over; the next run within them goes on."""
    MAX_ROWS = "max_rows"
    """The run has sent as many rows as one run may."""
    DAILY_LIMIT = "daily_limit"
    """The job has sent as many rows as it may on one day."""


class MissingFile(SourceError):
    """The export of the night has not arrived."""

    def __init__(self, sentence: str, reason: Reason = Reason.MISSING_FILE) -> None:
        """Missing, or unfinished."""
        super().__init__(sentence)
        self.reason = reason


class RefusedFile(SourceError):
    """An export came that must not be sent."""

    def __init__(self, sentence: str, reason: Reason = Reason.UNREADABLE_FILE) -> None:
        """Why not."""
        super().__init__(sentence)
        self.reason = reason


class LedgerError(BatchrunnerError):
    """The ledger cannot be opened, read or written."""


class NotifyError(BatchrunnerError):
    """Nobody could be told of a run."""


class ResultError(BatchrunnerError):
    """The result files cannot be written."""


class Exhausted(BatchrunnerError):
    """The machine, or a limit that somebody has set, gave no more of something that everything needs."""


class SenderDied(BatchrunnerError):
    """A process that sends for the run died, or does not start."""


class ApiRefusedUs(BatchrunnerError):
    """The API refuses the sender (token, rights, tariff, address), so every further row would be burnt."""


class Unbalanced(BatchrunnerError):
    """Rows read and outcomes do not add up."""


class TooManyErrors(BatchrunnerError):
    """The run passed its error threshold."""


class HeldBack(BatchrunnerError):
    """A guard of the job holds the rest back, as it was meant to."""

    def __init__(self, sentence: str, reason: Reason = Reason.PAUSED) -> None:
        """Which guard."""
        super().__init__(sentence)
        self.reason = reason


class AlreadyRunning(BatchrunnerError):
    """Another run of this job holds the lock."""


class Interrupted(BatchrunnerError):
    """A signal asked the run to stop."""

    def __init__(self, signal_number: int) -> None:
        """Keep the number: the exit code is 128 plus it."""
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
