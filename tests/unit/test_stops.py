"""When a run stops before its rows do."""

from __future__ import annotations

import signal

import pytest

from batchrunner.config import ErrorLimit
from batchrunner.errors import ApiRefusedUs, Interrupted
from batchrunner.model import Totals
from batchrunner.pipeline.stops import StopRequest, refused_every_row, too_many_errors


@pytest.mark.parametrize(
    ("totals", "limit", "passed"),
    [
        (Totals(rejected=3), ErrorLimit(count=3), False),
        (Totals(rejected=4), ErrorLimit(count=3), True),
        (Totals(rejected=1, failed=1, in_doubt=1, unusable=1), ErrorLimit(count=3), True),
        (Totals(accepted=99, skipped={"rejected": 50}), ErrorLimit(count=3), False),
        (Totals(rejected=1), ErrorLimit(count=0), True),
        (Totals(rejected=99), ErrorLimit(percent=5), False),  # too few rows for a share
        (Totals(accepted=95, rejected=5), ErrorLimit(percent=5), False),
        (Totals(accepted=94, rejected=6), ErrorLimit(percent=5), True),
        (Totals(accepted=94, failed=2, in_doubt=2, unusable=2), ErrorLimit(percent=5), True),
        (Totals(accepted=10, rejected=6, skipped={"accepted": 900}), ErrorLimit(percent=5), False),
        (Totals(accepted=999, rejected=1), ErrorLimit(percent=0), True),
        (Totals(rejected=1000), ErrorLimit(percent=100), False),
        (Totals(rejected=1000), None, False),
    ],
)
def test_a_run_stops_beyond_its_error_limit(totals: Totals, limit: ErrorLimit | None, passed: bool) -> None:
    """A count, or a share of the rows that were judged; rows that the gate held back count neither way."""
    assert (too_many_errors(totals, limit) is not None) == passed


def test_the_error_limit_is_told_as_it_was_written() -> None:
    """With the counts that passed it."""
    error = too_many_errors(Totals(accepted=90, rejected=10), ErrorLimit(percent=2.5))
    assert str(error) == (
        "stopped: 10 of 100 rows ended in an error, more than max_errors = 2.5% allows; "
        "see error.csv, then run again to go on"
    )


@pytest.mark.parametrize(
    ("totals", "refused"),
    [
        (Totals(rejected=19, codes={"rejected:404": 19}), False),
        (Totals(rejected=20, codes={"rejected:404": 20}), True),
        (Totals(rejected=20, accepted=1, codes={"rejected:404": 20}), False),
        (Totals(rejected=21, codes={"rejected:404": 20, "rejected:304": 1}), False),
        (Totals(rejected=20, in_doubt=1, codes={"rejected:404": 20}), False),
        (Totals(rejected=20, failed=1, codes={"rejected:404": 20}), False),
        (Totals(rejected=20, unusable=5, skipped={"accepted": 9}, codes={"rejected:404": 20}), True),
    ],
)
def test_a_404_for_every_row_is_about_us(totals: Totals, refused: bool) -> None:
    """For one row it is about that row. Rows that were never sent say nothing."""
    error = refused_every_row(totals)
    assert isinstance(error, ApiRefusedUs) == refused
    if refused:
        assert "all 20 rows sent so far were answered 404" in str(error)


def test_the_first_signal_asks_and_the_second_insists() -> None:
    """The run is roused both times, and ends with the number of the first."""
    stop, woken = StopRequest(), []
    stop.wake = lambda: woken.append(stop.at_once)
    assert stop.error() is None

    stop.signalled(signal.SIGTERM)
    assert not stop.at_once
    stop.signalled(signal.SIGINT)

    assert woken == [False, True]
    error = stop.error()
    assert isinstance(error, Interrupted)
    assert error.signal_number == signal.SIGTERM


def test_a_signal_before_there_is_a_run_is_kept() -> None:
    """Nobody needs rousing yet."""
    stop = StopRequest()
    stop.signalled(signal.SIGINT)
    assert str(stop.error()) == f"stopped by signal {signal.SIGINT.value}"
