"""The memory: claims and outcomes, durable before anything depends on them. The only door to SQLAlchemy."""

from __future__ import annotations

from batchrunner.ledger.codec import as_dict
from batchrunner.ledger.history import Business, End, EntryRecord, History, Leftover, Place, RunRecord, Wanted
from batchrunner.ledger.late import Late, canonical, settle_answers
from batchrunner.ledger.nights import Load, Nights, Pause
from batchrunner.ledger.slots import FINISHED, SlotRecord, Slots
from batchrunner.ledger.store import DIED, SqlLedger, open_ledger
from batchrunner.ledger.uploads import SqlUploadShelf

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
    "Nights",
    "Pause",
    "Place",
    "RunRecord",
    "SlotRecord",
    "Slots",
    "SqlLedger",
    "SqlUploadShelf",
    "Wanted",
    "as_dict",
    "canonical",
    "open_ledger",
    "settle_answers",
]
