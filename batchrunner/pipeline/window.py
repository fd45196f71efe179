"""The window between the two sides: a thread that runs the HTTP side's event loop, and a bounded set of claims in it.

The side that owns file, mapper and ledger calls `submit` and `collect`; the loop's thread runs the submitter and
never sees the ledger. Claims cross in batches, and ends come back in batches: one wake-up each, not one per row.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from batchrunner.model import Claim, InDoubt, Parcel, Settled
from batchrunner.ports import ParcelSubmitter, Submitter, durable_of
from batchrunner.stopwatch import UNWATCHED, Stopwatch

log = logging.getLogger(__name__)

LATEST_S = 0.01
"""No end waits longer for company before it is handed back."""

CANCEL_AGAIN_S = 0.1
"""Between two attempts to end a worker."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Window:
    """Up to `concurrency` claims being submitted, a few more waiting their turn."""

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
        self._done: list[Settled] = []
        self._handing = False
        self._soon: asyncio.TimerHandle | None = None
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
        self._loop.call_soon_threadsafe(self._feed, loads)

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
        if self._on_durable is not None:
            self._loop.call_soon_threadsafe(self._on_durable, [end.claim.request_id for end in ends])

    def wake(self) -> None:
        """Let a waiting `collect` return. Safe inside a signal handler."""
        self._ends.put([])

    def drain(self) -> None:
        """Start nothing new: what is in flight ends as the world decides, the rest ends unsent."""
        self._loop.call_soon_threadsafe(self._submitter.drain)

    def close(self, *, at_once: bool = False) -> None:
        """End the thread. `at_once` gives up what is in flight; otherwise everything must have been collected."""
        if not self._thread.is_alive():
            return
        if at_once:
            log.warning("giving up what is in flight")
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    # --- the side of HTTP ----------------------------------------------------------------------------

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
            self._stop = asyncio.Event()
            self._queue: asyncio.Queue[Claim | Parcel] = asyncio.Queue()
            self._submitter = self._make_submitter()
            self._on_durable = durable_of(self._submitter)
        except BaseException as error:  # noqa: BLE001  raised again by the thread that asked for the window
            self._failure = error
            return
        finally:
            self._started.set()
        workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        await self._stop.wait()
        await _end(workers)
        await self._submitter.aclose()

    def _feed(self, loads: Sequence[Claim | Parcel]) -> None:
        for load in loads:
            self._queue.put_nowait(load)

    async def _work(self) -> None:
        while not self._stop.is_set():  # whatever became of a cancellation, nothing is begun after it
            load = await self._queue.get()
            try:
                if isinstance(load, Claim):
                    settled = await self._submitter.submit(load)
                    self._done.append(settled)  # only now: the list may have been handed over meanwhile
                else:
                    ends = await self._submit_parcel(load)
                    self._done += ends
            except BaseException as error:
                # One of the two edges: a submitter with a bug must not lose its neighbours' outcomes, nor this one.
                # A cancellation that is not ours leaked out of something it awaited: the worker must outlive that too.
                if isinstance(error, asyncio.CancelledError) and self._stop.is_set():
                    raise
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                self._done += _ends_of_a_bug(load, error)
            self._ended()

    async def _submit_parcel(self, parcel: Parcel) -> list[Settled]:
        if not isinstance(self._submitter, ParcelSubmitter):
            raise TypeError("this submitter takes no parcels")
        return await self._submitter.submit_parcel(parcel)

    def _ended(self) -> None:
        if 2 * len(self._done) >= self._limit_now():
            self._hand_back()
        elif self._soon is None:
            self._soon = self._loop.call_later(LATEST_S, self._hand_back)

    def _hand_back(self) -> None:
        """Give the ends over: enough for a commit that is worth its while, or those that have waited for company."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if not self._handing:
            # By the time this runs, everything that ended in the same turn of the loop is in the list.
            self._handing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._handing = False
        self._ends.put(self._done)
        self._done = []


def _ends_of_a_bug(load: Claim | Parcel, error: BaseException) -> list[Settled]:
    claims = (load,) if isinstance(load, Claim) else load.claims
    log.error("the submitter failed on row %s", claims[0].request.row.number, exc_info=error)
    name = type(error).__name__
    doubt = InDoubt(f"bug:{name}", f"the submitter failed with {name}")
    return [Settled(claim, doubt, 1, 0 if number else 1) for number, claim in enumerate(claims)]


async def _end(workers: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: what a worker awaits may swallow a cancellation that comes as it answers."""
    going: set[asyncio.Task[None]] = set(workers)
    while going:
        for worker in going:
            worker.cancel()
        _, going = await asyncio.wait(going, timeout=CANCEL_AGAIN_S)
