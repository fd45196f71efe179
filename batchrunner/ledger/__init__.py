"""The memory: claims and outcomes, durable before anything depends on them. The only door to SQLAlchemy.

What it offers is loaded when it is first asked for: a look at the past needs no more than the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from batchrunner.ledger.codec import as_dict
from batchrunner.ledger.glance import Looks, at_a_glance
from batchrunner.ledger.records import DIED, EntryRecord, Pause, RunRecord

if TYPE_CHECKING:
    from batchrunner.ledger.history import Business, End, History, Leftover, Place, Wanted
    from batchrunner.ledger.late import Late, canonical, settle_answers
    from batchrunner.ledger.nights import Load, Nights
    from batchrunner.ledger.slots import FINISHED, SlotRecord, Slots
    from batchrunner.ledger.store import SqlLedger, open_ledger
    from batchrunner.ledger.uploads import SqlUploadShelf
    from batchrunner.ledger.whole import Whole

__all__ = [
    "DIED",
    "FINISHED",
    "Business",
    "End",
    "EntryRecord",
    "History",
    "Late",
    "Leftover",
    "Load",
    "Looks",
    "Nights",
    "Pause",
    "Place",
    "RunRecord",
    "SlotRecord",
    "Slots",
    "SqlLedger",
    "SqlUploadShelf",
    "Wanted",
    "Whole",
    "as_dict",
    "at_a_glance",
    "canonical",
    "open_ledger",
    "settle_answers",
]

_HOMES = {
    "history": ("Business", "End", "History", "Leftover", "Place", "Wanted"),
    "late": ("Late", "canonical", "settle_answers"),
    "nights": ("Load", "Nights"),
    "slots": ("FINISHED", "SlotRecord", "Slots"),
    "store": ("SqlLedger", "open_ledger"),
    "uploads": ("SqlUploadShelf",),
    "whole": ("Whole",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load the module in which it lives, once."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found
