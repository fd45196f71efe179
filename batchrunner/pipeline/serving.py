"""The side of HTTP: an event loop that takes claims in, has a submitter send them, and hands ends back in batches.

What carries claims and ends between this side and that of file and ledger is not known here: a thread of the same
process (`window`), or a process of its own (`sender`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from batchrunner.model import Claim, InDoubt, Parcel, RequestId, Settled
from batchrunner.ports import ParcelSubmitter, Submitter, durable_of

log = logging.getLogger(__name__)

LATEST_S = 0.01
"""No end waits longer for company before it is handed back."""

CANCEL_AGAIN_S = 0.1
"""Between two attempts to end a worker."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Serving:
    """Up to `concurrency` claims being submitted, a few more waiting their turn. Used from one event loop only."""

    def __init__(
        self,
        submitter: Submitter,
        concurrency: int,
        hand_back: Callable[[list[Settled]], None],
        limit_now: Callable[[], int],
    ) -> None:
        """Inside the running loop. The submitter is closed in the end; ends go to `hand_back`, several at a time.

        `limit_now` tells how much of `concurrency` the submitter makes use of by itself.
        """
        self._submitter = submitter
        self._concurrency = concurrency
        self._hand_over = hand_back
        self._limit_now = limit_now
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._queue: asyncio.Queue[Claim | Parcel] = asyncio.Queue()
        self._on_durable = durable_of(submitter)
        self._done: list[Settled] = []
        self._handing = False
        self._soon: asyncio.TimerHandle | None = None

    @property
    def wants_durable(self) -> bool:
        """Whether anybody here wants to hear of outcomes that are durable."""
        return self._on_durable is not None

    def feed(self, loads: Sequence[Claim | Parcel]) -> None:
        """Take in claims that are durable in the ledger."""
        for load in loads:
            self._queue.put_nowait(load)

    def durable(self, request_ids: Sequence[RequestId]) -> None:
        """The outcomes of these are in the ledger."""
        if self._on_durable is not None:
            self._on_durable(request_ids)

    def drain(self) -> None:
        """Start nothing new."""
        self._submitter.drain()

    def stop(self) -> None:
        """Give up what is in flight, and end."""
        self._stop.set()

    async def until_stopped(self) -> None:
        """Send, until told to stop; everything is closed on return, and every end that there is was handed back."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        await self._stop.wait()
        await _end(workers)
        if self._done:
            self._flush()
        await self._submitter.aclose()

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
        done, self._done = self._done, []
        self._hand_over(done)


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
