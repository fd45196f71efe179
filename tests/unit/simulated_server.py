"""A server with a knee that moves, and a client that keeps it busy, in simulated time: seconds pass in milliseconds."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from batchrunner.submit.adaptive import AdaptiveLimit, End

Kind = Literal["queues", "degrades", "throttles", "fails"]
"""What it does with requests beyond its knee: lets them wait, slows all down, says 429, says 503."""

PAUSE_S = 0.25
"""How long a 429 holds everybody, as the submitter does."""


@dataclass(frozen=True)
class Server:
    """What is known of it: nothing, to the client."""

    kind: Kind
    knee: Callable[[float], int]
    service_s: Callable[[float], float] = lambda _: 0.05
    network_s: float = 0.005
    spread: float = 0.2
    """Of the logarithm of a service time."""


@dataclass
class Simulation:
    """One run of a client against a server."""

    server: Server
    limit: Callable[[], int]
    landed: Callable[[float, float, End, int], object] = lambda *_: None
    paused: Callable[[float, float], object] = lambda *_: None
    seed: int = 1
    now_s: float = 0.0
    accepted: int = 0
    failed: int = 0
    limits: list[tuple[float, int]] = field(default_factory=list)

    def run(self, seconds: float) -> int:
        """How many requests were accepted in that time."""
        self._random, self._number = random.Random(self.seed), itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: deque[float] = deque()
        self._flying = self._busy = 0
        self._paused_s = -math.inf
        self._fill()
        while self._events and self._events[0][0] <= seconds:
            self.now_s, _, happen = heapq.heappop(self._events)
            happen()
        return self.accepted

    def _at(self, seconds: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_s + seconds, next(self._number), happen))

    def _fill(self) -> None:
        if self.now_s < self._paused_s:
            return
        while self._flying < self.limit():
            self._flying += 1
            self._arrive(self.now_s)

    def _arrive(self, began_s: float) -> None:
        server, knee = self.server, self.server.knee(self.now_s)
        if server.kind == "queues":
            self._waiting.append(began_s)
            self._serve(knee)
        elif server.kind == "degrades":
            slow = max(1.0, self._flying / knee) ** 2
            self._at(self._time_s() * slow, lambda: self._land(began_s, End.WELL))
        elif self._busy >= knee:
            end = End.THROTTLED if server.kind == "throttles" else End.FAILED
            self._at(server.network_s, lambda: self._land(began_s, end))
        else:
            self._busy += 1
            self._at(self._time_s(), lambda: self._served(began_s))

    def _serve(self, knee: int) -> None:
        while self._waiting and self._busy < knee:
            self._busy += 1
            began_s = self._waiting.popleft()
            self._at(self._time_s(), lambda began_s=began_s: self._served(began_s))  # type: ignore[misc]

    def _served(self, began_s: float) -> None:
        self._busy -= 1
        self._serve(self.server.knee(self.now_s))
        self._land(began_s, End.WELL)

    def _time_s(self) -> float:
        server = self.server
        return server.network_s + server.service_s(self.now_s) * self._random.lognormvariate(0, server.spread)

    def _land(self, began_s: float, end: End) -> None:
        self.accepted += end is End.WELL
        self.failed += end is End.FAILED
        self.landed(began_s, self.now_s, end, self._flying)
        self._flying -= 1
        if not self.limits or self.limits[-1][1] != self.limit():
            self.limits.append((self.now_s, self.limit()))
        if end is End.THROTTLED:
            self.paused(self.now_s, PAUSE_S)
            self._paused_s = max(self._paused_s, self.now_s + PAUSE_S)
            self._at(PAUSE_S, self._fill)
        self._fill()


def fixed(server: Server, limit: int, seconds: float) -> int:
    """What a fixed limit gets done."""
    return Simulation(server, lambda: limit).run(seconds)


def adaptive(server: Server, cap: int, seconds: float, seed: int = 1) -> tuple[int, AdaptiveLimit, Simulation]:
    """What an adaptive one does."""
    limit = AdaptiveLimit(cap)
    simulation = Simulation(server, lambda: limit.limit, limit.landed, limit.paused, seed)
    return simulation.run(seconds), limit, simulation


def moving(*knees: int, each_s: float) -> Callable[[float], int]:
    """A knee that takes one value after the other, and begins again."""
    return lambda now_s: knees[int(now_s / each_s) % len(knees)]
