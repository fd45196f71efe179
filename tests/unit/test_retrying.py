"""Retry decisions: laws that hold for every history."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.gate import WINDOW_MARGIN_MS
from batchrunner.model import Accepted, Failed, InDoubt, Rejected
from batchrunner.retrying import (
    LONGEST_RETRY_AFTER_S,
    Again,
    Answered,
    Decision,
    Doubtful,
    History,
    Moment,
    NeverSent,
    Pause,
    RefusedUs,
    RetryPolicy,
    Settle,
    Throttled,
    Verdict,
    backoff_s,
    decide,
    hold_back,
    obeyed_s,
)

DAY_MS = 24 * 60 * 60 * 1000
POLICY = RetryPolicy(5, 0.5, 30.0, 900.0, resend=True, window_ms=DAY_MS)
NOW = Moment(now_ms=1_000, requested_at_ms=0, random=0.5)
RESET = Doubtful("reset", "connection reset")
REFUSED = NeverSent("connect", "connection refused")

waits = st.none() | st.floats() | st.floats(0, 100)
answered = st.builds(Answered, st.just(Accepted("1")) | st.just(Rejected("400", "no")), st.booleans())
doubts = st.builds(Doubtful, st.just("c"), st.just("t"), waits, st.booleans(), st.booleans())
unsent, throttles, refusals = st.just(REFUSED), st.builds(Throttled, waits), st.just(RefusedUs("401", "no token"))
verdicts = st.one_of(answered, doubts, unsent, throttles, refusals)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 8),
    backoff_s=st.floats(0, 10),
    backoff_max_s=st.floats(0, 60),
    throttle_patience_s=st.floats(0, 120),
    resend=st.booleans(),
    window_ms=st.sampled_from([0, WINDOW_MARGIN_MS + 5_000, DAY_MS]),
)
randoms = st.floats(0, 1, exclude_max=True)


def live(
    script: Sequence[Verdict], policy: RetryPolicy, history: History, draining_from: int, random: float
) -> list[Decision]:
    """Walk through decisions as the submitter would, until the claim is settled or the script ends."""
    now_ms, decisions = 0, list[Decision]()
    for step, verdict in enumerate(script):
        decision = decide(verdict, history, policy, Moment(now_ms, 0, random, step >= draining_from))
        decisions.append(decision)
        if isinstance(decision, Settle):
            break
        history = decision.history
        now_ms += math.ceil(decision.wait_s * 1000)
    return decisions


lives = st.builds(
    live,
    st.lists(verdicts, min_size=1, max_size=30),
    policies,
    st.builds(History, doubtful=st.booleans()),
    st.integers(0, 40),
    randoms,
)


@given(lives)
def test_the_law_a_doubtful_claim_never_fails(decisions: list[Decision]) -> None:
    """Once it may have taken effect, only an answer ends the doubt."""
    for decision in decisions:
        if decision.history.doubtful and isinstance(decision, Settle):
            assert not isinstance(decision.outcome, Failed)


@given(st.lists(verdicts, min_size=1, max_size=30), policies, st.integers(0, 40), randoms)
def test_a_claim_that_was_doubtful_before_this_run_never_fails(
    script: list[Verdict], policy: RetryPolicy, draining_from: int, random: float
) -> None:
    """The doubt of an earlier run counts like one's own."""
    last = live(script, policy, History(doubtful=True), draining_from, random)[-1]
    assert not (isinstance(last, Settle) and isinstance(last.outcome, Failed))


@given(st.lists(verdicts, min_size=40, max_size=60), policies, randoms)
def test_tries_never_exceed_what_the_job_allows(script: list[Verdict], policy: RetryPolicy, random: float) -> None:
    """Throttled requests do not count, everything else does."""
    for decision in live(script, policy, History(), 100, random):
        assert decision.history.tries <= policy.attempts
        assert decision.history.attempts <= decision.history.requests
        assert decision.history.throttled_s <= policy.throttle_patience_s * (1 + 1e-9)


@given(lives)
def test_waits_are_within_bounds(decisions: list[Decision]) -> None:
    """Finite, never negative, never longer than the longest of what may ask for a wait."""
    for decision in decisions:
        if not isinstance(decision, Settle):
            assert 0 <= decision.wait_s <= LONGEST_RETRY_AFTER_S


@given(verdicts, policies, st.builds(History, doubtful=st.booleans()), randoms)
def test_draining_settles_at_once(verdict: Verdict, policy: RetryPolicy, history: History, random: float) -> None:
    """No more tries, no more waits."""
    moment = Moment(0, 0, random, draining=True)
    assert isinstance(decide(verdict, history, policy, moment), Settle)
    assert isinstance(hold_back(history, policy, moment), Settle)


@given(doubts, policies, st.builds(History, doubtful=st.booleans()), randoms)
def test_without_resend_a_doubt_is_final(
    verdict: Doubtful, policy: RetryPolicy, history: History, random: float
) -> None:
    """An installation that does not deduplicate would do it twice."""
    hold = RetryPolicy(policy.attempts, 0.5, 30, 900, resend=False, window_ms=DAY_MS)
    decision = decide(verdict, history, hold, Moment(0, 0, random))
    assert isinstance(decision, Settle)
    assert decision.outcome == InDoubt("c", "t")


@given(st.integers(0, 2 * DAY_MS), verdicts, randoms)
def test_nothing_doubtful_leaves_when_its_window_is_over(age_ms: int, verdict: Verdict, random: float) -> None:
    """A repeat that the platform would not recognise is a second message."""
    decision = decide(verdict, History(doubtful=True, exposed=True), POLICY, Moment(age_ms, 0, random))
    if not isinstance(decision, Settle):
        assert age_ms + decision.wait_s * 1000 < DAY_MS - WINDOW_MARGIN_MS
    held = hold_back(History(doubtful=True, exposed=True), POLICY, Moment(age_ms, 0, random))
    assert (held is None) == (age_ms < DAY_MS - WINDOW_MARGIN_MS)
    assert held is None or isinstance(held.outcome, InDoubt)


@given(st.lists(throttles, min_size=1), policies, randoms)
def test_throttled_rows_use_their_patience_up(script: list[Throttled], policy: RetryPolicy, random: float) -> None:
    """No claim waits for ever, and none hammers."""
    most = math.ceil(policy.throttle_patience_s / 0.1) + 2
    last = live((script * most)[:most], policy, History(), 10_000, random)[-1]
    assert isinstance(last, Settle)
    assert isinstance(last.outcome, Failed)
    assert last.outcome.code == "throttled"
    assert last.history.attempts == 0


def test_an_answer_lifts_the_doubt() -> None:
    """Accepted and rejected alike."""
    for outcome in (Accepted("1"), Rejected("400", "no")):
        end = decide(Answered(outcome, replayed=True), History(1, 1, doubtful=True), POLICY, NOW)
        assert isinstance(end, Settle)
        assert (end.outcome, end.replayed, end.history.attempts) == (outcome, True, 2)


def test_a_new_request_id_is_not_bound_by_the_window_of_an_old_one() -> None:
    """A person decided to send again: the doubt stays, but this Request-ID has never left."""
    assert hold_back(History(doubtful=True), POLICY, Moment(POLICY.window_ms * 2, 0, 0.5)) is None


def test_a_replayed_error_is_final() -> None:
    """Every repeat would be answered alike."""
    end = decide(Doubtful("500", "internal", replayed=True), History(), POLICY, NOW)
    assert end == Settle(InDoubt("500", "internal"), History(1, 1, doubtful=True, exposed=True), replayed=True)


def test_a_refusal_stops_the_run_and_fails_the_row() -> None:
    """In doubt if it was before."""
    end = decide(RefusedUs("401", "no token"), History(), POLICY, NOW)
    assert end == Settle(Failed("401", "no token"), History(1, 1), refusal="no token")
    end = decide(RefusedUs("401", "no token"), History(doubtful=True), POLICY, NOW)
    assert isinstance(end, Settle)
    assert isinstance(end.outcome, InDoubt)
    assert end.refusal == "no token"


def test_a_throttled_request_does_not_use_up_an_attempt() -> None:
    """It holds everybody for as long as it says."""
    assert decide(Throttled(7.0), History(2, 2), POLICY, NOW) == Pause(7.0, History(2, 3, throttled_s=7.0))


def test_a_server_in_trouble_that_names_a_wait_holds_everybody() -> None:
    """503 with Retry-After; and it is an attempt in doubt."""
    decision = decide(Doubtful("http_503", "busy", 7.0, transient=True), History(), POLICY, NOW)
    assert decision == Pause(7.0, History(1, 1, doubtful=True, exposed=True))
    decision = decide(Doubtful("http_408", "slow", 7.0), History(), POLICY, NOW)
    assert decision == Again(7.0, History(1, 1, doubtful=True, exposed=True))


def test_a_row_that_was_never_sent_fails_when_its_tries_are_used_up() -> None:
    """By the code of the last try; no attempt was made."""
    decision = decide(REFUSED, History(unsent=3), POLICY, NOW)
    assert decision == Again(0.5 * 4.0, History(unsent=4))
    assert decide(REFUSED, History(unsent=4), POLICY, NOW) == Settle(
        Failed("connect", "connection refused"), History(unsent=5)
    )


def test_a_row_that_was_never_sent_may_leave_late() -> None:
    """Its Request-ID never took effect, so there is nothing that could be repeated."""
    late = Moment(now_ms=2 * DAY_MS, requested_at_ms=0, random=0.5)
    assert hold_back(History(unsent=1), POLICY, late) is None
    assert isinstance(decide(REFUSED, History(unsent=1), POLICY, late), Again)


def test_stopped_rows_say_so() -> None:
    """Failed when they certainly had no effect, otherwise in doubt."""
    draining = Moment(0, 0, 0.5, draining=True)
    for end in (
        hold_back(History(), POLICY, draining),
        decide(REFUSED, History(), POLICY, draining),
        decide(Throttled(None), History(), POLICY, draining),
    ):
        assert isinstance(end, Settle)
        assert isinstance(end.outcome, Failed)
        assert end.outcome.code == "stopped"
    end = decide(RESET, History(), POLICY, draining)
    assert isinstance(end, Settle)
    assert end.outcome == InDoubt("reset", "connection reset")


@given(st.integers(0, 10_000), randoms)
def test_the_back_off_doubles_up_to_its_cap(tries: int, random: float) -> None:
    """With full jitter, for however many tries."""
    wait_s = backoff_s(tries, POLICY, random)
    assert 0 <= wait_s <= POLICY.backoff_max_s
    if 1 <= tries <= 6:
        assert wait_s == pytest.approx(random * 0.5 * 2 ** (tries - 1))


@pytest.mark.parametrize(
    ("asked", "obeyed"),
    [(None, 0), (5.0, 5), (-5.0, 0), (1e9, 300), (math.inf, 300), (-math.inf, 0), (math.nan, 0)],
)
def test_an_absurd_retry_after_is_not_obeyed(asked: float | None, obeyed: float) -> None:
    """A typing error in a proxy must not park a run."""
    assert obeyed_s(asked) == obeyed
