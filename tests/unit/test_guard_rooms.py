"""Hours, rows a run, rows a day: when a run has done enough, and how it then ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.clock import unix_ms
from batchrunner.config import GuardsTable
from batchrunner.config.units import parse_hours
from batchrunner.errors import Reason
from batchrunner.nights import Guards
from batchrunner.nights.guards import closes_ms, day_begins_ms, day_ends_ms

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A wall time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@dataclass
class Wall:
    """A clock that is set."""

    now: datetime

    def now_ms(self) -> int:
        """As the clock seam has it."""
        return unix_ms(self.now)


def guards(wall: Wall, sent: int = 0, **table: object) -> Guards:
    """Guards of a job that has sent so many rows today."""
    return Guards(GuardsTable.model_validate(table), wall.now_ms, BERLIN, lambda _: sent)


@pytest.mark.parametrize(
    ("hours", "now", "closes"),
    [
        ("22:00-07:00", "2026-11-24 02:00", "2026-11-24 07:00"),
        ("22:00-07:00", "2026-11-24 22:00", "2026-11-25 07:00"),
        ("22:00-07:00", "2026-11-24 07:00", None),
        ("22:00-07:00", "2026-11-24 21:59", None),
        ("01:00-05:30", "2026-11-24 05:29", "2026-11-24 05:30"),
        ("01:00-05:30", "2026-11-24 00:59", None),
        ("22:00-07:00", "2026-03-28 23:00", "2026-03-29 07:00"),  # an hour is missing in between
    ],
)
def test_hours_end_when_the_clock_on_the_wall_says_so(hours: str, now: str, closes: str | None) -> None:
    """Over midnight, and over a change of the clocks."""
    found = closes_ms(parse_hours(hours), at(now))
    assert found == (None if closes is None else unix_ms(at(closes)))


def test_a_day_is_as_long_as_the_wall_says() -> None:
    """23 hours when the clocks go forward, 25 when they go back."""
    for day, hours in (("2026-03-29 12:00", 23), ("2026-10-25 12:00", 25), ("2026-11-24 12:00", 24)):
        assert day_ends_ms(at(day)) - day_begins_ms(at(day)) == hours * 3_600_000


def test_outside_the_hours_nothing_begins_and_at_their_end_nothing_more() -> None:
    """Both with the same reason."""
    wall = Wall(at("2026-11-24 06:59"))
    inside = guards(wall, hours=parse_hours("22:00-07:00"))
    assert (inside.over(), inside.room(5)) == (None, (None, None))
    wall.now = at("2026-11-24 07:00")
    room, held = inside.room(5)
    assert held
    assert (room, held.reason) == (0, Reason.OUTSIDE_HOURS)
    assert "stopped at the end of hours = 22:00-07:00" in str(held)
    assert "nothing was sent" in str(guards(wall, hours=parse_hours("22:00-07:00")).over())


def test_the_nearer_limit_counts() -> None:
    """Rows of the run, or rows of the day."""
    wall = Wall(at("2026-11-24 02:00"))
    both = guards(wall, sent=70, max_rows=50, daily_limit=100)
    room, held = both.room(0)
    assert held
    assert (room, held.reason) == (30, Reason.DAILY_LIMIT)
    room, held = guards(wall, sent=10, max_rows=50, daily_limit=100).room(45)
    assert held
    assert (room, held.reason) == (5, Reason.MAX_ROWS)


def test_at_midnight_the_day_begins_anew() -> None:
    """What the run has sent before counts for yesterday."""
    wall = Wall(at("2026-11-24 23:59"))
    daily = guards(wall, sent=40, daily_limit=100)
    assert daily.room(60)[0] == 0
    wall.now = at("2026-11-25 00:00")
    assert daily.room(60)[0] == 100
    assert daily.room(90)[0] == 70


@given(st.integers(1, 50), st.integers(0, 60), st.integers(1, 50), st.integers(0, 120))
def test_no_limit_is_ever_passed(max_rows: int, sent: int, daily: int, taken_up: int) -> None:
    """Whatever was sent before: rooms are never negative, and never lead beyond a limit."""
    room, held = guards(Wall(at("2026-11-24 02:00")), sent, max_rows=max_rows, daily_limit=daily).room(taken_up)
    assert held
    assert room is not None
    assert room >= 0
    assert room == 0 or (taken_up + room <= max_rows and sent + taken_up + room <= daily)
