"""What those who are told of a night get to know: a closed set of reasons (`errors.Reason`), never a value of a row."""

from __future__ import annotations

from batchrunner.errors import BatchrunnerError, HeldBack, MissingFile, Reason, RefusedFile
from batchrunner.model import Value

AS_PLANNED = frozenset(
    {Reason.ALREADY_LOADED, Reason.NOTHING_NEW, Reason.PAUSED, Reason.OUTSIDE_HOURS, Reason.DAILY_LIMIT}
)
"""Reasons that nobody needs to be woken for."""


class NightEvent(Value, frozen=True):
    """Something about a night that is not an outcome of a row."""

    reason: Reason
    sentence: str
    """For a person; it ends with what to do next."""

    @property
    def needs_somebody(self) -> bool:
        """Whether a person should hear of it."""
        return self.reason not in AS_PLANNED


def event_of(error: BatchrunnerError | None) -> NightEvent | None:
    """The event behind the error that a run ended with, if it is one of a night."""
    match error:
        case MissingFile() | RefusedFile() | HeldBack():
            return NightEvent(error.reason, str(error))
        case _:
            return None
