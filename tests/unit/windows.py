"""Windows of both kinds over a submitter with a script.

A process that sends is stood in for by a thread at the other end of a real line: what it does is all the same, and what
it does to be a process (`Senders`) is shown by the real command line.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from doubles import Script, ScriptedSubmitter, accept

from batchrunner.model import LimitRecord
from batchrunner.pipeline import ThreadWindow, ToldLimit, Window
from batchrunner.pipeline.crossing import Begin
from batchrunner.pipeline.process_window import ProcessWindow
from batchrunner.pipeline.sender import AdaptiveLimit, serve
from batchrunner.pipeline.started import Sender
from batchrunner.stopwatch import UNWATCHED

CARRIERS = ("thread", "process")

Make = Callable[[], ScriptedSubmitter]


class Opener(Protocol):
    """Opens a window; with it comes the submitter on its other side."""

    def __call__(
        self, script: Script = accept, concurrency: int = 2, make: Make | None = None
    ) -> AbstractContextManager[tuple[Window, ScriptedSubmitter]]:
        """A `make` of its own, or a script for what is made."""
        ...


@dataclass
class Stand:
    """A thread in the place of a process."""

    thread: threading.Thread
    line: socket.socket
    code: int = 0
    lost: threading.Event = field(default_factory=threading.Event)
    killed: bool = False

    def wait(self, timeout: float | None = None) -> int:
        """Its end."""
        if not self.killed:
            self.thread.join(timeout)
        return self.code

    def kill(self) -> None:
        """Its end of the line is closed, as it is when a process ends."""
        self.killed, self.code = True, -9
        with suppress(OSError):  # it has ended by itself
            self.line.shutdown(socket.SHUT_RDWR)


def a_sender(make: Make, share: int, limit: AdaptiveLimit | None = None, name: str = "stand") -> tuple[Sender, Stand]:
    """One that sends, just started."""
    ours, theirs = socket.socketpair()
    lost = threading.Event()

    def work() -> None:
        with theirs, suppress(EOFError, BrokenPipeError, ConnectionResetError):  # as the program does
            serve(theirs, lambda _: make(), share, asyncio.new_event_loop, limit=limit, lost=lost.set)

    thread = threading.Thread(target=work, name=name, daemon=True)
    stand = Stand(thread, theirs, lost=lost)
    thread.start()
    return Sender(ours, stand, share), stand


def over(senders: list[Sender], limit: ToldLimit | None = None) -> ProcessWindow:
    """A window to them."""
    try:
        return ProcessWindow(senders, Begin(b"/nowhere", locked=False), None, limit, UNWATCHED)
    except BaseException:
        for sender in senders:
            sender.line.close()
        raise


@dataclass
class ALimit:
    """An adaptive limit that a test sets."""

    limit: int

    @property
    def record(self) -> LimitRecord:
        """As it is now."""
        return LimitRecord(1, 99, self.limit)


def opener(carrier: str, kind: type[ScriptedSubmitter] = ScriptedSubmitter) -> Opener:
    """Opens windows of one kind, over submitters of one kind."""

    @contextmanager
    def a_window(
        script: Script = accept, concurrency: int = 2, make: Make | None = None
    ) -> Iterator[tuple[Window, ScriptedSubmitter]]:
        made: list[ScriptedSubmitter] = []

        def one() -> ScriptedSubmitter:
            made.append(make() if make else kind(script))
            return made[-1]

        window: Window
        if carrier == "thread":
            window = ThreadWindow(one, concurrency, asyncio.new_event_loop)
        else:
            window = over([a_sender(one, concurrency, name="submit")[0]])
        try:
            yield window, made[0]
        finally:
            window.close(at_once=True)

    return a_window
