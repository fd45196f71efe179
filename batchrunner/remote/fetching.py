"""Fetching through lines that break: where to go on, how often to ask again, and when to give up.

A thread asks and writes; the caller waits for it, looks whether it is to stop, and shows how far it is. So a signal
ends the waiting at once, whatever the library that asks is doing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from batchrunner.errors import SourceError

T = TypeVar("T")

Watch = Callable[[int, int | None], None]
"""Told again and again how many bytes have come, and of how many, where that is known."""

_ASK_EVERY_S = 0.1
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, and how often asked."""

    attempts: int = 5
    """In a row that bring nothing new."""
    attempts_in_all: int = 100
    """A line that breaks after each megabyte brings a file all the same; one that breaks for ever is given up."""
    backoff_s: float = 0.5
    """Before the second attempt; doubles."""
    connect_s: float = 10.0
    read_s: float = 30.0
    silence_s: float = 180.0
    """Without a byte, whatever the library that asks thinks of it."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Care:
    """How one looks after a fetch."""

    shown: str
    """What is fetched, as it may be shown."""
    patience: Patience
    go_on: Callable[[], None]
    """Called again and again; what it raises ends the fetch."""
    watch: Watch = lambda _came, _of: None


class Broke(Exception):
    """A line broke, or was not there: asking again may help."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        """`why` ends a sentence; `wait_s`: the other side has asked us to wait so long."""
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes on their way."""

    begin: int
    """Of the first one: 0 where the other side would not go on, or has another content by now."""
    total: int | None
    """Length of the whole content, where it was said."""
    pieces: Iterator[bytes]
    """Raises Broke, SourceError."""
    close: Callable[[], None]


class Line(Protocol):
    """A way to one content."""

    def ask(self, begin: int) -> Answer:
        """Ask for the bytes from a place on. Raises Broke, SourceError."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(slots=True)
class _Progress:
    """What thread and caller tell each other."""

    came: int = 0
    total: int | None = None
    moved_s: float = 0.0
    over: bool = False
    """Nobody waits any more."""

    def moved(self) -> None:
        self.moved_s = time.monotonic()


def copied(line_of: Callable[[], Line], to: Path, care: Care) -> None:
    """Copy a whole content into a file. Raises SourceError, OSError of the file, and what `go_on` raises."""
    progress = _Progress()

    def fetch() -> None:
        with closing(line_of()) as line, to.open("r+b") as file:
            _insisting(lambda: _bring(line, file, progress), progress, care)

    _attended(fetch, progress, care)


def first_bytes(line_of: Callable[[], Line], size_bytes: int, care: Care) -> bytes:
    """The first bytes of a content, fewer where there are no more. Raises SourceError, and what `go_on` raises."""
    progress = _Progress()

    def fetch() -> bytes:
        with closing(line_of()) as line:
            return _insisting(lambda: _first(line, size_bytes, progress), progress, care)

    return _attended(fetch, progress, care)


def attended(ask: Callable[[], T], care: Care) -> T:
    """The answer to a question that may take its time and several attempts. Raises SourceError."""
    progress = _Progress()
    return _attended(lambda: _insisting(ask, progress, care), progress, care)


# --- in the thread -----------------------------------------------------------------------------


def _insisting(ask: Callable[[], T], progress: _Progress, care: Care) -> T:
    """Ask until it is answered; attempts in a row count, and those that came further than any before do not."""
    patience, furthest, in_a_row, in_all = care.patience, 0, 0, 0
    while True:
        try:
            return ask()
        except Broke as broke:
            in_all += 1
            in_a_row = 1 if progress.came > furthest else in_a_row + 1
            furthest = max(furthest, progress.came)
            if in_a_row >= patience.attempts or in_all >= patience.attempts_in_all:
                raise SourceError(
                    f"{care.shown}: cannot be fetched, asked {in_all} times: {broke}; nothing was sent; try again later"
                ) from broke
            _wait(broke.wait_s, patience.backoff_s * 2 ** (in_a_row - 1), progress)


def _wait(asked_s: float | None, usual_s: float, progress: _Progress) -> None:
    until_s = time.monotonic() + min(usual_s if asked_s is None else max(asked_s, usual_s), _LONGEST_WAIT_S)
    while not progress.over and time.monotonic() < until_s:
        time.sleep(min(_ASK_EVERY_S, max(0.0, until_s - time.monotonic())))
        progress.moved()  # waiting on purpose is no silence


def _bring(line: Line, file: BinaryIO, progress: _Progress) -> None:
    with closing(line.ask(progress.came)) as answer:
        progress.came, progress.total = answer.begin, answer.total
        file.seek(answer.begin)
        file.truncate()
        for piece in answer.pieces:
            file.write(piece)
            progress.came += len(piece)
            progress.moved()
            if progress.over:
                return
        _must_be_whole(progress.came, answer.total)


def _first(line: Line, size_bytes: int, progress: _Progress) -> bytes:
    found = bytearray()
    with closing(line.ask(0)) as answer:
        for piece in answer.pieces:
            found += piece
            progress.moved()
            if len(found) >= size_bytes or progress.over:
                return bytes(found[:size_bytes])
        _must_be_whole(len(found), answer.total)
    return bytes(found)


def _must_be_whole(came: int, total: int | None) -> None:
    if total is not None and came != total:
        raise Broke(f"it ended after {came} of {total} bytes")


# --- beside it ---------------------------------------------------------------------------------


def _attended(work: Callable[[], T], progress: _Progress, care: Care) -> T:
    """Let a thread work, and look after it. It is left behind where it does not come back."""
    done = threading.Event()
    ends: list[T | BaseException] = []

    def working() -> None:
        try:
            ends.append(work())
        except BaseException as error:  # noqa: BLE001  the edge of a thread: it is raised where somebody waits
            ends.append(error)
        done.set()

    progress.moved()
    threading.Thread(target=working, name="fetching", daemon=True).start()
    try:
        while not done.wait(_ASK_EVERY_S):
            care.go_on()
            care.watch(progress.came, progress.total)
            if time.monotonic() - progress.moved_s > care.patience.silence_s:
                raise SourceError(
                    f"{care.shown}: not a byte has come for {care.patience.silence_s:g} seconds; nothing was sent; "
                    "see whether it can be reached from here, then run again"
                )
    finally:
        progress.over = True
    end = ends[0]
    if isinstance(end, BaseException):
        raise end
    return end
