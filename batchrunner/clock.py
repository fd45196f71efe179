"""Time as a parameter: nothing below the composition root reads a clock by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

LOCAL_ZONE = Path("/etc/localtime")


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


def zone(name: str | None, environment: Mapping[str, str] = os.environ, local: Path = LOCAL_ZONE) -> tzinfo:
    """The time zone of that name; without one the machine's, with its clock changes to come."""
    if name is not None:
        return ZoneInfo(name)
    try:
        return ZoneInfo(environment["TZ"].removeprefix(":"))
    except (KeyError, ValueError, OSError):  # not set, or not as the time zone database names it
        pass
    try:
        with local.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (ValueError, OSError):  # none: such a machine has its clock in UTC
        return UTC


def wall_time(unix_ms: int, at: tzinfo) -> datetime:
    """A moment as a clock on the wall there shows it."""
    return datetime.fromtimestamp(unix_ms / 1000, at)


def unix_ms(moment: datetime) -> int:
    """The reverse of `wall_time`."""
    return round(moment.timestamp() * 1000)
