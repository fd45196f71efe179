"""Quantities as people write them in a job file: `30d`, `50/s`, `5%`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w)\s*")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|sec|min|m|h)\s*")
_PER_S = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_DAY_TIME = re.compile(r"\s*(\d{1,2}):(\d{2})\s*")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_MAX_ERRORS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*")


MOST_IN_FLIGHT = 4096
"""More connections than that are a slip."""

MOST_PROCESSES = 16
"""More would wait for the one that keeps the ledger."""

Concurrency = int | Literal["auto"]

LONGEST_S = 100 * 366 * 86400.0
"""A hundred years: what is longer is a slip, and would not fit a calendar."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests a second."""

    per_s: float

    def __str__(self) -> str:
        """As a job file would say it."""
        return f"{self.per_s:g}/s"


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """When a run has seen too many errors: a count, or a share of the rows it judged or sent."""

    count: int | None = None
    percent: float | None = None

    def __str__(self) -> str:
        """As a job file would say it."""
        return str(self.count) if self.percent is None else f"{self.percent:g}%"


@dataclass(frozen=True, slots=True, order=True)
class DayTime:
    """A time of the day, as a clock on the wall shows it."""

    hour: int
    minute: int

    def __str__(self) -> str:
        """As a job file would say it."""
        return f"{self.hour:02}:{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Hours:
    """From one time of the day to another, over midnight where the second is the earlier one."""

    begin: DayTime
    end: DayTime

    def __str__(self) -> str:
        """As a job file would say it."""
        return f"{self.begin}-{self.end}"


def parse_duration(value: str | object) -> timedelta:
    """`250ms`, `30s`, `10m`, `24h`, `30d`, `2w`. Raises ValueError with a sentence."""
    # A number alone, as a job file may well have it, says nothing about its unit.
    if match := _DURATION.fullmatch(str(value)):
        seconds = float(match[1]) * _UNIT_S[match[2]]
        if seconds > LONGEST_S:
            raise ValueError(f"{value!r} is longer than a hundred years; write a shorter duration")
        return timedelta(seconds=seconds)
    raise ValueError(f"{value!r} is not a duration; write a number and a unit, as in '30s', '10m', '24h' or '30d'")


def parse_rate(value: str | object) -> Rate:
    """`50/s`, `3000/min`, `1000/h`. Raises ValueError with a sentence."""
    if (match := _RATE.fullmatch(str(value))) and 0 < float(match[1]) < math.inf:
        return Rate(float(match[1]) / _PER_S[match[2]])
    raise ValueError(f"{value!r} is not a rate; write requests per second, minute or hour, as in '50/s' or '3000/min'")


def parse_max_errors(value: str | int) -> ErrorLimit:
    """`100` or `5%`. Raises ValueError with a sentence."""
    match = _MAX_ERRORS.fullmatch(str(value))
    if match and match[2] and float(match[1]) <= 100:  # noqa: PLR2004  a share
        return ErrorLimit(percent=float(match[1]))
    if match and not match[2] and match[1].isdigit():
        return ErrorLimit(count=int(match[1]))
    raise ValueError(f"{value!r} is not an error limit; write a number of rows or a share, as in '100' or '5%'")


def parse_concurrency(value: str | object) -> Concurrency:
    """`32` or `auto`. Raises ValueError with a sentence."""
    if value == "auto":
        return "auto"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_IN_FLIGHT:
        return value
    raise ValueError(
        f"{value!r} is no number of requests in flight; write a whole number from 1 to {MOST_IN_FLIGHT}, or 'auto'"
    )


def parse_day_time(value: str | object) -> DayTime:
    """`04:00`. Raises ValueError with a sentence."""
    match = _DAY_TIME.fullmatch(str(value))
    if match and int(match[1]) < 24 and int(match[2]) < 60:  # noqa: PLR2004  as clocks have them
        return DayTime(int(match[1]), int(match[2]))
    raise ValueError(f"{value!r} is no time of the day; write hours and minutes, as in '04:00'")


def parse_hours(value: str | object) -> Hours:
    """`22:00-07:00`. Raises ValueError with a sentence."""
    begin, _, end = str(value).partition("-")
    try:
        hours = Hours(parse_day_time(begin), parse_day_time(end))
    except ValueError:
        hours = None
    if hours is None or hours.begin == hours.end:
        raise ValueError(f"{value!r} are no hours of the day; write from and until, as in '22:00-07:00'")
    return hours


def parse_percent(value: str | object) -> float:
    """`50%`. Raises ValueError with a sentence."""
    if (match := _PERCENT.fullmatch(str(value))) and 0 < float(match[1]) < 100:  # noqa: PLR2004  a share
        return float(match[1])
    raise ValueError(f"{value!r} is no share; write a percentage between 0% and 100%, as in '50%'")
