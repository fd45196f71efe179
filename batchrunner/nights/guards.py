"""When a run that nobody watches has done enough: hours, rows a run, rows a day. Decisions over the wall clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from batchrunner.clock import unix_ms, wall_time
from batchrunner.config import DayTime, GuardsTable, Hours
from batchrunner.errors import HeldBack, Reason


def closes_ms(hours: Hours, now: datetime) -> int | None:
    """When the hours that we are in will be over; None outside of them."""
    for days in (-1, 0):  # hours over midnight may have begun yesterday
        begin = _at(now + timedelta(days=days), hours.begin)
        end = _at(begin if hours.begin < hours.end else begin + timedelta(days=1), hours.end)
        if unix_ms(begin) <= unix_ms(now) < unix_ms(end):
            return unix_ms(end)
    return None


def day_begins_ms(now: datetime) -> int:
    """Midnight, as the clock on the wall has it."""
    return unix_ms(_at(now, DayTime(0, 0)))


def day_ends_ms(now: datetime) -> int:
    """The next midnight: not always 24 hours after the last one."""
    return unix_ms(_at(now + timedelta(days=1), DayTime(0, 0)))


def _at(day: datetime, time: DayTime) -> datetime:
    return day.replace(hour=time.hour, minute=time.minute, second=0, microsecond=0, fold=0)


class Guards:
    """How many rows a run may still take up to be sent."""

    def __init__(
        self, table: GuardsTable, now_ms: Callable[[], int], at: tzinfo, sent_since: Callable[[int], int]
    ) -> None:
        """`sent_since` counts what earlier runs of the job have sent since a moment."""
        self._table = table
        self._now_ms = now_ms
        self._at = at
        now = wall_time(now_ms(), at)
        self.closes_ms = None if table.hours is None else closes_ms(table.hours, now)
        """When the run must have stopped."""
        self._outside = table.hours is not None and self.closes_ms is None
        self._day_ends_ms = day_ends_ms(now)
        self._sent_today = 0 if table.daily_limit is None else sent_since(day_begins_ms(now))
        self.pause: HeldBack | None = None
        """Set, from another thread too, when somebody pauses the job."""

    def over(self) -> HeldBack | None:
        """Whether the hours are over or the job was paused: then what is in flight ends, and nothing more begins."""
        if self.pause is not None:
            return self.pause
        if self._outside:
            return self._held(
                Reason.OUTSIDE_HOURS, f"the job sends within hours = {self._table.hours} only; nothing was sent"
            )
        if self.closes_ms is not None and self._now_ms() >= self.closes_ms:
            return self._held(Reason.OUTSIDE_HOURS, f"stopped at the end of hours = {self._table.hours}")
        return None

    def room(self, taken_up: int) -> tuple[int | None, HeldBack | None]:
        """How many more rows may be taken up by a run that has taken up so many, and what holds back the others.

        None: any number.
        """
        if over := self.over():
            return 0, over
        rooms: list[tuple[int, HeldBack]] = []
        if self._table.max_rows is not None:
            held = self._held(Reason.MAX_ROWS, f"stopped: the run has sent max_rows = {self._table.max_rows} rows")
            rooms.append((self._table.max_rows - taken_up, held))
        if self._table.daily_limit is not None:
            held = self._held(
                Reason.DAILY_LIMIT, f"stopped: the job has sent daily_limit = {self._table.daily_limit} rows today"
            )
            rooms.append((self._table.daily_limit - self._today(taken_up), held))
        if not rooms:
            return None, None
        room, held = min(rooms, key=lambda one: one[0])
        return max(0, room), held

    def _today(self, taken_up: int) -> int:
        """Rows sent on this day, by this run and those before it."""
        if self._now_ms() >= self._day_ends_ms:
            self._day_ends_ms = day_ends_ms(wall_time(self._now_ms(), self._at))
            self._sent_today = -taken_up
        return self._sent_today + taken_up

    def _held(self, reason: Reason, what: str) -> HeldBack:
        return HeldBack(f"{what}; the next run goes on, or this one with --no-guards", reason)
