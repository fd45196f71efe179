"""The gate of `retry`: only wanted rows pass, and a row that asks for something else by now leaves no two guesses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from doubles import POLICY, SetClock
from ledgers import DAY_MS, NOW_MS, a_claim, a_request, a_run, refs, send

from batchrunner.gate import GatePolicy, Hold, SendNew, SendSame
from batchrunner.ledger import History, Place, SqlLedger, Wanted, open_ledger
from batchrunner.model import Request, RunId, SkipReason, State, Unusable
from batchrunner.pipeline import PlainGate, RetryGate
from batchrunner.pipeline.admission import Judgement
from batchrunner.pipeline.retry import WantedEntry

AGAIN = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS, again=frozenset({State.REJECTED}))
ALL = Wanted(frozenset({State.REJECTED, State.FAILED, State.IN_DOUBT, State.RESEND}))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def earlier(ledger: SqlLedger) -> RunId:
    """The run whose rows are sent again."""
    return a_run(ledger)


class Rows:
    """The wanted rows of one run, as the ledger tells them."""

    def __init__(self, ledger: SqlLedger, run: RunId) -> None:
        self._history = History(ledger)
        self._run = run
        self.asked: list[tuple[int, int, int]] = []

    def between(self, source_no: int, first: int, last: int) -> Mapping[int, WantedEntry]:
        """Remembers what was asked."""
        self.asked.append((source_no, first, last))
        return self._history.wanted_rows([Place(self._run, source_no)], first, last, ALL)


def a_gate(ledger: SqlLedger, earlier: RunId, policy: GatePolicy = AGAIN) -> tuple[RetryGate, Rows]:
    """The gate of a retry that has begun."""
    rows = Rows(ledger, earlier)
    return RetryGate(PlainGate(ledger, a_run(ledger, "retry"), policy, SetClock(NOW_MS + 1)), rows), rows


def judged(gate: RetryGate, *rows: Request | Unusable) -> list[tuple[int, Judgement | None]]:
    """Rows that are part of the run, and what is said of them."""
    return [
        (one.row.number, None) if isinstance(one, Unusable) else (one[0].row.number, one[1])
        for one in gate.judge(1, rows)
    ]


def test_only_wanted_rows_are_part_of_the_run(ledger: SqlLedger, earlier: RunId) -> None:
    """Accepted rows and rows that were never claimed are left out, usable or not; so nothing else is counted."""
    send(ledger, earlier, a_claim(1))
    send(ledger, earlier, a_claim(2), to=State.REJECTED)
    send(ledger, earlier, a_claim(4), to=State.FAILED)
    gate, rows = a_gate(ledger, earlier)

    found = judged(gate, *map(a_request, (1, 2)), Unusable(a_request(3).row, "bad", ""), *map(a_request, (4, 5)))

    assert [number for number, _ in found] == [2, 4]
    assert rows.asked == [(1, 1, 5)]


@pytest.mark.parametrize(
    ("state", "expected"), [(State.REJECTED, SendNew()), (State.FAILED, SendNew()), (State.IN_DOUBT, SendSame())]
)
def test_a_row_that_asks_for_the_same_is_judged_as_ever(
    ledger: SqlLedger, earlier: RunId, state: State, expected: SendNew | SendSame
) -> None:
    """And takes the place of its own entry."""
    send(ledger, earlier, a_claim(1), to=state)
    gate, _ = a_gate(ledger, earlier)

    [(_, judgement)] = judged(gate, a_request(1))

    assert judgement is not None
    assert (judgement.decision, judgement.takes_over) == (expected, refs(earlier, 1))
    assert gate.stale == []


def test_a_wanted_row_that_is_unusable_by_now_is_told(ledger: SqlLedger, earlier: RunId) -> None:
    """The mapping has become stricter."""
    send(ledger, earlier, a_claim(1), to=State.REJECTED)
    gate, _ = a_gate(ledger, earlier)

    assert judged(gate, Unusable(a_request(1).row, "missing", "")) == [(1, None)]


@pytest.mark.parametrize("state", [State.REJECTED, State.FAILED, State.RESEND])
def test_a_row_that_asks_for_something_new_takes_its_old_entrys_place(
    ledger: SqlLedger, earlier: RunId, state: State
) -> None:
    """The mapping was corrected: the new request stands for the old one."""
    send(ledger, earlier, a_claim(a_request(1, "ann", "wrong")), to=State.FAILED)
    ledger.connection.exec_driver_sql(f"UPDATE entries SET state = {int(state)}")
    gate, _ = a_gate(ledger, earlier)

    [(_, judgement)] = judged(gate, a_request(1, "ann", "right"))

    assert judgement == Judgement(SendNew(), takes_over=refs(earlier, 1))
    assert gate.stale == []


def test_a_new_request_that_failed_before_takes_the_place_of_both(ledger: SqlLedger, earlier: RunId) -> None:
    """Of the entry of its own key, and of the row's old one."""
    send(ledger, earlier, a_claim(a_request(1, "ann", "wrong")), to=State.REJECTED)
    between = a_run(ledger, "run-2")
    send(ledger, between, a_claim(a_request(1, "ann", "right")), to=State.FAILED)
    gate, _ = a_gate(ledger, earlier)

    [(_, judgement)] = judged(gate, a_request(1, "ann", "right"))

    assert judgement == Judgement(SendNew(), takes_over=(*refs(between, 1), *refs(earlier, 1)))


@pytest.mark.parametrize("policy", [AGAIN, POLICY])
def test_an_old_entry_in_doubt_is_not_replaced_by_another_guess(
    ledger: SqlLedger, earlier: RunId, policy: GatePolicy
) -> None:
    """The old message may have arrived: two different ones must not both be sent on a guess."""
    send(ledger, earlier, a_claim(a_request(1, "ann", "old")), to=State.IN_DOUBT)
    gate, _ = a_gate(ledger, earlier, policy)

    [(_, judgement)] = judged(gate, a_request(1, "ann", "new"))

    assert judgement is not None
    assert judgement.decision == Hold(SkipReason.IN_DOUBT)
    assert gate.stale == []


def test_an_old_entry_whose_row_was_accepted_since_is_stale(ledger: SqlLedger, earlier: RunId) -> None:
    """Nobody waits for it any more."""
    send(ledger, earlier, a_claim(a_request(1, "ann", "wrong")), to=State.REJECTED)
    send(ledger, a_run(ledger, "run-2"), a_claim(a_request(1, "ann", "right")))
    gate, _ = a_gate(ledger, earlier)

    [(_, judgement)] = judged(gate, a_request(1, "ann", "right"))

    assert judgement is not None
    assert judgement.decision == Hold(SkipReason.ACCEPTED)
    assert gate.stale == list(refs(earlier, 1))


def test_an_old_entry_whose_row_was_rejected_since_still_waits(ledger: SqlLedger, earlier: RunId) -> None:
    """Held back for another reason, it is not done."""
    send(ledger, earlier, a_claim(a_request(1, "ann", "wrong")), to=State.FAILED)
    send(ledger, a_run(ledger, "run-2"), a_claim(a_request(1, "ann", "right")), to=State.REJECTED)
    gate, _ = a_gate(ledger, earlier, POLICY)

    [(_, judgement)] = judged(gate, a_request(1, "ann", "right"))

    assert judgement is not None
    assert judgement.decision == Hold(SkipReason.REJECTED)
    assert gate.stale == []


def test_nothing_is_asked_about_no_rows(ledger: SqlLedger, earlier: RunId) -> None:
    """There is no first and no last."""
    gate, rows = a_gate(ledger, earlier)
    assert gate.judge(1, []) == []
    assert rows.asked == []
