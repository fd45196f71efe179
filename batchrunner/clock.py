"""Time as a parameter: nothing below the composition root reads a clock by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The two clocks a run needs."""

    def now_ms(self) -> int:
        """Unix time in milliseconds: what the ledger stores. May jump."""
        ...

    def elapsed_s(self) -> float:
        """Seconds since some fixed point. Never goes backwards."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def elapsed_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()


def as_text(unix_ms: int) -> str:
    """A moment as RFC 3339 in UTC with seconds, for people and JSON."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
