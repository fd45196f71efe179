"""Processes that send for a run, made to go wrong: what `killing` does in the run's own process, done in theirs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

LET_GO = "let-go"
"""A file in the current folder; one that outlives its parent waits for it."""

_wanted: list[tuple[str, Callable[[str], None]]] = []


class Forked:
    """A process that was forked, as `subprocess.Popen` shows it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its end. Raises subprocess.TimeoutExpired."""
        import subprocess

        until = None if timeout is None else time.monotonic() + timeout
        while self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            elif until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired("sender", timeout or 0.0)
            else:
                time.sleep(0.001)
        return self._code

    def kill(self) -> None:
        """SIGKILL."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)


def install(point: str, install_here: Callable[[str], None]) -> None:
    """Fork those that send from this process, which has loaded everything; the first goes wrong at the point."""
    from batchrunner.pipeline.senders import Senders

    if point != "forked":
        _wanted.append((point, install_here))
    Senders._process = _forked  # type: ignore[method-assign, assignment]


def _forked(self: Any, line: socket.socket) -> Forked:
    words = list(self._command(line.fileno()))
    wanted, _wanted[:] = list(_wanted), []
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, line.fileno())
        os.closerange(line.fileno() + 1, 1024)
        for point, install_here in wanted:
            if point == "outlives":
                _outlive()
            else:
                install_here(point)
        sys.argv = ["-c", *words[-3:]]
        from batchrunner.cli.sender import main

        main()
        code = 0
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        os._exit(code)


def _outlive() -> None:
    """As where the operating system cannot end it with its parent, and it is too busy to see that this one is gone."""
    from batchrunner.cli import sender as program
    from batchrunner.pipeline import sender

    original = sender.serve

    def lost() -> None:
        while not Path(LET_GO).exists():
            time.sleep(0.002)
        os._exit(sender.ORPHANED)

    program.die_with = lambda _: None
    program.serve = lambda *given, **named: original(*given, **named, lost=lost)
