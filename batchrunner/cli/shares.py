"""Whether a run sends by processes of their own, by how many, and what each is given."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import batchrunner
from batchrunner.cli.sending import adaptive_limit
from batchrunner.cli.uploading import NamedFiles, files_named_by
from batchrunner.config import Job
from batchrunner.errors import SenderDied
from batchrunner.pipeline import Senders, ToldLimit, Window
from batchrunner.pipeline.crossing import Begin
from batchrunner.stopwatch import Stopwatch

if TYPE_CHECKING:
    from batchrunner.ledger import SqlLedger

log = logging.getLogger(__name__)

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import batchrunner
sys.path.append(sys.path.pop(0))
from batchrunner.cli.sender import main
main()
"""
"""What a process that sends begins with: the very package that this one has loaded, and nothing else that lies beside
it or in the current folder (-P)."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a process that sends is to send with. It goes through its own line and is nowhere to be seen."""

    job: Job
    """As the command line has changed it: the file may be another one by now."""
    token: str
    files: NamedFiles
    connections: int
    log_level: int


def senders_of(job: Job, held: ExitStack) -> Senders | None:
    """The processes that send for a run of the job, not yet started; None where the run's own process does.

    They end with `held` at the latest.
    """
    wanted = job.limits.processes - 1
    if not wanted:
        return None
    count = min(wanted, job.limits.most_in_flight)
    if count > 1 and (why := _one_because(job)):
        log.warning("one process sends, and not %d: %s", wanted, why)
        count = 1
    limit = adaptive_limit(job)
    told = None if limit is None else ToldLimit(limit.record)
    senders = Senders(shares(job.limits.most_in_flight, count), _command, told)
    held.callback(senders.close)
    return senders


def shares(connections: int, count: int) -> tuple[int, ...]:
    """Connections shared out: each has one at least, and none two more than another."""
    return tuple(connections // count + (number < connections % count) for number in range(count))


def start(senders: Senders | None, job: Job, token: str) -> None:
    """Start them, unless that was done. They take as long as a run takes to begin. Raises SenderDied."""
    if senders is not None:
        files, level = files_named_by(job), logging.getLogger().getEffectiveLevel()
        senders.start(lambda share: Given(job, token, files, share, level))


def opened(senders: Senders, ledger: SqlLedger, watch: Stopwatch) -> Window:
    """The window to them, who hold the job's lock from now on. Raises what stands in the way."""
    lock = ledger.lock_descriptor
    return senders.window(Begin(os.fsencode(ledger.path), locked=lock is not None), lock, watch)


def _one_because(job: Job) -> str | None:
    """What has to be decided in one place."""
    if job.limits.rate is not None:
        return "a rate is kept by one that sends all requests"
    if job.limits.concurrency == "auto":
        return 'concurrency = "auto" is found out by one that sends all requests'
    if job.rabbitmq is not None:
        return "the answers of a broker all come over one line"
    if files_named_by(job).folders:
        return "each file is uploaded once, by one that knows of all of them"
    return None


def _command(line: int) -> Sequence[str]:
    if not sys.executable:
        raise SenderDied(
            "a process that sends cannot be started: where Python is, is not known; nothing was sent; "
            "run with --processes 1"
        )
    root = Path(batchrunner.__file__).parents[1]
    return [sys.executable, "-P", "-c", PROGRAM, str(root), str(line), str(os.getpid())]
