"""When a run stops before its rows do. Decisions only: the run does the stopping."""

from __future__ import annotations

from collections.abc import Callable

from batchrunner.config import ErrorLimit
from batchrunner.errors import ApiRefusedUs, Interrupted, TooManyErrors
from batchrunner.model import Totals

ENOUGH_FOR_A_SHARE = 100
"""Rows before a share of errors means anything: one bad row of the first three is not 33%."""

ENOUGH_FOR_EVERY_ROW = 20
"""Rows that must all be answered 404 before we say that it is not the rows."""


def too_many_errors(totals: Totals, limit: ErrorLimit | None) -> TooManyErrors | None:
    """Whether the error threshold is passed. Rows that the gate held back count neither way."""
    if limit is None:
        return None
    errors = totals.rejected + totals.failed + totals.in_doubt + totals.unusable
    judged = errors + totals.accepted
    if limit.count is not None:
        passed = errors > limit.count
    else:
        passed = judged >= ENOUGH_FOR_A_SHARE and errors * 100 > (limit.percent or 0) * judged
    if not passed:
        return None
    return TooManyErrors(
        f"stopped: {errors} of {judged} rows ended in an error, more than max_errors = {limit} allows; "
        "see error.csv, then run again to go on"
    )


def refused_every_row(totals: Totals) -> ApiRefusedUs | None:
    """A 404 for one row is about that row; a 404 for every row is about the scenario or the token."""
    not_found = totals.codes.get("rejected:404", 0)
    sent = totals.accepted + totals.rejected + totals.failed + totals.in_doubt
    if not_found < ENOUGH_FOR_EVERY_ROW or not_found < sent:
        return None
    return ApiRefusedUs(
        f"stopped: all {sent} rows sent so far were answered 404 (not in the token's vision zone); "
        "check the numbers under [target] (workflow_id or trigger_id, db_id) and the rights of the token, then send "
        "these rows again with 'retry'"
    )


class StopRequest:
    """What signals asked for. The first asks for a graceful stop, the second for one at once."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self.signal_number: int | None = None
        self.at_once = False
        self.wake: Callable[[], None] = lambda: None
        """Called at a signal, to rouse a run that waits for answers."""

    def signalled(self, signal_number: int) -> None:
        """Note a signal; safe inside a signal handler."""
        self.at_once = self.signal_number is not None
        self.signal_number = self.signal_number or signal_number
        self.wake()

    def error(self) -> Interrupted | None:
        """The end that the signal asks for, if there was one."""
        return None if self.signal_number is None else Interrupted(self.signal_number)
