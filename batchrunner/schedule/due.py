"""Which slots are due. A slot is a moment of the job's `cron`; it fires once, whoever asks. Decisions only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.clock import zone
from batchrunner.config import Job, ScheduleTable
from batchrunner.cron import Cron
from batchrunner.errors import ConfigError

IN_TIME_S = 300
"""With `catch_up = "none"`: a slot is fired while it is younger than this. Timers of busy machines are late."""

MOST_AT_ONCE = 100
"""Missed slots that `catch_up = "all"` fires: of more, the newest. A machine that was off for a year is no backlog."""

LOOK_BACK_S = (3600, 86_400, 40 * 86_400, 800 * 86_400, 10_000 * 86_400)
"""How far to look for missed slots: no further than to have enough of them, for some schedules come every second."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now."""

    slots: tuple[int, ...] = ()
    """In Unix seconds, oldest first."""
    passed_over: int = 0
    """Missed slots for which there will be no run of their own; of very many, the latest are counted."""


def cron_of(job: Job) -> Cron:
    """The job's cron expression in its time zone. Raises ConfigError where it has none."""
    if (text := table_of(job).cron) is None:
        raise ConfigError(f'{job.file}: [schedule] has no `cron`; add one, as in cron = "0 2 * * *"')
    return Cron(text, zone(timezone_of(job)))


def timezone_of(job: Job) -> str | None:
    """The name of the time zone of its schedule; None for the machine's."""
    return table_of(job).timezone or job.timezone


def table_of(job: Job) -> ScheduleTable:
    """The job's `[schedule]`. Raises ConfigError where it has none."""
    if job.schedule is None:
        raise ConfigError(f'{job.file}: has no [schedule]; add one, as in [schedule] cron = "0 2 * * *"')
    return job.schedule


def due(job: Job, last_s: int | None, now_s: int) -> Due:
    """The slots to fire now, when `last_s` is the job's last slot that was fired or passed over."""
    table = table_of(job)
    if table.cron is None:
        return Due()  # it only watches its folder
    cron = cron_of(job)
    missed = _open_slots(cron, last_s, now_s)
    match table.catch_up:
        case "all":
            chosen = missed[-MOST_AT_ONCE:]
        case "last":
            chosen = missed[-1:]
        case "none":
            patience_s = IN_TIME_S + table.jitter.total_seconds()
            chosen = [at for at in missed[-1:] if now_s - at < patience_s]
    return Due(tuple(chosen), len(missed) - len(chosen))


def _open_slots(cron: Cron, last_s: int | None, now_s: int) -> Sequence[int]:
    if last_s is None:
        # Nothing is known yet: whoever asks wants the slot that has just come.
        latest = cron.last(now_s)
        return [] if latest is None else [latest]
    found: list[int] = []
    for look_back_s in LOOK_BACK_S:
        since_s = max(last_s, now_s - look_back_s)
        found = list(cron.between(since_s, now_s))
        if since_s == last_s or len(found) > MOST_AT_ONCE:
            break
    return found


def begins_s(job: Job, slot_s: int) -> float:
    """When the run of a slot begins: the job's jitter later at most, and always the same."""
    jitter_s = table_of(job).jitter.total_seconds()
    digest = hashlib.blake2b(f"{job.name} {slot_s}".encode(), digest_size=8).digest()
    return slot_s + jitter_s * int.from_bytes(digest) / 2**64
