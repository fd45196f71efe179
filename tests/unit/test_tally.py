"""Totals balance after any sequence of ends."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from ledgers import OUTCOMES, a_claim, a_request, ends

from batchrunner.model import Rejected, Row, Skipped, SkipReason, State, Totals, Unusable
from batchrunner.pipeline.tally import Tally

BROKEN = Row(1, 2, ("x",))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, 5)),
        st.tuples(st.just("settle"), st.sampled_from(list(OUTCOMES))),
        st.tuples(st.just("skip"), st.sampled_from(SkipReason)),
        st.tuples(st.just("unusable"), st.sampled_from(["bad_json", "missing"])),
    ),
    max_size=60,
)


@given(steps)
def test_what_is_read_and_has_not_ended_is_what_flies(taken: list[tuple[str, object]]) -> None:
    """At every moment: rows read = rows ended + claims open; so with none open, they balance."""
    tally, flying, read = Tally(), 0, 0
    seen: Counter[object] = Counter()
    for what, how in taken:
        match what, how:
            case "claim", int(count):
                tally.claimed(count)
                flying, read = flying + count, read + count
            case "settle", State() if flying:
                tally.settled([ends(a_claim(), how)])
                flying, seen[how] = flying - 1, seen[how] + 1
            case "skip", SkipReason():
                tally.skipped([Skipped(a_request(), how)])
                read, seen[how.value] = read + 1, seen[how.value] + 1
            case "unusable", str(code):
                tally.unusable([Unusable(BROKEN, code, "a sentence")])
                read, seen["unusable"] = read + 1, seen["unusable"] + 1
        totals = tally.totals()
        assert (totals.read, totals.read - totals.ended) == (read, flying)
        assert totals.balanced == (not flying)
    totals = tally.totals()
    assert totals.with_open_claims(flying, "died").balanced
    told = (totals.accepted, totals.rejected, totals.failed, totals.in_doubt, totals.unusable)
    assert told == (*(seen[state] for state in OUTCOMES), seen["unusable"])
    assert totals.skipped == {reason.value: seen[reason.value] for reason in SkipReason if seen[reason.value]}


def test_codes_are_counted_by_outcome() -> None:
    """One code may mean several ends."""
    tally = Tally()
    tally.claimed(5)
    tally.settled([ends(a_claim(n), state) for n, state in enumerate(OUTCOMES)])
    tally.settled([ends(a_claim(9), Rejected("connect", "odd"))])
    tally.unusable([Unusable(BROKEN, "connect", "odder")])

    assert tally.totals().codes == {
        "rejected:304": 1,
        "failed:connect": 1,
        "in_doubt:read_timeout": 1,
        "rejected:connect": 1,
        "unusable:connect": 1,
    }


def test_requests_and_replays_are_counted_apart_from_rows() -> None:
    """A row that took three POSTs is one row; one that never left took none."""
    tally = Tally()
    tally.claimed(3)
    tally.settled([ends(a_claim(1), requests=3, replayed=True), ends(a_claim(2), State.FAILED, requests=0)])
    tally.settled([ends(a_claim(3), requests=1)])

    totals = tally.totals()
    assert (totals.requests, totals.replays, totals.accepted) == (4, 1, 2)


def test_totals_once_told_do_not_change() -> None:
    """They are handed to the ledger and to the bar while the tally grows."""
    tally = Tally()
    tally.skipped([Skipped(a_request(), SkipReason.ACCEPTED)])
    before = tally.totals()
    tally.skipped([Skipped(a_request(), SkipReason.ACCEPTED)])
    tally.unusable([Unusable(BROKEN, "bad", "")])

    assert before == Totals(read=1, skipped={"accepted": 1})


def test_open_claims_add_to_what_is_in_doubt_already() -> None:
    """They count as read already, and share their code with others."""
    totals = Totals(read=5, accepted=1, in_doubt=2, codes={"in_doubt:no_answer": 1, "in_doubt:reset": 1})

    buried = totals.with_open_claims(2, "no_answer")

    assert buried.balanced
    assert (buried.read, buried.in_doubt) == (5, 4)
    assert buried.codes == {"in_doubt:no_answer": 3, "in_doubt:reset": 1}
    assert totals.with_open_claims(0, "no_answer") is totals
