"""The straight way from rows to settled outcomes; the only concurrency."""

from __future__ import annotations

from batchrunner.pipeline.admission import Admission, Batch
from batchrunner.pipeline.carriage import Carriage
from batchrunner.pipeline.feed import Input, PlainGate, feed, in_file_order
from batchrunner.pipeline.rehearse import Rehearsal, rehearse, sent_again
from batchrunner.pipeline.retry import LeftoverGate, RetryGate
from batchrunner.pipeline.run import Ended, Guard, Run, RunLimits
from batchrunner.pipeline.stops import StopRequest
from batchrunner.pipeline.stretches import Stretches
from batchrunner.pipeline.window import Window

__all__ = [
    "Admission",
    "Batch",
    "Carriage",
    "Ended",
    "Guard",
    "Input",
    "LeftoverGate",
    "PlainGate",
    "Rehearsal",
    "RetryGate",
    "Run",
    "RunLimits",
    "StopRequest",
    "Stretches",
    "Window",
    "feed",
    "in_file_order",
    "rehearse",
    "sent_again",
]
