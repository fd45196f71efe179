"""The check at the end of every run: two counts that were made apart must agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from batchrunner.errors import Unbalanced
from batchrunner.model import State, Totals


def imbalance(totals: Totals, states: Mapping[State, int]) -> Unbalanced | None:
    """Compare our totals with what the ledger holds of the run, entries counted by state."""
    held = [states.get(state, 0) for state in (State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT)]
    told = [totals.accepted, totals.rejected, totals.failed, totals.in_doubt]
    if totals.balanced and held == told and not states.get(State.CLAIMED):
        return None
    return Unbalanced(
        f"the run does not balance: {totals.read} rows read, {totals.ended} ended; accepted, rejected, failed and "
        f"in doubt are {told} by our count and {held} in the ledger; this is a bug in batchrunner: report it, and "
        "do not trust this run's summary"
    )
