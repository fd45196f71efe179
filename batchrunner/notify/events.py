"""What kind of event the end of a run is. Decisions only.

A run is judged by the object that it printed (`--output json`), for that is what is documented and kept.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from batchrunner.errors import Reason
from batchrunner.nights import AS_PLANNED


class Event(enum.StrEnum):
    """What somebody may be told of. The names are relied on: add, never rename."""

    FAILURE = "failure"
    """The run could not do its work."""
    DEGRADED = "degraded"
    """It did, but more rows than usual ended badly."""
    MISSING_FILE = "missing_file"
    """There was nothing to work on."""
    RECOVERY = "recovery"
    """All is well again."""
    SUCCESS = "success"
    """All is well, as before."""
    TEST = "test"
    """Nothing happened: somebody tries the way."""


TROUBLE = frozenset({Event.FAILURE, Event.DEGRADED, Event.MISSING_FILE})
"""After one of these, the next good run is a recovery."""

NO_FILE = frozenset({Reason.MISSING_FILE, Reason.UNFINISHED_FILE})

FINISHED = (0, 1, 5)
"""Exit codes of runs that came to the end of their rows."""

OF_NOBODYS_BUSINESS = (75, 130, 143)
"""Another run was in the way, or somebody stopped it: who did so knows, and the next slot goes on."""

BAD = ("rejected", "failed", "in_doubt", "unusable")


def judge(
    told: Mapping[str, Any], exit_code: int, *, degraded_at: float, before: Event | None, out_of_time: bool = False
) -> Event | None:
    """The event of a run, or None for one that nobody needs to hear of; `before` is the job's event before this one."""
    reason = told.get("reason")
    if reason in NO_FILE:
        return Event.MISSING_FILE
    if reason in AS_PLANNED:
        return None
    if out_of_time:
        return Event.FAILURE
    if exit_code in OF_NOBODYS_BUSINESS:
        return None
    if exit_code not in FINISHED:
        return Event.FAILURE
    if bad_share(told) > degraded_at:
        return Event.DEGRADED
    return Event.RECOVERY if before in TROUBLE else Event.SUCCESS


def bad_share(told: Mapping[str, Any]) -> float:
    """The rows that ended badly, in percent of those that were judged or sent."""
    bad = sum(told.get(name, 0) for name in BAD)
    judged = bad + told.get("accepted", 0)
    return 100 * bad / judged if judged else 0.0
