"""The HTTP side: claims go in, settled claims come out. It never sees the ledger."""

from __future__ import annotations

from batchrunner.submit.loop import new_event_loop
from batchrunner.submit.submitter import HttpSubmitter
from batchrunner.submit.throttle import Throttle
from batchrunner.submit.transports import make_transport

__all__ = ["HttpSubmitter", "Throttle", "make_transport", "new_event_loop"]
