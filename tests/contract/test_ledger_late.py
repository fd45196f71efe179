"""Answers that come after their run: they lift doubts, and change nothing that is decided."""

from __future__ import annotations

from ledgers import a_claim, a_run, a_uuid, end, key_of, refs, send

from batchrunner.ledger import SqlLedger, settle_answers
from batchrunner.model import Accepted, Failed, InDoubt, ParcelRecord, Rejected, RequestId, State, Totals
from batchrunner.ports import Onward

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


def test_each_row_of_a_parcel_ends_as_its_own_item_says(ledger: SqlLedger) -> None:
    """By the order of the entries, across sources; what could only have failed stays in doubt."""
    run, one = a_run(ledger), a_uuid(7)
    claims = [
        a_claim(1, request_id=one), a_claim(5, request_id=one), a_claim(2, source_no=2, request_id=one),
        a_claim(9, source_no=2, request_id=one),
    ]  # fmt: skip
    send(ledger, run, *reversed(claims), to=State.IN_DOUBT)
    items = [Accepted(PROFILE), Rejected("435", "several"), InDoubt("500", "oops"), Failed("403", "no rights")]
    assert settle_answers(ledger, "crm", {one: items}) == ({one}, 2)
    standing = ledger.standing([claim.request.key for claim in claims])
    states = [standing[claim.request.key].state for claim in claims]
    assert states == [State.ACCEPTED, State.REJECTED, State.IN_DOUBT, State.IN_DOUBT]


def test_a_parcel_that_is_not_whole_any_more_is_not_guessed_at(ledger: SqlLedger) -> None:
    """A row of it was sent anew, or the answer is of another length: whose item is whose cannot be told."""
    run, one, another = a_run(ledger), a_uuid(7), a_uuid(8)
    gone = [a_claim(number, request_id=one) for number in (1, 2, 3)]
    short = [a_claim(number, request_id=another) for number in (4, 5)]
    send(ledger, run, *gone, *short, to=State.IN_DOUBT)
    later = a_run(ledger, "run-2")
    send(ledger, later, a_claim(2, request_id=a_uuid(9), takes_over=refs(run, 2)))
    known, settled = settle_answers(ledger, "crm", {one: [Accepted(None)] * 3, another: [Accepted(None)] * 3})
    assert (set(known), settled) == ({one, another}, 0)


def test_the_answer_to_a_parcel_that_went_on_under_other_ids_is_ours(ledger: SqlLedger) -> None:
    """So it leaves the queue, and settles nothing."""
    run, one = a_run(ledger), a_uuid(7)
    ledger.exchange(run, [], [], Totals(), Onward(parcels=[ParcelRecord(one, 2, bytes(16))]))
    assert settle_answers(ledger, "crm", {one: None}) == ({one}, 0)
    assert settle_answers(ledger, "other", {one: None}) == (set(), 0)
