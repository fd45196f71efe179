"""The gate decides from a table: every state, under every policy, at every edge of the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import DAY_MS, MINUTE_MS, NOW_MS, a_uuid
from msgspec.structs import replace

from batchrunner.gate import WINDOW_MARGIN_MS, Decision, GatePolicy, Hold, SendNew, SendSame, judge, within_window
from batchrunner.model import EntryRef, RunId, SkipReason, State
from batchrunner.ports import Standing

THIS_RUN, EARLIER_RUN = RunId(7), RunId(3)

RESEND = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS)
HOLD = GatePolicy(resend_in_doubt=False, window_ms=DAY_MS)
RETRY = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS, again=frozenset({State.REJECTED}))
FORGETS = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS, repeat_after_ms=30 * DAY_MS)

LAST_SAFE_MS = DAY_MS - WINDOW_MARGIN_MS - 1
"""The greatest age at which a repeat is still certain to be recognised."""

NEW, SAME, SAME_OR_NEW = SendNew(), SendSame(), SendSame(or_new=True)
ACCEPTED, REJECTED, IN_DOUBT, WINDOW = (
    Hold(reason) for reason in (SkipReason.ACCEPTED, SkipReason.REJECTED, SkipReason.IN_DOUBT, SkipReason.WINDOW)
)


def stands(state: State, *, run: RunId = EARLIER_RUN, replayed: bool = False) -> Standing:
    """A key that was first asked for at NOW_MS."""
    return Standing(EntryRef(run, 1, 1), state, a_uuid(1), NOW_MS, replayed)


def decided(state: State, policy: GatePolicy, age_ms: int, *, replayed: bool = False) -> Decision:
    """What the gate says of such a key at that age."""
    return judge(stands(state, replayed=replayed), THIS_RUN, policy, NOW_MS + age_ms)


@pytest.mark.parametrize("policy", [RESEND, HOLD, RETRY, FORGETS])
def test_a_key_that_was_never_claimed_is_sent_under_a_new_id(policy: GatePolicy) -> None:
    """Whatever the policy."""
    assert judge(None, THIS_RUN, policy, NOW_MS) == NEW


@pytest.mark.parametrize("policy", [RESEND, HOLD, RETRY, FORGETS])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("age_ms", [0, 40 * DAY_MS, -DAY_MS])
def test_a_key_claimed_by_this_run_is_a_repeat(state: State, policy: GatePolicy, age_ms: int) -> None:
    """Settled or flying, and however long ago: once a run (trap 1)."""
    repeat = Hold(SkipReason.REPEAT_IN_RUN)
    assert judge(stands(state, run=THIS_RUN), THIS_RUN, policy, NOW_MS + age_ms) == repeat


@pytest.mark.parametrize(
    ("state", "policy", "age_ms", "expected"),
    [
        # accepted: never, unless it is to be forgotten
        (State.ACCEPTED, RESEND, 0, ACCEPTED),
        (State.ACCEPTED, HOLD, 4000 * DAY_MS, ACCEPTED),
        (State.ACCEPTED, RETRY, 0, ACCEPTED),
        (State.ACCEPTED, RESEND, -DAY_MS, ACCEPTED),
        (State.ACCEPTED, FORGETS, 30 * DAY_MS - 1, ACCEPTED),
        (State.ACCEPTED, FORGETS, 30 * DAY_MS, NEW),
        (State.ACCEPTED, FORGETS, -DAY_MS, ACCEPTED),
        # rejected: only when asked for, and then under a new id, because the platform would replay its answer
        (State.REJECTED, RESEND, 0, REJECTED),
        (State.REJECTED, HOLD, 4000 * DAY_MS, REJECTED),
        (State.REJECTED, FORGETS, 4000 * DAY_MS, REJECTED),
        (State.REJECTED, RETRY, 0, NEW),
        # failed: certainly without effect
        (State.FAILED, RESEND, 0, NEW),
        (State.FAILED, HOLD, -DAY_MS, NEW),
        (State.FAILED, RETRY, 4000 * DAY_MS, NEW),
        # in doubt: the same id while it is certain to be recognised
        (State.IN_DOUBT, RESEND, 0, SAME),
        (State.IN_DOUBT, RESEND, LAST_SAFE_MS, SAME),
        (State.IN_DOUBT, RESEND, LAST_SAFE_MS + 1, WINDOW),
        (State.IN_DOUBT, RETRY, DAY_MS, WINDOW),
        (State.IN_DOUBT, RESEND, -1, WINDOW),
        (State.IN_DOUBT, HOLD, 0, IN_DOUBT),
        (State.IN_DOUBT, HOLD, 4000 * DAY_MS, IN_DOUBT),
        (State.IN_DOUBT, FORGETS, 31 * DAY_MS, WINDOW),
        # a claim that nobody buried is as doubtful
        (State.CLAIMED, RESEND, LAST_SAFE_MS, SAME),
        (State.CLAIMED, RESEND, LAST_SAFE_MS + 1, WINDOW),
        (State.CLAIMED, HOLD, 0, IN_DOUBT),
        # a person said: send it again
        (State.RESEND, RESEND, LAST_SAFE_MS, SAME_OR_NEW),
        (State.RESEND, RESEND, LAST_SAFE_MS + 1, NEW),
        (State.RESEND, HOLD, 0, SAME_OR_NEW),
        (State.RESEND, HOLD, 4000 * DAY_MS, NEW),
        (State.RESEND, RESEND, -1, NEW),
    ],
)
def test_each_state_is_judged_by_policy_and_age(
    state: State, policy: GatePolicy, age_ms: int, expected: Decision
) -> None:
    """The table of the architecture, line by line; a clock that jumped back makes nothing safe."""
    assert decided(state, policy, age_ms) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.IN_DOUBT, IN_DOUBT),
        (State.CLAIMED, IN_DOUBT),
        (State.RESEND, NEW),
        (State.ACCEPTED, ACCEPTED),
        (State.REJECTED, REJECTED),
        (State.FAILED, NEW),
    ],
)
def test_a_replayed_error_is_not_asked_for_under_its_id_again(state: State, expected: Decision) -> None:
    """The platform would answer alike for as long as it remembers."""
    assert decided(state, RESEND, 0, replayed=True) == expected


def test_no_window_recognises_nothing() -> None:
    """An installation whose window is shorter than our margin is one that does not deduplicate."""
    for window_ms in (0, MINUTE_MS, WINDOW_MARGIN_MS):
        assert decided(State.IN_DOUBT, replace(RESEND, window_ms=window_ms), 0) == WINDOW
    assert decided(State.IN_DOUBT, replace(RESEND, window_ms=WINDOW_MARGIN_MS + 1), 0) == SAME


@given(age_ms=st.integers(-10 * DAY_MS, 10 * DAY_MS), window_ms=st.integers(0, 3 * DAY_MS))
def test_a_repeat_is_safe_only_well_inside_the_window(age_ms: int, window_ms: int) -> None:
    """The clocks may differ by some minutes, and the request needs time to arrive."""
    if within_window(NOW_MS, NOW_MS + age_ms, window_ms):
        assert 0 <= age_ms <= window_ms - 5 * MINUTE_MS
    else:
        assert age_ms < 0 or age_ms >= window_ms - 5 * MINUTE_MS


@given(
    state=st.sampled_from(State),
    replayed=st.booleans(),
    age_ms=st.integers(-10 * DAY_MS, 4000 * DAY_MS),
    resend=st.booleans(),
    again=st.sampled_from([frozenset[State](), frozenset({State.REJECTED})]),
)
def test_without_repeat_after_nothing_accepted_is_ever_sent(
    state: State, replayed: bool, age_ms: int, resend: bool, again: frozenset[State]
) -> None:
    """And what is sent under the same Request-ID was doubtful, within the window, and no replay."""
    policy = GatePolicy(resend_in_doubt=resend, window_ms=DAY_MS, again=again)
    decision = decided(state, policy, age_ms, replayed=replayed)
    if not isinstance(decision, Hold):
        assert state is not State.ACCEPTED
    if isinstance(decision, SendSame):
        assert state in (State.IN_DOUBT, State.CLAIMED, State.RESEND)
        assert 0 <= age_ms < DAY_MS
        assert not replayed
