"""Rates: never above in any second, minute or hour, and nearly reached when there is work."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.submit import Pacer, SharedPacer
from batchrunner.submit.pace import CATCH_UP_S, JITTER_S, Pace, Window, windows

SPANS_S = (1, 60, 3600)
stalls = st.lists(st.floats(0, 0.02) | st.floats(0, 3) | st.floats(0, 90), min_size=5, max_size=150)


def most_within(left: list[float], seconds: float) -> int:
    """The largest number of departures in any half-open span of so many seconds."""
    return max(bisect_left(left, start + seconds) - index for index, start in enumerate(left))


def allowed(rate_per_s: float, seconds: float) -> int:
    """What a rate promises for a span."""
    return max(1, math.ceil(round(rate_per_s * seconds, 6)))


def departures(pace: Pace, stalls_s: list[float]) -> list[float]:
    """One request after each stall, as soon as it may leave."""
    now_s, left = 1_000.0, list[float]()
    for stall_s in stalls_s:
        now_s += stall_s
        while (delay_s := pace.delay_s(now_s, 1)) > 0:
            now_s += delay_s + 1e-9
        pace.leave(now_s)
        left.append(now_s)
    return left


def test_a_rate_is_spelled_out_for_a_second_a_minute_and_an_hour() -> None:
    """Only what does not follow from the span before it."""
    assert windows(50) == (Window(50, 1),)
    assert windows(3000 / 60) == (Window(50, 1),)
    assert windows(1000 / 60) == (Window(17, 1), Window(1000, 60))
    assert windows(7.5) == (Window(8, 1), Window(450, 60))
    assert windows(1000 / 3600) == (Window(1, 1), Window(17, 60), Window(1000, 3600))
    assert windows(0.5 / 60) == (Window(1, 1), Window(1, 60), Window(30, 3600))


@given(rate=st.floats(0.01, 40), stalls_s=stalls)
def test_no_second_minute_or_hour_sees_more_than_the_rate(rate: float, stalls_s: list[float]) -> None:
    """However late we come, and however often: a stall is not made good by a burst."""
    left = departures(Pacer(rate), stalls_s)
    for seconds in SPANS_S:
        assert most_within(left, seconds) <= allowed(rate, seconds)
    assert left[-1] - left[0] >= (len(left) - 1) / rate - CATCH_UP_S - 1e-6


@given(rate=st.sampled_from([0.5, 1, 7.5, 17 / 3, 1000 / 60, 50, 333.3]), seed=st.integers(0, 99))
def test_nearly_all_of_the_rate_is_used_when_there_is_work(rate: float, seed: int) -> None:
    """A limit, but not a brake: 98 in a hundred, with timers that are late by some milliseconds."""
    pacer, now_s, left, chance = Pacer(rate), 0.0, list[float](), random.Random(seed)
    while now_s < 70:
        if (delay_s := pacer.delay_s(now_s)) <= 0:
            pacer.leave(now_s)
            left.append(now_s)
        else:
            now_s += delay_s + chance.uniform(0.0, 0.003)
    assert len(left) >= 0.98 * rate * 70 - 1
    for seconds in SPANS_S:
        assert most_within(left, seconds) <= allowed(rate, seconds)


# --- shared ------------------------------------------------------------------------------------


@dataclass
class OneSchedule:
    """A schedule in memory; `busy` makes it locked now and then."""

    moment_s: float | None = None
    busy: Callable[[], bool] = field(default=lambda: False)

    def move(self, on: Callable[[float | None], float]) -> bool:
        """Replace the moment."""
        if self.busy():
            return False
        self.moment_s = on(self.moment_s)
        return True


@given(
    rate=st.floats(0.05, 60) | st.just(1000 / 60),
    processes=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_processes_together_never_pass_the_rate(rate: float, processes: int, seed: int) -> None:
    """Whoever asks, and however late each of them is."""
    chance = random.Random(seed)
    schedule = OneSchedule(busy=lambda: chance.random() < 0.1)
    paces = [SharedPacer(rate, schedule) for _ in range(processes)]
    due_s, left = [1_000.0] * processes, list[float]()
    for _ in range(400):
        turn = min(range(processes), key=due_s.__getitem__)
        now_s = due_s[turn]
        delay_s = paces[turn].delay_s(now_s, chance.randint(1, 20))
        if delay_s <= 0:
            paces[turn].leave(now_s)
            left.append(now_s)
            due_s[turn] += chance.choice([0.0, 0.0, 0.001, 0.5 / rate])
        else:
            due_s[turn] += delay_s + chance.choice([1e-6, 0.001, 0.004, 0.05])
    for seconds in SPANS_S:
        assert not left or most_within(left, seconds) <= allowed(rate, seconds)


@pytest.mark.parametrize("rate", [1, 16.7, 50, 400])
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_processes_together_use_nearly_all_of_it_and_each_its_part(rate: float, processes: int) -> None:
    """95 in a hundred, in fair shares."""
    chance, schedule = random.Random(1), OneSchedule()
    paces = [SharedPacer(rate, schedule) for _ in range(processes)]
    due_s, done = [1_000.0] * processes, [0] * processes
    while (now_s := min(due_s)) < 1_100:
        turn = due_s.index(now_s)
        delay_s = paces[turn].delay_s(now_s, 16)
        if delay_s <= 0:
            paces[turn].leave(now_s)
            done[turn] += 1
        else:
            due_s[turn] += delay_s + chance.uniform(0.0001, 0.003)
    assert 0.95 * rate * 100 <= sum(done) <= rate * 100 + 1
    assert min(done) >= 0.9 * sum(done) / processes - 1


def test_a_moment_from_before_the_machine_started_is_not_waited_for() -> None:
    """The clock begins anew with the machine; the file does not."""
    schedule = OneSchedule(moment_s=5_000_000.0)
    assert SharedPacer(50, schedule).delay_s(100.0, 1) == 0
    assert schedule.moment_s is not None
    assert schedule.moment_s < 101


def test_a_permit_that_was_not_used_in_time_is_lost() -> None:
    """Or it would leave together with those of others."""
    schedule = OneSchedule()
    pace = SharedPacer(10, schedule)
    assert pace.delay_s(100.0, 1) == 0
    assert pace.delay_s(100.0 + 2 * JITTER_S, 1) == 0
    assert pace.delay_s(100.05, 1) > 0.04
