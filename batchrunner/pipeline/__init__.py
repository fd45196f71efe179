"""The straight way from rows to settled outcomes; the only concurrency."""

from __future__ import annotations

from batchrunner.pipeline.admission import Admission, Batch
from batchrunner.pipeline.carriage import Carriage
from batchrunner.pipeline.changes import Changes
from batchrunner.pipeline.feed import Input, PlainGate, feed, in_file_order
from batchrunner.pipeline.process_window import ToldLimit
from batchrunner.pipeline.rehearse import Rehearsal, rehearse, sent_again
from batchrunner.pipeline.relay import Relay
from batchrunner.pipeline.retry import LeftoverGate, RetryGate
from batchrunner.pipeline.room import MOST_AHEAD
from batchrunner.pipeline.run import Ended, Guard, Run, RunLimits
from batchrunner.pipeline.senders import Senders
from batchrunner.pipeline.steps import NO_STEPS, Steps
from batchrunner.pipeline.stops import StopRequest
from batchrunner.pipeline.stretches import Stretches
from batchrunner.pipeline.window import ThreadWindow, Window

__all__ = [
    "MOST_AHEAD",
    "NO_STEPS",
    "Admission",
    "Batch",
    "Carriage",
    "Changes",
    "Ended",
    "Guard",
    "Input",
    "LeftoverGate",
    "PlainGate",
    "Rehearsal",
    "Relay",
    "RetryGate",
    "Run",
    "RunLimits",
    "Senders",
    "Steps",
    "StopRequest",
    "Stretches",
    "ThreadWindow",
    "ToldLimit",
    "Window",
    "feed",
    "in_file_order",
    "rehearse",
    "sent_again",
]
