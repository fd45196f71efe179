"""When a job is due, and how other programs come to start it then.

due         which slots are to be fired now: pure
processes   runs as processes of their own
firing      claim a slot, run the job, note how it ended
serving     jobs whose slots a program of ours waits for: timers without timers
folders     folders that files come into
health      an address that tells how it goes
programs    the command that a timer calls, and what it needs of its surroundings
systemd, crontab, kubernetes    how they write it
installing  where they find it
"""

from __future__ import annotations

from batchrunner.schedule.due import Due, begins_s, cron_of, due, table_of
from batchrunner.schedule.firing import Fired, Firing
from batchrunner.schedule.processes import BROKE_OFF, Children, Ended, exit_of, sentence_of

__all__ = [
    "BROKE_OFF",
    "Children",
    "Due",
    "Ended",
    "Fired",
    "Firing",
    "begins_s",
    "cron_of",
    "due",
    "exit_of",
    "sentence_of",
    "table_of",
]
