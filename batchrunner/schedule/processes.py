"""Runs as processes of their own: whatever ends one, the program that started it is there to tell."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

OURS = (sys.executable, "-m", "batchrunner")

BY_SIGNAL = 128
"""As shells have it: the exit code of a process that a signal has ended is this and the signal's number."""


BROKE_OFF = 1
"""What Python ends with at an error that nobody foresaw; of a run that has told of itself: some rows ended badly."""

STOPPED = 4
HELD_BACK = 6
"""Of the table of exit codes (`cli.exits`), which a test holds these to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command of ours ended."""

    code: int
    told: Mapping[str, Any]
    """The object that it printed; empty where it could not."""
    out_of_time: bool = False
    """It was asked to stop, because it took longer than it may."""

    @property
    def killed_by(self) -> int | None:
        """The signal that ended it, where it was none that it obeys by settling what flies."""
        number = self.code - BY_SIGNAL
        if self.out_of_time and number == signal.SIGTERM:  # ours, before it could listen to it: nothing had begun
            return None
        return number if number > 0 and not self.told else None

    @property
    def broke_off(self) -> bool:
        """Whether it ended by a bug: with Python's own exit code, and without a word on stdout."""
        return self.code == BROKE_OFF and not self.told


def exit_of(ended: Ended) -> int:
    """The exit code of a run, in our own table even where it was killed or took too long."""
    if ended.killed_by or ended.broke_off:
        return STOPPED
    return HELD_BACK if ended.out_of_time else ended.code


def sentence_of(ended: Ended) -> str | None:
    """What a person is to know of a run that did not go through."""
    if ended.killed_by:
        return f"the run was killed (signal {ended.killed_by}); the next one goes on where it stopped"
    if ended.broke_off:
        return "the run broke off; what it said last is on stderr; the next one goes on where it stopped"
    if ended.out_of_time:
        return "stopped, for it took longer than the job's max_duration; the next run goes on from there"
    error: str | None = ended.told.get("error")
    return error


class Children:
    """The commands that are running, and the wish that they stop."""

    def __init__(self) -> None:
        """None yet."""
        self.stopping = asyncio.Event()
        self._running: set[Process] = set()

    @property
    def running(self) -> int:
        """How many."""
        return len(self._running)

    def stop(self) -> None:
        """Start no more; those that run settle what flies, and at a second call stop at once."""
        self.stopping.set()
        for process in self._running:
            _ask_to_stop(process)

    async def run(self, arguments: Sequence[str], longest_s: float | None = None) -> Ended:
        """Run `batchrunner ARGUMENTS --output json` to its end. Its stderr is ours."""
        process = await asyncio.create_subprocess_exec(
            *OURS,
            *arguments,
            "--output",
            "json",
            stdin=DEVNULL,
            stdout=PIPE,
            # Ctrl-C goes to all processes of a terminal: it would reach ours twice, and the second stops at once.
            start_new_session=True,
        )
        self._running.add(process)
        if self.stopping.is_set():
            _ask_to_stop(process)
        try:
            return await _end(process, longest_s)
        finally:
            self._running.discard(process)

    async def sleep(self, wait_s: float) -> bool:
        """Wait so long; False where a stop is asked for."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), max(wait_s, 0))
        return not self.stopping.is_set()


async def _end(process: Process, longest_s: float | None) -> Ended:
    out_of_time = False

    def too_long() -> None:
        nonlocal out_of_time
        out_of_time = True
        _ask_to_stop(process)

    timer = None if longest_s is None else asyncio.get_running_loop().call_later(longest_s, too_long)
    try:
        printed, _ = await process.communicate()
    finally:
        if timer is not None:
            timer.cancel()
    code = process.returncode or 0
    return Ended(code if code >= 0 else BY_SIGNAL - code, _object(printed), out_of_time)


def _ask_to_stop(process: Process) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        process.send_signal(signal.SIGTERM)


def _object(printed: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(printed)
    except ValueError:  # it died before it had printed all
        return {}
    return found if isinstance(found, dict) else {}
