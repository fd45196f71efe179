"""The HTTP side: claims go in, settled claims come out. It never sees the ledger."""

from __future__ import annotations

from batchrunner.submit.adaptive import AdaptiveLimit
from batchrunner.submit.exchange import Exchange, exchange_all
from batchrunner.submit.facts import Facts, connection_facts
from batchrunner.submit.fetching import Fetcher, FetchingSubmitter
from batchrunner.submit.loop import new_event_loop
from batchrunner.submit.pace import Pacer
from batchrunner.submit.parcels import ParcelSubmitter
from batchrunner.submit.shared_rate import ScheduleFile, SharedPacer, schedule_path
from batchrunner.submit.slots import Slots
from batchrunner.submit.steps import StepSubmitter
from batchrunner.submit.submitter import HttpSubmitter
from batchrunner.submit.throttle import Throttle
from batchrunner.submit.transports import Transport, make_transport
from batchrunner.submit.uploading import Uploader, UploadingSubmitter

__all__ = [
    "AdaptiveLimit",
    "Exchange",
    "Facts",
    "Fetcher",
    "FetchingSubmitter",
    "HttpSubmitter",
    "Pacer",
    "ParcelSubmitter",
    "ScheduleFile",
    "SharedPacer",
    "Slots",
    "StepSubmitter",
    "Throttle",
    "Transport",
    "Uploader",
    "UploadingSubmitter",
    "connection_facts",
    "exchange_all",
    "make_transport",
    "new_event_loop",
    "schedule_path",
]
