"""The side of HTTP: an event loop that takes claims in, has a submitter send them, and hands ends back in batches.

What carries claims and ends between this side and that of file and ledger is not known here: a thread of the same
process (`window`), or a process of its own (`sender`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

from batchrunner.model import Claim, InDoubt, Parcel, RequestId, Settled
from batchrunner.ports import ParcelSubmitter, Submitter, durable_of, short_way_of

log = logging.getLogger(__name__)

LATEST_S = 0.01
"""No end waits longer for company before it is handed back."""

CANCEL_AGAIN_S = 0.1
"""Between two attempts to end a task."""

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
        self._begin = short_way_of(submitter)
        self._waiting: deque[Claim | Parcel] = deque()
        self._flying = 0
        self._tasks: set[asyncio.Task[None]] = set()
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
        self._waiting.extend(loads)
        self._go_on()

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
        await self._stop.wait()
        await _end(self._tasks)
        if self._done:
            self._flush()
        await self._submitter.aclose()

    # --- what a submitter that sends at once says (`ports.Landing`) ------------------------------------

    def landed(self, end: Settled) -> None:
        """A claim that took no task has been settled: the next one may leave in the same turn of the loop."""
        self._flying -= 1
        self._done.append(end)
        self._ended()
        self._go_on()

    def goes_on(self, claim: Claim, rest: Coroutine[Any, Any, Settled]) -> None:
        """It needs one after all."""
        if self._stop.is_set():
            rest.close()
        else:
            self._start(self._work(claim, rest))

    # --- one load after the other --------------------------------------------------------------------

    def _go_on(self) -> None:
        while (load := self._next()) is not None:
            self._start(self._work(load))

    def _next(self) -> Claim | Parcel | None:
        """Send what may leave and can leave at once; what may leave and needs a task is given back."""
        # Whatever became of a cancellation, nothing is begun after the stop.
        while self._waiting and self._flying < self._concurrency and not self._stop.is_set():
            load = self._waiting.popleft()
            self._flying += 1
            try:
                if self._begin is None or not isinstance(load, Claim) or not self._begin(load, self):
                    return load
            except Exception as error:  # noqa: BLE001  the same edge as in `_work`
                self._flying -= 1
                self._done += _ends_of_a_bug(load, error)
                self._ended()
        return None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, load: Claim | Parcel | None, rest: Coroutine[Any, Any, Settled] | None = None) -> None:
        """Submit this, or wait for the `rest` of it, and then what comes next, as long as that needs a task."""
        while load is not None:
            try:
                if isinstance(load, Claim):
                    ends = [await (rest or self._submitter.submit(load))]
                else:
                    ends = await self._submit_parcel(load)
            except BaseException as error:
                # One of the two edges: a submitter with a bug must not lose its neighbours' outcomes, nor this one.
                # A cancellation that is not ours leaked out of something it awaited: the task must outlive that too.
                if isinstance(error, asyncio.CancelledError) and self._stop.is_set():
                    raise
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                ends = _ends_of_a_bug(load, error)
            rest = None
            if any(end.refusal is not None for end in ends):
                self._submitter.drain()  # so will the run, once it hears of it; until then no row more may be burnt
            self._flying -= 1
            self._done += ends
            self._ended()
            load = self._next()

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


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: what a task awaits may swallow a cancellation that comes as it answers."""
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=CANCEL_AGAIN_S)
