"""Slots: as many requests in flight as the limit says at the moment, first come, first served."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest
from test_throttle import FakeTime, run

from batchrunner.submit import AdaptiveLimit, Pacer, Slots, Throttle
from batchrunner.submit.adaptive import START, Change, End

CAP = 64


@dataclass(eq=False)
class SetLimit(AdaptiveLimit):
    """A limit that the test sets; it changes when the next request lands."""

    limit: int = 3
    then: Change | None = None

    def landed(self, began_s: float, now_s: float, end: End, in_flight: int) -> Change | None:
        """What the test has said."""
        change, self.then = self.then, None
        if change:
            self.limit = change.after
        return change


def test_no_more_leave_than_there_are_slots_and_the_next_is_the_first_that_came() -> None:
    """One that lands lets one more leave."""

    async def story() -> None:
        time, left = FakeTime(), list[int]()
        slots = Slots(SetLimit(), time)
        throttle = Throttle(None, time, time.wait, slots)

        async def one(number: int) -> None:
            assert await throttle.turn()
            left.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(one(number))
            await time.settle()
            assert left == [0, 1, 2]
            began_s = [slots.left() for _ in range(3)]
            slots.landed(began_s[0], End.WELL)
            await time.settle()
            assert left == [0, 1, 2, 3]
            slots.give_back()
            slots.give_back()
            await time.settle()
            assert left == [0, 1, 2, 3, 4, 5]

    run(story)


def test_a_limit_that_moves_is_followed_at_once() -> None:
    """Up: everybody who fits goes; down: nobody goes until enough have landed."""

    async def story() -> None:
        time, left = FakeTime(), list[int]()
        limit = SetLimit()
        slots = Slots(limit, time)

        async def one(number: int) -> None:
            await slots.take()
            left.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(one(number))
            await time.settle()
            limit.then = Change(3, 5, None)
            slots.landed(slots.left(), End.WELL)
            await time.settle()
            assert len(left) == 6  # five fly, and one has landed
            limit.then = Change(5, 2, None)
            for _ in range(3):
                slots.landed(slots.left(), End.WELL)
            await time.settle()
            assert len(left) == 6
            for _ in range(2):
                slots.landed(slots.left(), End.WELL)
            await time.settle()
            assert len(left) == 8

    run(story)


def test_a_slot_that_was_given_to_somebody_who_is_gone_goes_to_the_next() -> None:
    """Cancelled while waiting, or in the very turn in which it was given."""

    async def story() -> None:
        time = FakeTime()
        slots = Slots(SetLimit(limit=1), time)
        await slots.take()
        gone, late, next_ = (asyncio.create_task(slots.take()) for _ in range(3))
        await time.settle()
        gone.cancel()
        await time.settle()
        slots.give_back()
        late.cancel()
        await asyncio.wait_for(next_, 1)
        assert gone.cancelled()
        assert late.cancelled()

    run(story)


def test_draining_wakes_those_who_wait_for_a_slot() -> None:
    """None of them may leave."""

    async def story() -> None:
        time = FakeTime()
        throttle = Throttle(None, time, time.wait, Slots(SetLimit(limit=1), time))
        assert await throttle.turn()
        turns = [asyncio.create_task(throttle.turn()) for _ in range(3)]
        await time.settle()
        throttle.drain()
        assert await asyncio.gather(*turns) == [False] * 3
        assert not await throttle.turn()

    run(story)


def test_slots_keep_to_the_rate() -> None:
    """The pace is the last thing a request waits for."""

    async def story() -> None:
        time, left = FakeTime(), list[float]()
        slots = Slots(AdaptiveLimit(CAP), time)
        throttle = Throttle(Pacer(10), time, time.wait, slots)

        async def one() -> None:
            for _ in range(10):
                assert await throttle.turn()
                left.append(time.now_s)
                began_s = slots.left()
                await time.wait(0.02)
                slots.landed(began_s, End.WELL)

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(one())
            await time.pass_until(110)
        assert len(left) == 50
        assert all(later - earlier >= 1 for earlier, later in zip(left, left[10:], strict=False))

    run(story)


def test_a_back_off_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the reason; steps of the search are for -vv."""

    async def story() -> None:
        slots = Slots(AdaptiveLimit(CAP), FakeTime())
        await slots.take()
        slots.landed(slots.left(), End.THROTTLED)

    with caplog.at_level(logging.INFO):
        run(story)
    assert caplog.messages == [f"concurrency {START} -> {START - 1}: throttled"]
