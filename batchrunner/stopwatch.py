"""Where the time of a run goes: laps of one thread by stage, and what they add up to.

Laps are exclusive and follow each other without gaps, so they add up to the whole run. Each is kept as CPU time (our
own work) and as wall time (which also holds waiting: for answers, for the disk).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Literal

from batchrunner.model import Value

OURS = ("read", "map", "gate", "claim", "settle", "commit", "submit", "engine", "write", "other")
"""Stages in the order in which a row meets them. `submit` is the HTTP side's own thread or processes, `engine` the
threads beside it; `wait` is not among them, because waiting for answers costs nothing."""

MOST = 0.5
"""Share of a run's time from which waiting for answers is called its limit."""

MUCH = 0.25
"""Share from which waiting for the disk is."""

BUSY = 0.8
"""Share from which a process that sends can do no more."""

Limit = Literal["api", "disk", "cpu"]


class Profile(Value, frozen=True):
    """Where the time of a run went."""

    rows: int
    duration_s: float
    cpu_us: Mapping[str, float]
    """CPU microseconds a row, by stage."""
    waiting: float
    """Share of the time in which nothing was left to do but wait for answers."""
    disk: float
    """Share in which the ledger waited for the disk."""
    busiest: float = 0.0
    """Share in which the busiest of the processes that only send was at work."""

    @property
    def limit(self) -> Limit:
        """What the run could not go faster than."""
        if self.busiest >= BUSY:  # it is what this process waited for
            return "cpu"
        if self.waiting >= MOST:
            return "api"
        return "disk" if self.disk >= MUCH else "cpu"


class Stopwatch:
    """Laps of the thread that made it, and CPU time of others."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.perf_counter_ns,
        thread_ns: Callable[[], int] = time.thread_time_ns,
        process_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        """Start."""
        self._wall_ns, self._thread_ns, self._process_ns = wall_ns, thread_ns, process_ns
        self._cpu: defaultdict[str, int] = defaultdict(int)
        self._wall: defaultdict[str, int] = defaultdict(int)
        self.start()

    def start(self) -> None:
        """Forget everything before now."""
        self._cpu.clear()
        self._wall.clear()
        self._elsewhere_ns = self._busiest_ns = 0
        self._began = self._lapped = self._wall_ns()
        self._thread_lapped = self._thread_ns()
        self._process_began = self._process_ns()

    def lap(self, stage: str) -> None:
        """Everything since the last lap was this stage. Only for the thread that started the watch."""
        wall, thread = self._wall_ns(), self._thread_ns()
        self._wall[stage] += wall - self._lapped
        self._cpu[stage] += thread - self._thread_lapped
        self._lapped, self._thread_lapped = wall, thread

    def add(self, stage: str, cpu_ns: int) -> None:
        """CPU time of another thread."""
        self._cpu[stage] += cpu_ns

    def add_elsewhere(self, stage: str, cpu_ns: int) -> None:
        """CPU time of another process."""
        self._elsewhere_ns += cpu_ns
        self._busiest_ns = max(self._busiest_ns, cpu_ns)
        self._cpu[stage] += cpu_ns

    def profile(self, rows: int) -> Profile | None:
        """What it adds up to. None for a run of no rows."""
        if not rows:
            return None
        self.lap("other")
        whole_ns = max(1, self._lapped - self._began)
        here_ns = sum(self._cpu.values()) - self._elsewhere_ns
        self.add("engine", max(0, self._process_ns() - self._process_began - here_ns))
        known = {stage: self._cpu[stage] for stage in OURS}
        known["other"] += sum(ns for stage, ns in self._cpu.items() if stage not in known)
        return Profile(
            rows,
            whole_ns / 1e9,
            {stage: ns / rows / 1000 for stage, ns in known.items()},
            waiting=self._wall["wait"] / whole_ns,
            disk=max(0, self._wall["commit"] - self._cpu["commit"]) / whole_ns,
            busiest=self._busiest_ns / whole_ns,
        )


class Unwatched(Stopwatch):
    """Nobody wants to know: laps cost nothing."""

    def lap(self, stage: str) -> None:
        """Nothing."""

    def add(self, stage: str, cpu_ns: int) -> None:
        """Nothing."""

    def add_elsewhere(self, stage: str, cpu_ns: int) -> None:
        """Nothing."""

    def profile(self, rows: int) -> None:
        """Nothing to tell."""


UNWATCHED = Unwatched()
