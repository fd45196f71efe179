"""Quantities as types of the job file: a parser's own sentence is what the user reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from batchrunner.config.units import (
    MOST_IN_FLIGHT,
    Concurrency,
    DayTime,
    ErrorLimit,
    Hours,
    Rate,
    parse_concurrency,
    parse_day_time,
    parse_duration,
    parse_hours,
    parse_max_errors,
    parse_percent,
    parse_rate,
)


def sentence(parse: Any, *ready: type) -> BeforeValidator:  # noqa: ANN401  any parser of one text
    """Let a parser's own sentence be the error that the user reads."""

    def validate(value: object) -> object:
        if isinstance(value, ready):
            return value
        try:
            return parse(value)
        except (ValueError, TypeError) as error:
            raise PydanticCustomError("unreadable", "{sentence}", {"sentence": str(error)}) from None

    return BeforeValidator(validate)


Duration = Annotated[
    timedelta,
    sentence(parse_duration, timedelta),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d|w)\s*$", "examples": ["30s"]}),
]
RateText = Annotated[
    Rate,
    sentence(parse_rate, Rate),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*/\s*(s|sec|min|m|h)\s*$", "examples": ["50/s"]}),
]
InFlight = Annotated[
    Concurrency,
    sentence(parse_concurrency),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_IN_FLIGHT}, {"const": "auto"}]}),
]
MaxErrors = Annotated[
    ErrorLimit,
    sentence(parse_max_errors, ErrorLimit),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?%?\s*$"}]}
    ),
]
Percent = Annotated[
    float,
    sentence(parse_percent, float),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$", "examples": ["50%"]}),
]
TimeOfDay = Annotated[
    DayTime,
    sentence(parse_day_time, DayTime),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d{1,2}:\d{2}\s*$", "examples": ["04:00"]}),
]
HoursText = Annotated[
    Hours,
    sentence(parse_hours, Hours),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}\s*$", "examples": ["22:00-07:00"]}
    ),
]


def _zone_name(value: object) -> str:
    """Raises ValueError with a sentence."""
    try:
        ZoneInfo(str(value))
    except (ValueError, OSError, KeyError):  # the last for names that nobody knows
        raise ValueError(f"{value!r} is no time zone; write one such as 'Europe/Moscow' or 'UTC'") from None
    return str(value)


ZoneName = Annotated[
    str, sentence(_zone_name), WithJsonSchema({"type": "string", "examples": ["Europe/Moscow", "UTC"]})
]
