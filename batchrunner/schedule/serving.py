"""Waiting for the slots of several jobs, in the foreground: for places that have no timers, such as containers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from batchrunner.clock import Clock, as_text
from batchrunner.config import Job, load_job
from batchrunner.errors import BatchrunnerError
from batchrunner.schedule.due import table_of
from batchrunner.schedule.firing import Fired, Firing
from batchrunner.schedule.folders import arrivals, check_watching
from batchrunner.schedule.processes import Children, exit_of

LOOK_EVERY_S = 60.0
"""The clock may be set, and the machine may sleep: nobody waits for longer without looking."""

BUSY_WAIT_S = 5.0
"""Before a slot is asked for again that another run was in the way of."""

BROKEN_WAIT_S = 30.0
"""Before a job is tried again whose file or ledger cannot be read: sooner where the file has changed since."""

MENDED_WAIT_S = 1.0
"""Before the file of a broken job is looked at again."""


class Served:
    """One job that is served."""

    def __init__(  # noqa: PLR0913  a job, its surroundings, and who is told
        self,
        file: Path,
        ledger: str,
        children: Children,
        clock: Clock,
        *,
        ended: Callable[[Job, Fired], Awaitable[None]],
        broken: Callable[[str], None],
    ) -> None:
        """Read the job. `ended` is awaited for each run, `broken` is told what goes wrong. Raises ConfigError."""
        self._file = file
        self._ledger = ledger
        self._children = children
        self._clock = clock
        self._ended = ended
        self._broken = broken
        self._came = asyncio.Event()
        self._last: Fired | None = None
        self._running = False
        self.error: str | None = None
        self._read = stamp_of(file)
        self.job = load_job(file)
        check_watching(self.job)
        self._firing().begin()

    def _firing(self) -> Firing:
        return Firing(self.job, self._ledger, self._children, self._clock)

    async def serve(self) -> None:
        """Fire what is due, and run when a file has come, until a stop is asked for."""
        watching = None
        if table_of(self.job).watch != "no":
            self._came.set()  # what came while nobody watched
            watching = asyncio.create_task(self._watch())
        while not self._children.stopping.is_set():
            await self._wait(await self._work())
        if watching is not None:
            await watching

    async def _watch(self) -> None:
        async for _ in arrivals(self.job, self._children.stopping):
            self._came.set()

    async def _work(self) -> float:
        """Do what there is to do; how long to wait then."""
        self._running = True
        try:
            # Read anew each time: a job may be changed without a restart.
            self._read = stamp_of(self._file)
            self.job = load_job(self._file)
            busy = await self._do()
        except BatchrunnerError as error:
            self.error = str(error)
            self._broken(self.error)
            return BROKEN_WAIT_S
        finally:
            self._running = False
        self.error = None
        if busy:
            return BUSY_WAIT_S
        next_s = self._firing().next_s()
        return LOOK_EVERY_S if next_s is None else next_s - self._clock.now_ms() / 1000

    async def _do(self) -> bool:
        """Whether another run was in the way."""
        firing = self._firing()
        async for fired in firing.fire():
            self._came.clear()
            if fired.busy:
                return True
            await self._tell(fired)
        if self._came.is_set() and not self._children.stopping.is_set():
            self._came.clear()
            fired = await firing.came()
            if fired.busy:
                self._came.set()
                return True
            await self._tell(fired)
        return False

    async def _tell(self, fired: Fired) -> None:
        self._last = fired
        await self._ended(self.job, fired)

    async def _wait(self, wait_s: float) -> None:
        """Until then, or until a file comes, or a stop is asked for."""
        if wait_s == BUSY_WAIT_S:
            await self._children.sleep(wait_s)  # a file that came is in the way as well
            return
        if wait_s == BROKEN_WAIT_S:
            await self._wait_for_mending()
            return
        waits = [asyncio.create_task(one.wait()) for one in (self._came, self._children.stopping)]
        with suppress(TimeoutError):
            await asyncio.wait(waits, timeout=max(0, min(wait_s, LOOK_EVERY_S)), return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()

    async def _wait_for_mending(self) -> None:
        """Until the file of the job is another one, or it is time to try again as it stands."""
        deadline_s = asyncio.get_running_loop().time() + BROKEN_WAIT_S
        while await self._children.sleep(MENDED_WAIT_S):
            if stamp_of(self._file) != self._read or asyncio.get_running_loop().time() >= deadline_s:
                return

    def values(self) -> dict[str, Any]:
        """How it goes."""
        next_s = self._firing().next_s()
        last = self._last
        return {
            "job": self.job.name,
            "running": self._running and bool(self._children.running),
            "next": None if next_s is None else as_text(round(next_s * 1000)),
            "last_exit_code": None if last is None else exit_of(last.run),
            "last_slot": None if last is None or last.slot_s is None else as_text(last.slot_s * 1000),
            "error": self.error,
        }


def stamp_of(file: Path) -> tuple[int, int, int] | None:
    """What changes when the file is written or replaced; None while it cannot be looked at."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def serve(served: Sequence[Served]) -> None:
    """Serve all of them until a stop is asked for and what ran has ended."""
    async with asyncio.TaskGroup() as tasks:
        for one in served:
            tasks.create_task(one.serve())
