"""Answers that come after their run: they lift doubts, and change nothing that is decided."""

from __future__ import annotations

from ledgers import a_claim, a_run, end, key_of, send

from batchrunner.ledger import SqlLedger, settle_answers
from batchrunner.model import Accepted, Rejected, RequestId, State

PROFILE = "5eeb54a2ce9448518e85fdad"


def test_an_answer_lifts_a_doubt(ledger: SqlLedger) -> None:
    """Accepted with its profile, rejected with its code; both are known, and what is not ours is not."""
    run = a_run(ledger)
    claims = [a_claim(number) for number in (1, 2, 3)]
    send(ledger, run, *claims, to=State.IN_DOUBT)
    end(ledger, run)
    answers = {claims[0].request_id: Accepted(PROFILE), claims[1].request_id: Rejected("435", "several")}
    known, settled = settle_answers(ledger, "crm", {**answers, RequestId("of-somebody-else"): Accepted(None)})
    assert (set(known), settled) == (set(answers), 2)
    states = {key: one.state for key, one in ledger.standing([claim.request.key for claim in claims]).items()}
    assert states == {
        key_of("person-1"): State.ACCEPTED, key_of("person-2"): State.REJECTED, key_of("person-3"): State.IN_DOUBT,
    }  # fmt: skip


def test_an_answer_that_settles_nothing_leaves_the_doubt(ledger: SqlLedger) -> None:
    """Such as an error 500: the id is known, so the message may go."""
    run, claim = a_run(ledger), a_claim()
    send(ledger, run, claim, to=State.IN_DOUBT)
    assert settle_answers(ledger, "crm", {claim.request_id: None}) == ({claim.request_id}, 0)
    assert ledger.standing([claim.request.key])[claim.request.key].state is State.IN_DOUBT


def test_what_is_decided_stays(ledger: SqlLedger) -> None:
    """An answer that was settled before it could be acknowledged comes again; other jobs' rows are not ours."""
    run, claim = a_run(ledger), a_claim(1)
    send(ledger, run, claim, to=State.ACCEPTED)
    elsewhere, other = a_run(ledger, "run-2", job="other"), a_claim(2)
    send(ledger, elsewhere, other, to=State.IN_DOUBT)
    answers = {claim.request_id: Rejected("400", "no"), other.request_id: Accepted(None)}
    assert settle_answers(ledger, "crm", answers) == ({claim.request_id}, 0)
    standing = ledger.standing([claim.request.key, other.request.key])
    assert standing[claim.request.key].state is State.ACCEPTED
    assert standing[other.request.key].state is State.IN_DOUBT


def test_many_answers_are_looked_up_at_once(ledger: SqlLedger) -> None:
    """More than fit into one question."""
    run = a_run(ledger)
    claims = [a_claim(number) for number in range(1, 1202)]
    send(ledger, run, *claims, to=State.IN_DOUBT)
    known, settled = settle_answers(ledger, "crm", {claim.request_id: Accepted(None) for claim in claims})
    assert (len(known), settled) == (1201, 1201)
