"""When a request may leave, by the rate of the job. Pure.

What a rate promises: in no second, in no minute and in no hour do more requests leave than the rate allows for it,
rounded up to whole requests, wherever the second, the minute or the hour begins. So `50/s` is at most 50 in any second
(and 3,000 in any minute), `3000/min` at most 3,000 in any minute and 50 in any second, `1000/min` at most 1,000 in any
minute and 17 in any second. Nothing is saved up: an idle minute does not entitle to a burst.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Protocol

JITTER_S = 0.01
"""A promised window is so much longer: the network may bring requests closer together than they left."""

CATCH_UP_S = 0.05
"""How much of a delay of our own (a busy loop, a late timer) is made good again, always within the windows' limits."""


class Pace(Protocol):
    """What the throttle asks before a request leaves."""

    def delay_s(self, now_s: float, asking: int) -> float:
        """How long from now the next request has to wait; 0 when it may leave. So many are `asking` to leave."""
        ...

    def leave(self, now_s: float) -> None:
        """Note that a request leaves now. Only after a delay of 0."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` in any `seconds`."""

    count: int
    seconds: float

    @property
    def guarded_s(self) -> float:
        """How long after one request the one `count` places later may leave."""
        return self.seconds + JITTER_S


def windows(rate_per_s: float) -> tuple[Window, ...]:
    """What a rate promises for a second, a minute and an hour, without what follows from the window before."""
    kept: list[Window] = []
    for seconds in (1, 60, 3600):
        # Rounded first: 1000/h is a thousand in an hour, and not a thousand and one.
        count = max(1, math.ceil(round(rate_per_s * seconds, 6)))
        if not kept or kept[-1].count * round(seconds / kept[-1].seconds) > count:
            kept.append(Window(count, seconds))
    return tuple(kept)


class Pacer:
    """The rate of one process: evenly spaced, and never more than the windows allow."""

    def __init__(self, rate_per_s: float) -> None:
        """`rate_per_s` may be a fraction: 0.5 is one request every two seconds."""
        self._spacing_s = 1.0 / rate_per_s
        self._windows = [(window.count, window.guarded_s) for window in windows(rate_per_s)]
        self._kept = max(count for count, _ in self._windows)
        self._left = array("d", [-math.inf]) * self._kept  # a ring: the latest departures
        self._next = 0
        self._slot_s = -math.inf

    def delay_s(self, now_s: float, asking: int = 1) -> float:  # noqa: ARG002  of no interest to one alone
        """How long from now the next request has to wait; 0 when it may leave."""
        free_s = self._slot_s
        for count, seconds in self._windows:
            free_s = max(free_s, self._left[(self._next - count) % self._kept] + seconds)
        return max(0.0, free_s - now_s)

    def leave(self, now_s: float) -> None:
        """Note that a request leaves now."""
        self._left[self._next] = now_s
        self._next = (self._next + 1) % self._kept
        self._slot_s = max(self._slot_s, now_s - CATCH_UP_S) + self._spacing_s
