"""Rows in steps: what becomes of one that is in doubt, and how it is handed from the first step to the second."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import DAY_MS, NOW_MS, ends, key_of
from msgspec.structs import replace

from batchrunner.api.steps import import_part, start_part
from batchrunner.gate import Hold, SendNew, SendSame
from batchrunner.model import (
    Accepted,
    Claim,
    EntryRef,
    Failed,
    Importing,
    InDoubt,
    Outcome,
    Rejected,
    Request,
    RequestId,
    Row,
    RunId,
    Settled,
    SkipReason,
    Starting,
    Step,
    Updating,
)
from batchrunner.pipeline.admission import HELD, Candidate, Judgement
from batchrunner.pipeline.claims import too_late
from batchrunner.pipeline.relay import NO_PROFILE_ID, Relay
from batchrunner.pipeline.steps import NO_STEPS, Steps, resumed

A = RequestId("00000000-0000-4000-8000-00000000000a")
REF = EntryRef(RunId(1), 1, 7)
SPLIT, UPDATES = Steps(split=True), Steps(updates=True)
SAME = Judgement(SendSame(), A, NOW_MS, doubtful=True, takes_over=(REF,))
DECIDED = Judgement(SendSame(or_new=True), A, NOW_MS, doubtful=True, takes_over=(REF,))
LATE = Judgement(SendNew(), doubtful=True, takes_over=(REF,))
WAITS = HELD[SkipReason.IN_DOUBT]

judgements = st.sampled_from([SAME, DECIDED, LATE, WAITS, HELD[SkipReason.WINDOW], HELD[SkipReason.REPEAT_IN_RUN]])
all_steps: st.SearchStrategy[Step | None] = st.sampled_from(
    [None, Importing(), Importing(doubtful=True), Starting("5f"), Updating()]
)
ways = st.builds(Steps, split=st.booleans(), updates=st.booleans())


def a_claim(step: Step | None = None, *, doubtful: bool = False, resent: bool = False) -> Claim:
    request = Request(key_of("ann"), Row(7, 8, ("ann",)), b"{}")
    return Claim(1, request, A, NOW_MS - 1000, doubtful, resent, (REF,), step)


def settled(claim: Claim, outcome: Outcome) -> Settled:
    return Settled(claim, outcome, 1, 1)


# --- in doubt ------------------------------------------------------------------------------------


@given(judgements, all_steps, ways, judgements)
def test_the_law_what_may_have_engaged_leaves_again_only_as_it_was(
    judgement: Judgement, step: Step | None, steps: Steps, harmless: Judgement
) -> None:
    """By the same call under its Request-ID; under a new one only where a person has decided, still doubtful."""
    became = resumed(judgement, step, steps, harmless)
    may_have_engaged = step is None or isinstance(step, Starting)
    if not may_have_engaged:
        return
    assert isinstance(judgement.decision, SendNew | SendSame) or isinstance(became.decision, Hold)
    if isinstance(became.decision, SendSame):
        assert became.request_id == A
        assert (became.step is None) == (not steps.split)
        assert became.step == step
    if isinstance(became.decision, SendNew):
        assert judgement in {DECIDED, LATE}
    assert became.doubtful or isinstance(became.decision, Hold)


@given(judgements, all_steps, ways, judgements)
def test_the_law_an_import_is_never_taken_for_an_engagement(
    judgement: Judgement, step: Step | None, steps: Steps, harmless: Judgement
) -> None:
    """Its Request-ID leaves again only with an import, or the platform would answer an engagement that never was."""
    became = resumed(judgement, step, steps, harmless)
    if isinstance(step, Importing | Updating) and became.request_id is not None:
        assert became.step == step
    if isinstance(harmless.decision, Hold) and isinstance(step, Importing | Updating):
        assert became == harmless


@pytest.mark.parametrize(
    ("step", "steps", "became"),
    [
        (None, NO_STEPS, SAME),
        (None, UPDATES, SAME),
        (None, SPLIT, WAITS),
        (Starting("5f"), NO_STEPS, WAITS),
        (Starting("5f"), SPLIT, replace(SAME, step=Starting("5f"))),
        (Importing(), NO_STEPS, Judgement(SendNew(), takes_over=(REF,))),
        (Importing(doubtful=True), NO_STEPS, Judgement(SendNew(), doubtful=True, takes_over=(REF,))),
        (Importing(), SPLIT, replace(DECIDED, step=Importing())),
        (Updating(), UPDATES, replace(DECIDED, step=Updating())),
        (Updating(), SPLIT, Judgement(SendNew(), takes_over=(REF,))),
    ],
)
def test_a_row_in_doubt_goes_on_from_its_step(step: Step | None, steps: Steps, became: Judgement) -> None:
    """The table of the module, line by line."""
    assert resumed(SAME, step, steps, DECIDED) == became


@pytest.mark.parametrize("step", [None, Starting("5f"), Importing(), Updating()])
def test_only_what_may_engage_is_too_late(step: Step | None) -> None:
    """A row that has waited past the window for its turn: an import may be repeated at any time."""
    waited = Candidate(1, a_claim().request, replace(SAME, step=step))
    assert too_late(waited, NOW_MS + 2 * DAY_MS, DAY_MS) == (not isinstance(step, Importing | Updating))


# --- from step to step ---------------------------------------------------------------------------


def test_rows_begin_with_the_first_step_and_others_stay_where_they_are() -> None:
    """A doubt that comes from before is carried along: no import can lift it."""
    claims = [a_claim(), a_claim(doubtful=True), a_claim(Starting("5f"), doubtful=True), a_claim(Updating())]
    begun = [claim.step for claim in Relay(SPLIT).begun(claims)]
    assert begun == [Importing(), Importing(doubtful=True), Starting("5f"), Updating()]
    assert Relay(UPDATES).begun(claims) is claims


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("doubtful", [True, False])
def test_an_import_is_followed_by_a_start_under_a_request_id_of_its_own(before: bool, doubtful: bool) -> None:
    """Its answer lifts the doubt about itself, and none about what went before."""
    claim = a_claim(Importing(doubtful=before), doubtful=doubtful or before, resent=doubtful)
    ended, (onward,) = Relay(SPLIT).unload([settled(claim, Accepted("5f"))], NOW_MS)
    assert ended == []
    assert (onward.step, onward.doubtful, onward.resent) == (Starting("5f"), before, False)
    assert (onward.requested_at_ms, onward.takes_over, onward.request) == (NOW_MS, (), claim.request)
    assert onward.request_id != A


@pytest.mark.parametrize("outcome", [Accepted(None), Rejected("435", "no"), Failed("connect", "no")])
def test_what_ends_at_the_import_has_engaged_nobody_unless_something_before_it_may_have(outcome: Outcome) -> None:
    """The law of doubt holds for the row, not only for its request."""
    (sure,), onward = Relay(SPLIT).unload([settled(a_claim(Importing()), outcome)], NOW_MS)
    assert not isinstance(sure.outcome, Accepted | InDoubt)
    (unsure,), _ = Relay(SPLIT).unload([settled(a_claim(Importing(doubtful=True), doubtful=True), outcome)], NOW_MS)
    assert isinstance(unsure.outcome, InDoubt)
    assert onward == []
    if isinstance(outcome, Accepted):
        assert (sure.outcome, unsure.outcome.code) == (Failed(NO_PROFILE_ID, sure.outcome.text), NO_PROFILE_ID)


def test_a_start_ends_its_row_with_the_profile_that_was_imported() -> None:
    """How `workflows/start` is answered is not documented: it may tell no id."""
    ended, onward = Relay(SPLIT).unload([settled(a_claim(Starting("5f")), Accepted(None))], NOW_MS)
    assert ([end.outcome for end in ended], onward) == ([Accepted("5f")], [])


def test_what_goes_by_the_job_s_call_passes_untouched() -> None:
    """Beside updates, which are counted."""
    plain, update = ends(a_claim(), Accepted("5f")), settled(a_claim(Updating()), Accepted("5f"))
    relay = Relay(UPDATES)
    assert relay.unload([plain, update], NOW_MS) == ([plain, update], [])
    assert relay.updated([plain, update, settled(a_claim(Updating()), Rejected("435", "no"))]) == 1


# --- words ---------------------------------------------------------------------------------------


def test_the_two_parts_are_the_whole() -> None:
    """Nothing is lost, nothing is said twice but the scenario's other name, and both are canonical."""
    whole = {
        "attach": [{"name": "a"}], "content": {"one": "1"}, "data": {"_fname": "Ann"}, "detect_geo": True,
        "email": "a@example.com", "matching": "email", "skip_triggers": False, "workflow_id": 12,
    }  # fmt: skip
    payload = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    imported, started = import_part(payload, 3), start_part(payload, '5"f')
    assert json.loads(imported) == {
        **{name: whole[name] for name in ("data", "detect_geo", "email", "matching", "skip_triggers")},
        "db_id": 3,
    }
    assert json.loads(started) == {
        "attach": [{"name": "a"}], "content": {"one": "1"}, "id": 12, "matching": "profile_id", "profile_id": '5"f',
    }  # fmt: skip
    for part in (imported, started):
        assert part == json.dumps(json.loads(part), sort_keys=True, separators=(",", ":")).encode()
