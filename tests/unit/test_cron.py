"""When a cron expression is due: across clock changes, forwards and back."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.cron import Cron, parse_cron, with_seconds

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def written(moments: list[int], zone: ZoneInfo) -> list[str]:
    return [datetime.fromtimestamp(one, zone).isoformat() for one in moments]


def test_a_nightly_time_that_the_clock_leaves_out_comes_right_after() -> None:
    """On the night that has no 02:30 the slot is at 03:00, and there is one slot every night."""
    found = list(islice(Cron("30 2 * * *", BERLIN).after(seconds("2027-03-27T12:00:00+01:00")), 2))
    assert written(found, BERLIN) == ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]


def test_a_nightly_time_that_the_clock_shows_twice_comes_once() -> None:
    """On the night that has 02:30 twice the slot is the first, seen from between the two as well."""
    cron = Cron("30 2 * * *", BERLIN)
    first, second = seconds("2027-10-31T02:30:00+02:00"), seconds("2027-11-01T02:30:00+01:00")
    assert list(islice(cron.after(first - 1), 2)) == [first, second]
    assert next(cron.after(first + 1800)) == second
    assert cron.last(first + 1800) == first


@pytest.mark.parametrize("text", ["30 2 * * *", "*/20 * * * *", "0 1,2,3 * * 0", "15 30 1-3 * * *"])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, UTC], ids=str)
@settings(max_examples=15)
@given(offset=st.integers(-90_000, 90_000), change=st.sampled_from(["2027-03-28T01:00Z", "2027-11-07T06:00Z"]))
def test_the_last_one_is_the_last_that_comes_before(text: str, zone: ZoneInfo, offset: int, change: str) -> None:
    """Looking back agrees with looking forward, at any moment around a clock change."""
    cron, now = Cron(text, zone), seconds(change.replace("Z", "+00:00")) + offset
    last = cron.last(now)
    assert last is not None
    assert last <= now
    # From well before, all in order: the last of them is the same one.
    assert max(cron.between(now - 8 * 86_400, now)) == last
    assert next(cron.after(now)) > now


@pytest.mark.parametrize(
    ("text", "says"),
    [("0 25 * * *", "bad hour"), ("0 2 * *", "wrong number"), ("nightly", "wrong number"), ("0 0 31 2 *", "bad day")],
)
def test_what_is_no_cron_expression_is_said(text: str, says: str) -> None:
    """The sentence names the field, and what an expression looks like."""
    with pytest.raises(ValueError, match=says) as raised:
        parse_cron(text)
    assert "'0 2 * * *'" in str(raised.value)


def test_seconds_are_a_sixth_field() -> None:
    """In front of the others."""
    assert with_seconds(parse_cron(" *  * * * * *"))
    assert not with_seconds(parse_cron("0 2 * * *"))
    assert list(islice(Cron("*/20 * * * * *", UTC).after(0), 3)) == [20, 40, 60]
