"""Slots for requests in flight, as many as an adaptive limit allows at the moment."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from batchrunner.clock import Clock
from batchrunner.submit.adaptive import AdaptiveLimit, End

log = logging.getLogger(__name__)


class Slots:
    """First come, first served. Used from one event loop only."""

    def __init__(self, limit: AdaptiveLimit, clock: Clock) -> None:
        """`limit` may be read from any thread, and is changed here only."""
        self._limit = limit
        self._clock = clock
        self._taken = 0
        self._flying = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a slot. It has to be given back, by `landed` or by `give_back`."""
        if self._taken < self._limit.limit and not self._waiting:
            self._taken += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was given a slot in the same turn of the loop
                self.give_back()
            raise  # else it stays in the queue, and is passed over

    def give_back(self) -> None:
        """A slot was not needed after all."""
        self._taken -= 1
        self._grant()

    def left(self) -> float:
        """A request leaves in its slot now; `landed` wants the moment that this returns."""
        self._flying += 1
        return self._clock.elapsed_s()

    def landed(self, began_s: float, end: End) -> None:
        """A request has ended: let the limit learn of it, and give its slot back."""
        change = self._limit.landed(began_s, self._clock.elapsed_s(), end, self._flying)
        if change is not None:
            level = logging.DEBUG if change.cause is None else logging.INFO
            why = "trying" if change.cause is None else change.cause.value
            log.log(level, "concurrency %d -> %d: %s", change.before, change.after, why)
        self._flying -= 1
        self.give_back()

    def paused(self, seconds: float) -> None:
        """Everybody is held for so long."""
        self._limit.paused(self._clock.elapsed_s(), seconds)

    def free_all(self) -> None:
        """Let everybody who waits go on: nothing will leave any more."""
        while self._waiting:
            self._hand_over()

    def _grant(self) -> None:
        while self._waiting and self._taken < self._limit.limit:
            self._hand_over()

    def _hand_over(self) -> None:
        waiter = self._waiting.popleft()
        if not waiter.done():
            self._taken += 1
            waiter.set_result(None)
