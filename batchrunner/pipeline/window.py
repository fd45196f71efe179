"""The window between the two sides: a bounded set of claims that are with the side of HTTP.

The side that owns file, mapper and ledger calls `submit` and `collect`; the other one (`serving`) runs the submitter
and never sees the ledger. Claims cross in batches, and ends come back in batches: one wake-up each, not one per row.

    ThreadWindow    the other side is a thread of this process
    ProcessWindow   (`process_window`) it is one process, or several
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from batchrunner.errors import BatchrunnerError
from batchrunner.model import Claim, Parcel, Settled
from batchrunner.pipeline.serving import LoopFactory, Serving
from batchrunner.ports import Submitter
from batchrunner.stopwatch import UNWATCHED, Stopwatch

log = logging.getLogger(__name__)


class Window(Protocol):
    """What the loop of a run knows of the other side."""

    @property
    def concurrency(self) -> int:
        """How many claims may be in flight at the moment. Cheap."""
        ...

    @property
    def trouble(self) -> BatchrunnerError | None:
        """Why the run has to stop: a part of the other side is gone. What was there has come back in doubt. Cheap."""
        ...

    def submit(self, loads: Sequence[Claim | Parcel]) -> None:
        """Hand over claims that are durable in the ledger, each by itself or with others in a parcel."""
        ...

    def collect(self, *, wait: bool) -> list[Settled]:
        """What has ended since last asked. With `wait`, at least one end, or nothing when woken."""
        ...

    def durable(self, ends: Sequence[Settled]) -> None:
        """The outcomes of these claims are in the ledger: what is kept on the other side until then may go."""
        ...

    def wake(self) -> None:
        """Let a waiting `collect` return. Safe inside a signal handler, and from any thread."""
        ...

    def drain(self) -> None:
        """Start nothing new: what is in flight ends as the world decides, the rest ends unsent."""
        ...

    def close(self, *, at_once: bool = False) -> None:
        """End the other side. `at_once` gives up what is in flight; otherwise everything must have been collected."""
        ...


class ThreadWindow:
    """The other side is the event loop of a thread."""

    trouble: BatchrunnerError | None = None
    """A thread does not go without the process."""

    def __init__(
        self,
        make_submitter: Callable[[], Submitter],
        concurrency: int,
        new_loop: LoopFactory,
        limit_now: Callable[[], int] | None = None,
        watch: Stopwatch = UNWATCHED,
    ) -> None:
        """Start the thread; `make_submitter` is called in it.

        `limit_now` tells, from any thread, how much of `concurrency` the submitter makes use of by itself.
        """
        self._make_submitter = make_submitter
        self._concurrency = concurrency
        self._limit_now = limit_now or (lambda: concurrency)
        self._new_loop = new_loop
        self._watch = watch
        self._ends: SimpleQueue[list[Settled]] = SimpleQueue()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="submit", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    # --- the side of file and ledger ---------------------------------------------------------------

    @property
    def concurrency(self) -> int:
        """How many claims may be in flight at the moment. Cheap."""
        return self._limit_now()

    def submit(self, loads: Sequence[Claim | Parcel]) -> None:
        """Hand over claims that are durable in the ledger, each by itself or with others in a parcel."""
        self._loop.call_soon_threadsafe(self._serving.feed, loads)

    def collect(self, *, wait: bool) -> list[Settled]:
        """What has ended since last asked. With `wait`, at least one end, or nothing when woken."""
        if self._failure is not None:
            raise RuntimeError("the HTTP side has died; what is in flight is in doubt") from self._failure
        ends: list[Settled] = []
        try:
            ends += self._ends.get(block=wait)
            while True:
                ends += self._ends.get_nowait()
        except Empty:
            return ends

    def durable(self, ends: Sequence[Settled]) -> None:
        """The outcomes of these claims are in the ledger: what is kept on the other side until then may go."""
        if self._serving.wants_durable and self._thread.is_alive():  # who has given up keeps nothing any more
            self._loop.call_soon_threadsafe(self._serving.durable, [end.claim.request_id for end in ends])

    def wake(self) -> None:
        """Let a waiting `collect` return. Safe inside a signal handler."""
        self._ends.put([])

    def drain(self) -> None:
        """Start nothing new: what is in flight ends as the world decides, the rest ends unsent."""
        self._loop.call_soon_threadsafe(self._serving.drain)

    def close(self, *, at_once: bool = False) -> None:
        """End the thread. `at_once` gives up what is in flight; otherwise everything must have been collected."""
        if not self._thread.is_alive():
            return
        if at_once:
            log.warning("giving up what is in flight")
        self._loop.call_soon_threadsafe(self._serving.stop)
        self._thread.join()

    # --- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._new_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that collects
            self._failure = error
            self._started.set()  # perhaps not even the loop could be made: nobody may wait for it
        finally:
            self._watch.add("submit", time.thread_time_ns())
            self.wake()  # nobody may wait for ends that cannot come any more

    async def _serve(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._serving = Serving(self._make_submitter(), self._concurrency, self._ends.put, self._limit_now)
        except BaseException as error:  # noqa: BLE001  raised again by the thread that asked for the window
            self._failure = error
            return
        finally:
            self._started.set()
        await self._serving.until_stopped()
