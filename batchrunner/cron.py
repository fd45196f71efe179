"""What a cron expression means: the moments at which it is due. The only door to cronsim.

Clock changes go as Debian's cron has them: a time that a change leaves out is due right after it, and one that comes
twice is due once. Expressions for every minute, or with seconds, follow the clock as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import takewhile

from cronsim import CronSim, CronSimError

FIELDS = 5
"""Minute, hour, day, month, weekday; six begin with seconds."""


@dataclass(frozen=True, slots=True)
class Fields:
    """An expression as the numbers it allows, a little wider where only a calendar could tell (`L`, `LW`, `#`)."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 to 6 from Sunday."""
    either_day: bool
    """The day of the month or the weekday is enough; else both must fit."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone. Moments are whole seconds of Unix time."""

    text: str
    zone: tzinfo

    def after(self, moment_s: int) -> Iterator[int]:
        """All moments after this one, in order."""
        last = moment_s
        for found in CronSim(self.text, datetime.fromtimestamp(moment_s, self.zone)):
            # In an hour that comes twice, what was due in the first is found again in the second.
            if (at := round(found.timestamp())) > last:
                last = at
                yield at

    def between(self, after_s: int, until_s: int) -> Iterator[int]:
        """The moments after the first and up to the second, in order."""
        return takewhile(lambda at: at <= until_s, self.after(after_s))

    def last(self, now_s: int) -> int | None:
        """The latest moment that is not in the future."""
        backwards = CronSim(self.text, datetime.fromtimestamp(now_s + 1, self.zone), reverse=True)
        before = next((at for found in backwards if (at := round(found.timestamp())) <= now_s), None)
        if before is None:
            return None
        # Going back through an hour that came twice leaves one out: go forward over it.
        return max(self.between(before, now_s), default=before)

    def fields(self) -> Fields:
        """The numbers that it allows."""
        parsed = CronSim(self.text, datetime(2024, 1, 1, tzinfo=UTC))
        return Fields(
            frozenset(parsed.seconds),
            frozenset(parsed.minutes),
            frozenset(parsed.hours),
            frozenset(day for one in parsed.days for day in _days(one)),
            frozenset(parsed.months),
            frozenset((one[0] if isinstance(one, tuple) else one) % 7 for one in parsed.weekdays),
            either_day=not parsed.day_and,
        )


def _days(one: int) -> Iterator[int]:
    match one:
        case CronSim.LAST:
            yield from range(28, 32)
        case CronSim.LAST_WEEKDAY:
            yield from range(26, 32)
        case _:
            yield one


def parse_cron(value: str | object) -> str:
    """`0 2 * * *`. Raises ValueError with a sentence."""
    text = " ".join(str(value).split())
    try:
        comes = next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise ValueError(
            f"{value!r} is not a cron expression ({str(error).lower()}); write minute, hour, day of the month, month "
            "and weekday, as in '0 2 * * *'"
        ) from None
    if comes is None:
        raise ValueError(f"{value!r} never comes; write days that the calendar has")
    return text


def with_seconds(text: str) -> bool:
    """Whether an expression has a field for seconds, which cron itself does not know."""
    return len(text.split()) > FIELDS
