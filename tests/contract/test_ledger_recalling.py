"""What result files tell is remembered again: nobody is engaged twice for it, and nothing better known is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import NOW_MS, OUTCOMES, a_claim, a_request, a_run, a_source, end, key_of, send

from batchrunner.gate import GatePolicy, Hold, SendNew, judge
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.ledger.recalling import Recalled, Told, recall
from batchrunner.ledger.repairing import problems_of
from batchrunner.model import RunId, SkipReason, State

POLICY = GatePolicy(resend_in_doubt=True, window_ms=86_400_000)
SENT = a_source()


def told(name: str, state: State, number: int = 1) -> Told:
    """A row of a result file."""
    return Told(key_of(name), SENT.fingerprint, number, 1, OUTCOMES[state])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a ledger."""
    return tmp_path / "ledger.db"


def two_runs(ledger: SqlLedger, state: State | None) -> RunId:
    """An earlier run in which ann ended so (None: not at all), and the run whose rows come back."""
    first = a_run(ledger, "run-1")
    if state is not None:
        send(ledger, first, a_claim(a_request(1, "ann")), to=state)
    end(ledger, first)
    second = a_run(ledger, "run-2")
    end(ledger, second)
    return second


@pytest.mark.parametrize("said", [State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT])
@pytest.mark.parametrize("known", [None, State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT])
def test_that_wins_by_which_nobody_is_engaged_twice(path: Path, known: State | None, said: State) -> None:
    """What was accepted above all, what is in doubt above what did not arrive, and else what the ledger knows."""
    with open_ledger(str(path)) as ledger:
        run = two_runs(ledger, known)
        recall(ledger, run, [told("ann", said)], NOW_MS)
        state = ledger.standing([key_of("ann")])[key_of("ann")].state
    did_not_arrive = (State.REJECTED, State.FAILED)
    wins = known is None or said is State.ACCEPTED or (said is State.IN_DOUBT and known in did_not_arrive)
    assert state is (said if wins else known)
    assert problems_of(path) == []


def test_a_row_in_doubt_that_came_back_is_held_for_a_person(path: Path) -> None:
    """Whatever the job says: its Request-ID is not known any more."""
    with open_ledger(str(path)) as ledger:
        run = two_runs(ledger, None)
        recall(ledger, run, [told("ann", State.IN_DOUBT), told("bob", State.FAILED, 2)], NOW_MS)
        standing = ledger.standing([key_of("ann"), key_of("bob")])
        judged = {name: judge(standing[key_of(name)], RunId(99), POLICY, NOW_MS) for name in ("ann", "bob")}
    assert judged == {"ann": Hold(SkipReason.IN_DOUBT), "bob": SendNew()}


def test_a_row_that_its_own_run_left_in_doubt_is_accepted_in_its_place(path: Path) -> None:
    """The ledger was copied while the row was under way; its file tells how it went on."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        send(ledger, run, a_claim(a_request(1, "ann")), to=State.IN_DOUBT)
        end(ledger, run)
        came = recall(ledger, run, [told("ann", State.ACCEPTED)], NOW_MS)
        assert came == Recalled(put_back=1)
        assert ledger.count_states(run) == {State.ACCEPTED: 1}


def test_a_place_is_not_taken_from_what_stands_there(path: Path) -> None:
    """It is counted: nothing holds such a row back."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        send(ledger, run, a_claim(a_request(1, "ann")))
        end(ledger, run)
        assert recall(ledger, run, [told("bob", State.ACCEPTED)], NOW_MS) == Recalled(unlike=1)
        assert ledger.count_states(run) == {State.ACCEPTED: 1}
        assert key_of("bob") not in ledger.standing([key_of("bob")])


def test_to_recall_twice_changes_nothing(path: Path) -> None:
    """Nor does a key that a file tells of twice; a source that the run does not have gets a number."""
    rows = [told("ann", State.ACCEPTED), told("bob", State.IN_DOUBT, 2)]
    other = Told(key_of("cid"), "0" * 32, 1, 1, OUTCOMES[State.ACCEPTED])
    with open_ledger(str(path)) as ledger:
        run = two_runs(ledger, None)
        assert recall(ledger, run, [*rows, rows[0], other], NOW_MS) == Recalled(put_back=3, here=1)
        before = ledger.standing([one.key for one in (*rows, other)])
        assert recall(ledger, run, [*rows, other], NOW_MS) == Recalled(here=3)
        assert ledger.standing([one.key for one in (*rows, other)]) == before
