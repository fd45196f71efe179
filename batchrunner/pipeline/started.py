"""A process that sends, as the run's own process has it: started, spoken to over its line, and ended."""

from __future__ import annotations

import contextlib
import pickle
import socket
import subprocess
from collections.abc import Iterator
from typing import Protocol

from batchrunner import errors
from batchrunner.errors import BatchrunnerError, SenderDied
from batchrunner.model import Claim, Key
from batchrunner.pipeline.crossing import (
    LENGTH_BYTES,
    Begin,
    FromSender,
    Loaded,
    Ready,
    Refused,
    ToSender,
    framed,
    from_sender,
)

START_S = 120.0
"""For a process to start and to make ready: a second, on a machine that has time for it."""

END_S = 3.0
"""For it to end, once it is gone from its line. Then it is ended."""

READ_BYTES = 1 << 15
"""At once. Room for more than 128 KiB would be mapped and given back to the system with every call, at three times the
cost; what is left is read in the next turn."""


class Process(Protocol):
    """As `subprocess.Popen` has it."""

    def wait(self, timeout: float | None = None) -> int: ...  # noqa: D102
    def kill(self) -> None: ...  # noqa: D102


class Sender:
    """One process that sends, as seen from here."""

    def __init__(self, line: socket.socket, process: Process, share: int) -> None:
        """Just started; so much of the connections is its share."""
        self.line = line
        self.share = share
        self.out: dict[Key, Claim] = {}
        """Claims that are with it."""
        self.unsent = bytearray()
        self.wants_durable = False
        self.over = False
        """It has said that nothing comes any more."""
        self.gone = False
        self._process = process
        self._loaded = False
        self._frames = from_sender()
        line.settimeout(START_S)

    @property
    def load(self) -> float:
        """How many claims it has for each of its connections."""
        return len(self.out) / self.share

    def hand_over(self, given: object) -> None:
        """What it is to send with. Raises SenderDied."""
        content = pickle.dumps(given)
        with self._speaking():
            self.line.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)

    def begin(self, begin: Begin, lock: int | None) -> None:
        """Have it make ready. Raises SenderDied."""
        content = framed(begin)
        with self._speaking(), contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said why
            sent = socket.send_fds(self.line, [content], [] if lock is None else [lock])
            if sent < len(content):
                self.line.sendall(content[sent:])

    def must_have_loaded(self) -> None:
        """Wait until it has all that it needs; at once when asked again. Raises SenderDied."""
        if not self._loaded:
            message = self._heard()
            if not isinstance(message, Loaded):
                raise TypeError(f"{type(message).__name__} came before Loaded")
            self._loaded = True

    def must_be_ready(self) -> Ready:
        """Wait until it is. Raises SenderDied, and whatever error it says."""
        match self._heard():
            case Ready() as ready:
                self.wants_durable = ready.wants_durable
                self.line.setblocking(False)
                return ready
            case Refused(name, sentence):
                kind: type[BatchrunnerError] = getattr(errors, name)
                raise kind(sentence)
            case other:
                raise RuntimeError(f"{type(other).__name__} came before Ready")

    def _heard(self) -> FromSender:
        """One message: nothing else comes before it is answered."""
        messages: list[FromSender] = []
        while not messages:
            with self._speaking():
                more = self.line.recv(READ_BYTES)
            if not more:
                raise self._not_ready()
            messages = self._frames.feed(more)
        return messages[0]

    def read(self) -> list[FromSender] | None:
        """What it has said; None: it is gone."""
        try:
            more = self.line.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._frames.feed(more) if more else None

    def say(self, message: ToSender) -> None:
        """Send a message, or as much of it as goes off now."""
        content = framed(message)
        if not self.unsent:
            content = content[self._sent(content) :]
        self.unsent += content

    def say_on(self) -> None:
        """Send more of what is left."""
        del self.unsent[: self._sent(self.unsent)]

    def how_it_ended(self) -> str:
        """For people; waits for its end."""
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def end(self, patience_s: float = 0.0) -> None:
        """Have no process any more, whatever it is doing."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.line.close()

    def _sent(self, content: bytes | bytearray) -> int:
        try:
            return self.line.send(content)
        except BlockingIOError:
            return 0
        except OSError:  # it is gone; what it has said before is read first
            return len(content)

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise SenderDied(
                f"a process that sends was not ready after {START_S:.0f} s; nothing was sent; "
                "look at what keeps the machine busy, or run with --processes 1"
            ) from error
        except OSError as error:
            raise self._not_ready() from error

    def _not_ready(self) -> SenderDied:
        return SenderDied(
            f"a process that sends ended before it was ready ({self.how_it_ended()}); nothing was sent; "
            "raise the limit that it ran into (ulimit -v, a container's limit), or run with --processes 1"
        )
