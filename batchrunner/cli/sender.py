"""A process that sends: its program. Started by a run (`--processes`), and of no use to anybody else."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

from batchrunner.cli.importing import not_collecting
from batchrunner.pipeline.sender import die_with, handed_over, serve


def main() -> None:
    """Send what the run gives us, and end with it. Words: where the package is, our end of the line, its process."""
    _, line, parent = sys.argv[1:]
    die_with(int(parent))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # it has ended before it began
        try:
            _send(socket.socket(fileno=int(line)))
        except MemoryError:  # before it was ready; the parent says so
            sys.exit(1)


def _send(line: socket.socket) -> None:
    with not_collecting():
        given = handed_over(line)
        from batchrunner.cli.exits import exhausted  # noqa: PLC0415  what takes long is loaded once there is work
        from batchrunner.cli.options import log_to_stderr  # noqa: PLC0415
        from batchrunner.cli.sending import (  # noqa: PLC0415
            adaptive_limit,
            leave_the_collector_little_to_do,
            make_submitter,
        )
        from batchrunner.clock import SystemClock  # noqa: PLC0415
        from batchrunner.submit import new_event_loop  # noqa: PLC0415

    log_to_stderr(given.log_level)
    leave_the_collector_little_to_do()
    limit, clock = adaptive_limit(given.job), SystemClock()
    serve(
        line,
        lambda begin: make_submitter(
            given.job, given.token, clock, limit, Path(os.fsdecode(begin.ledger)), given.connections, given.files
        ),
        given.connections,
        new_event_loop,
        limit=limit,
        said=exhausted,
    )
