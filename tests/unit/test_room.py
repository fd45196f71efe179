"""How many claims there may be follows the load: few where answers are waited for, more where commits are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.pipeline.room import AGAIN_AND_AGAIN, AT_ONCE_S, MOST_AHEAD, Room, room_for

AT_ONCE, LATER = AT_ONCE_S / 2, AT_ONCE_S * 2


def after(room: Room, turns: int, waited_s: float, concurrency: int = 8) -> int:
    """The room after so many turns that are alike."""
    for _ in range(turns):
        room.collected(waited_s, concurrency)
    return room.for_claims(concurrency)


@pytest.mark.parametrize(("concurrency", "claims"), [(1, 3), (2, 4), (16, 32), (256, 512), (1000, 1256)])
def test_it_begins_with_as_many_again_as_are_in_flight(concurrency: int, claims: int) -> None:
    """And with no more than are of use."""
    assert Room(MOST_AHEAD).for_claims(concurrency) == room_for(concurrency) == claims


def test_it_grows_only_where_answers_lie_there_again_and_again() -> None:
    """Up to its bound, and not beyond."""
    room = Room(MOST_AHEAD)
    assert after(room, AGAIN_AND_AGAIN - 1, AT_ONCE) == 16
    assert after(room, 1, AT_ONCE) == 8 + 16
    assert after(room, AGAIN_AND_AGAIN, AT_ONCE) == 8 + 32
    assert after(room, 20 * AGAIN_AND_AGAIN, AT_ONCE) == 8 + MOST_AHEAD


def test_it_shrinks_where_answers_have_to_be_waited_for() -> None:
    """To what it began with: claims that wait help nobody, and a crash leaves them in doubt."""
    room = Room(MOST_AHEAD)
    after(room, 20 * AGAIN_AND_AGAIN, AT_ONCE)
    assert after(room, 1, LATER) < 8 + MOST_AHEAD
    assert after(room, 50, LATER) == room_for(8)


def test_one_answer_that_is_waited_for_ends_the_row() -> None:
    """A chunk that is mapped makes the next turn one without waiting."""
    room = Room(MOST_AHEAD)
    for _ in range(20):
        after(room, AGAIN_AND_AGAIN - 1, AT_ONCE)
        assert after(room, 1, LATER) == room_for(8)


@given(st.lists(st.sampled_from([AT_ONCE, LATER])), st.integers(1, 500), st.sampled_from([0, MOST_AHEAD]))
def test_it_stays_within_its_bounds(turns: list[float], concurrency: int, most: int) -> None:
    """Whatever happens."""
    room = Room(most)
    for waited_s in turns:
        room.collected(waited_s, concurrency)
        assert room_for(concurrency) <= room.for_claims(concurrency) <= max(room_for(concurrency), concurrency + most)
