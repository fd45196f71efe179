"""A bound on each of many things that wait, with one timer for all of them.

`asyncio.timeout` would do the same with a timer for each, and these cost a tenth of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Cancellable(Protocol):
    """What can be told that its time is up: a task, a flight, or a line."""

    def cancel(self) -> object:
        """It is."""
        ...


class Deadline:
    """Gives everything the same time. Used from one event loop only."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s` counts from the moment of beginning."""
        self.limit_s = limit_s
        self._due_s: dict[Cancellable, float] = {}  # one limit for all, so the first to come is the first due
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, one: Cancellable) -> None:
        """Cancel it when the time is up."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._due_s[one] = due_s = self._loop.time() + self.limit_s
        if self._timer is None:
            self._timer = self._loop.call_at(due_s, self._expire, self._loop)

    def end(self, one: Cancellable) -> None:
        """It has ended by itself."""
        self._due_s.pop(one, None)

    async def within(self, awaitable: Awaitable[T]) -> T:
        """Await it. Raises TimeoutError, after cancelling it, when the time is up."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("there is nothing to cancel outside a task")
        cancelled_before = task.cancelling()
        self.begin(task)
        try:
            return await awaitable
        except BaseException as error:
            # The same reckoning as in asyncio.timeout: a cancellation from elsewhere wins.
            ours = task not in self._due_s and task.uncancel() <= cancelled_before
            if ours and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from error
            raise
        finally:
            self._due_s.pop(task, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now_s = loop.time()
        for one, due_s in list(self._due_s.items()):
            if due_s > now_s:
                self._timer = loop.call_at(due_s, self._expire, loop)
                return
            if self._due_s.pop(one, None) is not None:  # unless another one's end was its end, too
                one.cancel()

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
