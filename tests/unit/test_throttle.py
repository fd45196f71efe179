"""The throttle, in a time that passes only when everybody waits."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from batchrunner.submit import Pacer, Throttle


@dataclass
class FakeTime:
    """A clock and a way to wait on it."""

    now_s: float = 100.0
    sleepers: list[tuple[float, int, asyncio.Event]] = field(default_factory=list)
    number: itertools.count[int] = field(default_factory=itertools.count)

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return round(self.now_s * 1000)

    def elapsed_s(self) -> float:
        """Seconds."""
        return self.now_s

    async def wait(self, seconds: float) -> None:
        """Wait until the clock has been moved."""
        woken = asyncio.Event()
        heapq.heappush(self.sleepers, (self.now_s + seconds, next(self.number), woken))
        await woken.wait()

    async def settle(self) -> None:
        """Let everybody come to a halt."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def pass_until(self, end_s: float) -> None:
        """Move from one sleeper to the next."""
        await self.settle()
        while self.sleepers and self.sleepers[0][0] <= end_s:
            due_s, _, woken = heapq.heappop(self.sleepers)
            self.now_s = max(self.now_s, due_s)
            woken.set()
            await self.settle()
        self.now_s = end_s


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run a story."""
    asyncio.run(_within(story))


async def _within(story: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(5):
        await story()


def most_in_a_second(left: list[float]) -> int:
    """The largest number of departures in any half-open second."""
    return max(bisect_left(left, start + 1.0) - index for index, start in enumerate(left))


def test_without_a_rate_nobody_waits() -> None:
    """The common case costs nothing."""

    async def story() -> None:
        time = FakeTime()
        throttle = Throttle(None, time, time.wait)
        assert all([await throttle.turn() for _ in range(100)])
        assert not time.sleepers

    run(story)


def test_everybody_goes_through_one_gate_in_order() -> None:
    """Many at once: first come, first served, at the pace."""

    async def story() -> None:
        time, left = FakeTime(), list[tuple[int, float]]()
        throttle = Throttle(Pacer(10), time, time.wait)

        async def one(number: int) -> None:
            assert await throttle.turn()
            left.append((number, time.now_s))

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(one(number))
            await time.pass_until(200)
        assert [number for number, _ in left] == list(range(30))
        assert most_in_a_second([at for _, at in left]) <= 10
        assert left[-1][1] == pytest.approx(102.9, abs=0.15)

    run(story)


@pytest.mark.parametrize("rate", [None, 1000.0])
def test_a_pause_holds_everybody(rate: float | None) -> None:
    """Until the latest of all pauses is over; a shorter one does not shorten it."""

    async def story() -> None:
        time, left = FakeTime(), list[float]()
        throttle = Throttle(Pacer(rate) if rate else None, time, time.wait)

        async def one() -> None:
            assert await throttle.turn()
            left.append(time.now_s)

        throttle.pause(5)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(one())
            await time.pass_until(103)
            assert not left
            throttle.pause(10)
            throttle.pause(1)
            await time.pass_until(112.9)
            assert not left
            await time.pass_until(120)
        assert len(left) == 3
        assert min(left) >= 113
        assert throttle.open is (rate is None)  # whoever asks from now on need not wait for anything

    run(story)


@pytest.mark.parametrize("rate", [None, 0.001])
def test_draining_wakes_everybody_at_once(rate: float | None) -> None:
    """Those who wait for a turn, for a pause to end, or between attempts: in real time."""

    async def story() -> None:
        time = FakeTime()
        throttle = Throttle(Pacer(rate) if rate else None, time)
        throttle.pause(3600)
        turns = [asyncio.create_task(throttle.turn()) for _ in range(5)]
        rest = asyncio.create_task(throttle.rest(3600))
        await time.settle()
        assert not any(task.done() for task in (*turns, rest))
        throttle.drain()
        assert await asyncio.gather(*turns) == [False] * 5
        await rest
        assert throttle.draining

    run(story)


def test_nobody_starts_to_wait_while_draining() -> None:
    """Turns are refused, rests are over."""

    async def story() -> None:
        time = FakeTime()
        throttle = Throttle(Pacer(5), time, time.wait)
        throttle.drain()
        assert not await throttle.turn()
        await throttle.rest(100)
        assert not time.sleepers

    run(story)
