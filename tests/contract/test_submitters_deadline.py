"""The hard bound on an attempt keeps the laws of asyncio.timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from batchrunner.submit import new_event_loop
from batchrunner.submit.deadline import Deadline


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run on the loop that the product uses."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_within(story))


async def _within(story: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(5):
        await story()


async def _quick() -> str:
    await asyncio.sleep(0)
    return "done"


def test_each_is_given_its_time_and_no_more() -> None:
    """One timer serves those that come later, too, and starts anew after a lull."""

    async def story() -> None:
        deadline, loop = Deadline(0.05), asyncio.get_running_loop()

        async def one(after_s: float) -> float:
            await asyncio.sleep(after_s)
            started_s = loop.time()
            with pytest.raises(TimeoutError):
                await deadline.within(asyncio.Event().wait())
            return loop.time() - started_s

        for _ in range(2):
            took_s = await asyncio.gather(*(one(after / 100) for after in range(8)))
            assert min(took_s) >= 0.05 - 1e-6  # the clock is a float
            assert await deadline.within(_quick()) == "done"
        deadline.close()

    run(story)


def test_a_task_goes_on_after_its_time_was_up() -> None:
    """The cancellation was ours, and it is over."""

    async def story() -> None:
        deadline, current = Deadline(0.01), asyncio.current_task()
        assert current is not None
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await deadline.within(asyncio.Event().wait())
            assert not current.cancelling()
            assert await deadline.within(_quick()) == "done"

    run(story)


def test_a_cancellation_from_elsewhere_wins() -> None:
    """The second signal is never taken for a time-out."""

    async def story() -> None:
        deadline = Deadline(0.01)

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)

        task = asyncio.create_task(deadline.within(asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(deadline.within(stubborn()))
        await asyncio.sleep(0.02)  # its time is up, and it is still cleaning up
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(story)


def test_an_error_stays_what_it_is() -> None:
    """Also when it comes because the time was up."""

    async def story() -> None:
        deadline, current = Deadline(0.01), asyncio.current_task()
        assert current is not None

        async def translates() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise KeyError from None

        with pytest.raises(KeyError):
            await deadline.within(translates())
        assert not current.cancelling()

    run(story)
