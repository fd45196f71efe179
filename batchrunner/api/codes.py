"""The documented error codes of the API, and what each means for a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """What a documented error code means for the run."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_DOUBT = "in doubt"
    REFUSED_US = "stops the run"
    THROTTLED = "wait"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One line of the table of body error codes."""

    meaning: str
    kind: Kind
    fixed_by: Literal["data", "config", "server", "nobody"]
    """Where the cause is to be put right."""


ERROR_CODES: dict[int, ErrorCode] = {
    0: ErrorCode("success", Kind.ACCEPTED, "nobody"),
    400: ErrorCode("incorrect request", Kind.REJECTED, "data"),
    401: ErrorCode("API token required", Kind.REFUSED_US, "config"),
    402: ErrorCode("tariff limit reached", Kind.REFUSED_US, "server"),
    403: ErrorCode("no rights for this action", Kind.REFUSED_US, "config"),
    404: ErrorCode("object not in the token's vision zone (every row: a wrong workflow_id)", Kind.REJECTED, "config"),
    409: ErrorCode("another record has the same unique attributes", Kind.REJECTED, "data"),
    413: ErrorCode("database not available in the selected resource", Kind.REJECTED, "config"),
    415: ErrorCode("content type not supported", Kind.REFUSED_US, "config"),
    429: ErrorCode("too many requests (not documented; a proxy may say it)", Kind.THROTTLED, "server"),
    435: ErrorCode("ambiguous search, several objects match", Kind.REJECTED, "data"),
    441: ErrorCode("object belongs to another group", Kind.REJECTED, "config"),
    450: ErrorCode("incorrect request", Kind.REJECTED, "data"),
    500: ErrorCode("internal service error", Kind.IN_DOUBT, "server"),
    501: ErrorCode("method does not exist", Kind.REFUSED_US, "config"),
}
"""The documented values of `error` in the body of an answer. Others count as rejected and are marked unlisted."""
