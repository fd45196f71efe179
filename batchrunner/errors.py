"""How a run ends when it cannot go on. Rows end in outcomes (`model`); runs end in these.

    BatchrunnerError
    ├── UsageError          the command line asks for something impossible; nothing sent      exit 2
    ├── ConfigError         the job file or the environment is wrong; nothing sent            exit 2
    ├── SourceError         an input file cannot be found, opened or read on                  exit 4
    ├── LedgerError         the ledger cannot be opened, read or written                      exit 4
    ├── ResultError         the result files cannot be written                                exit 4
    ├── ApiRefusedUs        the API refuses the sender, not the row                           exit 4
    ├── Unbalanced          rows read and outcomes disagree: a bug, said loudly               exit 4
    ├── TooManyErrors       the error threshold of the job was passed                         exit 3
    ├── AlreadyRunning      another run of this job holds the lock                            exit 75
    └── Interrupted         a signal asked us to stop                                         exit 130, 143

Every message is one sentence for a person that ends with what to do next.
"""

from __future__ import annotations


class BatchrunnerError(Exception):
    """The root of all errors that a user is meant to read."""


class UsageError(BatchrunnerError):
    """The command line asks for something impossible."""


class ConfigError(BatchrunnerError):
    """The job file or the environment is wrong."""


class SourceError(BatchrunnerError):
    """An input file cannot be found, opened or read on."""


class LedgerError(BatchrunnerError):
    """The ledger cannot be opened, read or written."""


class ResultError(BatchrunnerError):
    """The result files cannot be written."""


class ApiRefusedUs(BatchrunnerError):
    """The API refuses the sender (token, rights, tariff, address), so every further row would be burnt."""


class Unbalanced(BatchrunnerError):
    """Rows read and outcomes do not add up."""


class TooManyErrors(BatchrunnerError):
    """The run passed its error threshold."""


class AlreadyRunning(BatchrunnerError):
    """Another run of this job holds the lock."""


class Interrupted(BatchrunnerError):
    """A signal asked the run to stop."""

    def __init__(self, signal_number: int) -> None:
        """Keep the number: the exit code is 128 plus it."""
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
