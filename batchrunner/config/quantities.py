"""Quantities as types of the job file: a parser's own sentence is what the user reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from batchrunner.config.units import (
    MOST_IN_FLIGHT,
    Concurrency,
    ErrorLimit,
    Rate,
    parse_concurrency,
    parse_duration,
    parse_max_errors,
    parse_rate,
)


def _sentence(parse: Any, *ready: type) -> BeforeValidator:  # noqa: ANN401  any parser of one text
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
    _sentence(parse_duration, timedelta),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d|w)\s*$", "examples": ["30s"]}),
]
RateText = Annotated[
    Rate,
    _sentence(parse_rate, Rate),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*/\s*(s|sec|min|m|h)\s*$", "examples": ["50/s"]}),
]
InFlight = Annotated[
    Concurrency,
    _sentence(parse_concurrency),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_IN_FLIGHT}, {"const": "auto"}]}),
]
MaxErrors = Annotated[
    ErrorLimit,
    _sentence(parse_max_errors, ErrorLimit),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?%?\s*$"}]}
    ),
]
