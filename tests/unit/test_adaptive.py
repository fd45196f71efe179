"""The adaptive limit: its laws, and what it gets done against servers whose best concurrency moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_server import Kind, Server, adaptive, fixed, moving

from batchrunner.submit.adaptive import START, AdaptiveLimit, Change, End

CAP = 256
EVERY_FIXED = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
PHASE_S = 20.0

landings = st.lists(
    st.tuples(
        st.floats(1e-4, 30) | st.floats(0.01, 0.1),
        st.sampled_from([End.WELL] * 8 + [End.THROTTLED, End.FAILED]),
        st.integers(1, 400),
    ),
    max_size=600,
)


def limits_after(cap: int, ends: list[tuple[float, End, int]]) -> list[int]:
    """The limit after each end."""
    limit, now_s, found = AdaptiveLimit(cap), 0.0, list[int]()
    for latency_s, end, in_flight in ends:
        now_s += latency_s
        change = limit.landed(now_s - latency_s / 2, now_s, end, in_flight)
        assert change is None or change.before != change.after == limit.limit
        if end is End.THROTTLED:
            limit.paused(now_s, latency_s)
        found.append(limit.limit)
    return found


@given(cap=st.integers(1, 300), ends=landings)
def test_the_limit_stays_between_one_and_the_cap_and_is_deterministic(
    cap: int, ends: list[tuple[float, End, int]]
) -> None:
    """Whatever comes, and however often it comes."""
    found = limits_after(cap, ends)
    assert all(1 <= limit <= cap for limit in found)
    assert found == limits_after(cap, ends)


@given(ends=landings)
def test_the_record_tells_what_became_of_the_limit(ends: list[tuple[float, End, int]]) -> None:
    """Each back-off once, and the extremes that were really reached."""
    limit, now_s, reached, backed_off = AdaptiveLimit(CAP), 0.0, [START], 0
    for latency_s, end, in_flight in ends:
        now_s += latency_s
        change = limit.landed(now_s - latency_s / 2, now_s, end, in_flight)
        reached.append(limit.limit)
        backed_off += change is not None and change.cause is not None
    record = limit.record
    assert (record.lowest, record.highest, record.final) == (min(reached), max(reached), reached[-1])
    assert sum(record.backed_off.values()) == backed_off


def test_one_429_is_enough_and_the_others_of_the_same_burst_say_nothing_new() -> None:
    """They all left under the limit that was too much."""
    limit = AdaptiveLimit(CAP)
    assert isinstance(limit.landed(0.0, 1.0, End.THROTTLED, 4), Change)
    assert [limit.landed(0.5, 1.0 + n, End.THROTTLED, 4) for n in range(5)] == [None] * 5
    assert limit.limit == START - 1


def test_a_single_failure_is_the_business_of_its_row() -> None:
    """More than one in ten, and more than one, are the server's."""
    limit = AdaptiveLimit(CAP)
    assert limit.landed(0.0, 1.0, End.FAILED, 4) is None
    change = limit.landed(0.0, 1.0, End.FAILED, 4)
    assert change is not None
    assert change.cause == "failed"


def test_rows_that_are_slow_to_come_raise_no_limit() -> None:
    """A limit that is not used teaches nothing."""
    limit, now_s = AdaptiveLimit(CAP), 0.0
    for _ in range(3_000):
        now_s += 0.02
        limit.landed(now_s - 0.05, now_s, End.WELL, 2)
    assert limit.limit <= 2 * START


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["queues", "degrades", "throttles"])
def test_it_comes_within_a_tenth_of_the_best_fixed_value_while_the_knee_moves(kind: Kind) -> None:
    """Without knowing it, and whatever the server does with what is too much."""
    server = Server(kind, moving(24, 96, 12, each_s=PHASE_S))
    best = max(fixed(server, limit, 3 * PHASE_S) for limit in EVERY_FIXED)
    done, limit, _ = adaptive(server, CAP, 3 * PHASE_S)
    assert done >= 0.9 * best
    assert limit.record.highest <= CAP


@pytest.mark.slow
def test_it_follows_a_latency_that_is_not_its_own() -> None:
    """A server that becomes slower at the same knee wants as many in flight as before."""
    server = Server("queues", lambda _: 32, service_s=lambda now_s: 0.03 if now_s % 24 < 12 else 0.1)
    best = max(fixed(server, limit, 48) for limit in EVERY_FIXED)
    done, _, _ = adaptive(server, CAP, 48)
    assert done >= 0.9 * best


@pytest.mark.slow
def test_a_server_without_a_knee_gets_all_it_may() -> None:
    """The cap is the only bound."""
    server = Server("queues", lambda _: 10**6)
    done, limit, _ = adaptive(server, 64, 20)
    assert limit.record.highest == 64
    assert done >= 0.9 * fixed(server, 64, 20)


def test_after_an_outage_it_grows_again() -> None:
    """From one request to what the server carries, in a few seconds."""
    server = Server("fails", lambda now_s: 0 if 5 <= now_s < 8 else 32)
    _, limit, simulation = adaptive(server, CAP, 20)
    during = [n for at_s, n in simulation.limits if 5 <= at_s < 8]
    after = [n for at_s, n in simulation.limits if at_s >= 8]
    assert min(during) == 1
    assert max(after) >= 24
    assert limit.record.backed_off["failed"] >= 3


def test_failures_of_too_many_at_once_are_few() -> None:
    """What a fixed value would go on to do for ever is done a few times."""
    server = Server("fails", moving(24, 48, each_s=8))
    done, _, simulation = adaptive(server, CAP, 16)
    assert simulation.failed <= 0.03 * done
