"""Processes that send for a run, and the window through which the run's own process gives claims to them.

Here file and ledger are, and the one writer; there (`sender`) nothing but the side of HTTP. A process that sends is a
fresh interpreter at the end of a socket: it has no other way to hear of anything, and ends with it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Sequence

from batchrunner.errors import SenderDied
from batchrunner.pipeline.crossing import Begin
from batchrunner.pipeline.process_window import ProcessWindow, ToldLimit
from batchrunner.pipeline.started import Process, Sender
from batchrunner.stopwatch import UNWATCHED, Stopwatch

ASKING_TO_STOP = (signal.SIGINT, signal.SIGTERM)
"""Signals that a terminal or a service manager sends to a whole group. The run's process alone decides what follows."""


class Senders:
    """The processes of one run, from their start to their end."""

    def __init__(
        self, shares: Sequence[int], command: Callable[[int], Sequence[str]], limit: ToldLimit | None = None
    ) -> None:
        """One process for each share of the connections. `command` names the program, given its end of the line.

        `limit` is told of, where the only process finds out for itself how much of its share it makes use of.
        """
        self.limit = limit
        self._shares = shares
        self._command = command
        self._started: list[Sender] = []
        self._window: ProcessWindow | None = None

    def start(self, given: Callable[[int], object]) -> None:
        """Start them, unless that was done. Each is handed what is `given` for its share. Raises SenderDied."""
        if self._started:
            return
        for share in self._shares:
            self._started.append(self._start(share))
        for sender in self._started:
            sender.hand_over(given(sender.share))

    def must_have_loaded(self) -> None:
        """Wait until they have all that they need. Raises SenderDied."""
        for sender in self._started:
            sender.must_have_loaded()

    def window(self, begin: Begin, lock: int | None, watch: Stopwatch = UNWATCHED) -> ProcessWindow:
        """Have them make ready. They hold the lock, a descriptor, from now on. Raises what stands in the way."""
        self._window = ProcessWindow(self._started, begin, lock, self.limit, watch)
        return self._window

    def close(self) -> None:
        """End whatever still runs. The run is over: no other thread of it is left."""
        if self._window is not None:
            self._window.close(at_once=True)
            self._window.release()
        for sender in self._started:
            sender.end()

    def _start(self, share: int) -> Sender:
        ours, theirs = socket.socketpair()
        with theirs:
            return Sender(ours, self._process(theirs), share)

    def _process(self, line: socket.socket) -> Process:
        # What is blocked here stays blocked there: from its first instruction on, these two signals mean nothing to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING_TO_STOP)
        try:
            return subprocess.Popen(  # noqa: S603  ourselves
                self._command(line.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # its log goes where ours goes
                pass_fds=[line.fileno()],
            )
        except (OSError, ValueError) as error:
            self.close()
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise SenderDied(
                f"a process that sends cannot be started ({why}); nothing was sent; "
                "give it what it lacks, or run with --processes 1"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
