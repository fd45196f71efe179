"""One gate that all requests of a run leave through: pace, pauses, and the way out when the run is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

from batchrunner.clock import Clock
from batchrunner.submit.pace import Pace
from batchrunner.submit.slots import Slots


class Throttle:
    """Shared by everything that sends. Used from one event loop only."""

    def __init__(
        self,
        pace: Pace | None,
        clock: Clock,
        wait: Callable[[float], Awaitable[object]] | None = None,
        slots: Slots | None = None,
    ) -> None:
        """No pace: no rate. No slots: as many in flight as come. `wait` takes the place of real waiting in tests."""
        self.slots = slots
        """With them, every turn that was granted takes one, and has to give it back."""
        self._pace = pace
        self._asking = 0
        self._clock = clock
        self._wait = wait or self._wait_or_drain
        self._resume_s = -math.inf
        self._drained = asyncio.Event()
        self._turn = asyncio.Lock()  # first come, first served
        self._free = pace is None and slots is None

    @property
    def draining(self) -> bool:
        """Nothing may leave any more."""
        return self._drained.is_set()

    @property
    def open(self) -> bool:
        """Whether a request may leave at once, as nearly all may where there is no rate. Spares them the waiting."""
        return self._free and self._resume_s == -math.inf and not self._drained.is_set()

    async def turn(self) -> bool:
        """Wait until a request may leave. False: the run is draining, it may not."""
        if self._free:
            return await self._resumed()
        return await self._turn_in_slot() if self.slots else await self._turn_at_pace()

    async def rest(self, seconds: float) -> None:
        """Wait between two attempts of one claim; shorter when the run drains."""
        if seconds > 0 and not self.draining:
            await self._wait(seconds)

    def pause(self, seconds: float) -> None:
        """Hold everybody for so long from now; a longer pause that is under way stays."""
        self._resume_s = max(self._resume_s, self._clock.elapsed_s() + seconds)
        if self.slots is not None:
            self.slots.paused(seconds)

    def drain(self) -> None:
        """Let nothing leave any more, and wake everybody who waits."""
        self._drained.set()
        if self.slots is not None:
            self.slots.free_all()

    async def _turn_in_slot(self) -> bool:
        # Pace and pauses come after the slot: a request has to leave as soon as these two let it.
        if self.slots is None or self.draining:
            return False
        await self.slots.take()
        may_leave = False
        try:
            may_leave = await self._turn_at_pace()
        finally:
            if not may_leave:
                self.slots.give_back()
        return may_leave

    async def _turn_at_pace(self) -> bool:
        if self._pace is None:
            return await self._resumed()
        self._asking += 1
        try:
            async with self._turn:
                return await self._paced(self._pace)
        finally:
            self._asking -= 1

    async def _resumed(self) -> bool:
        # A loop, because a pause may have been made longer meanwhile.
        while not self.draining and (left_s := self._resume_s - self._clock.elapsed_s()) > 0:
            await self._wait(left_s)
        if not self.draining:
            self._resume_s = -math.inf
        return not self.draining

    async def _paced(self, pace: Pace) -> bool:
        while await self._resumed():
            now_s = self._clock.elapsed_s()
            if (delay_s := pace.delay_s(now_s, self._asking)) <= 0:
                pace.leave(now_s)
                return True
            await self._wait(delay_s)
        return False

    async def _wait_or_drain(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), seconds)
