"""Telling somebody of a night: one message for each event, exactly when a person is needed.

events    what kind of event the end of a run is: pure
message   what is told of it: numbers, the commonest reasons, what to run next; never a value of a row
webhook, mail, services   the ways to tell it
telling   all of a job's ways
"""

from __future__ import annotations

from batchrunner.notify.events import TROUBLE, Event, judge
from batchrunner.notify.message import Message, message_of, trial
from batchrunner.notify.telling import Told, tell

__all__ = ["TROUBLE", "Event", "Message", "Told", "judge", "message_of", "tell", "trial"]
