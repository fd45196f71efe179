"""What every ledger must keep while a run uses it, whichever database it lives in."""

from __future__ import annotations

import threading

import pytest
from ledgers import (
    DAY_MS,
    NOW_MS,
    OUTCOMES,
    Backend,
    a_claim,
    a_process,
    a_request,
    a_run,
    a_source,
    a_uuid,
    end,
    ends,
    key_of,
    refs,
    send,
    totals_of,
    who_of,
)

from batchrunner.errors import AlreadyRunning, LedgerError
from batchrunner.ledger import DIED, History, SqlLedger
from batchrunner.model import Accepted, EntryRef, Rejected, State, Totals
from batchrunner.ports import Standing

# --- claims and outcomes -----------------------------------------------------------------------


def test_a_claim_is_there_for_others_when_exchange_returns(ledger: SqlLedger, other: SqlLedger) -> None:
    """Only what another connection sees would survive us: the request may leave now."""
    run = a_run(ledger)
    claim = a_claim(7, request_id=a_uuid(1))

    ledger.exchange(run, [], [claim], totals_of(1))

    key = claim.request.key
    assert other.standing([key]) == {key: Standing(EntryRef(run, 1, 7), State.CLAIMED, a_uuid(1), NOW_MS, False)}


@pytest.mark.parametrize("state", OUTCOMES)
def test_each_outcome_settles_its_claim(ledger: SqlLedger, other: SqlLedger, state: State) -> None:
    """What is settled is known to others, with its code or its profile."""
    run = a_run(ledger)
    claim, bystander = a_claim(1), a_claim(2)
    ledger.exchange(run, [], [claim, bystander], totals_of(2))

    ledger.exchange(run, [ends(claim, state, attempts=3, replayed=True)], [], totals_of(2))

    outcome = OUTCOMES[state]
    [entry] = History(other).entries(run, [state], 10)
    assert (entry.row_number, entry.line, entry.source_no, entry.attempts) == (1, 2, 1, 3)
    assert (entry.code, entry.profile_id) == (
        (None, outcome.profile_id) if isinstance(outcome, Accepted) else (outcome.code, None)
    )
    standing = other.standing([claim.request.key])[claim.request.key]
    assert (standing.state, standing.replayed) == (state, True)
    assert other.standing([bystander.request.key])[bystander.request.key].state is State.CLAIMED


def test_settling_and_claiming_happen_together(ledger: SqlLedger, other: SqlLedger) -> None:
    """One transaction settles what came and claims what goes next."""
    run = a_run(ledger)
    first, second = a_claim(1), a_claim(2)
    ledger.exchange(run, [], [first], totals_of(1))

    settled = [ends(first)]
    ledger.exchange(run, settled, [second], totals_of(2, settled))

    assert other.count_states(run) == {State.ACCEPTED: 1, State.CLAIMED: 1}


def test_a_key_that_was_never_claimed_does_not_stand(ledger: SqlLedger) -> None:
    """Absent means unknown."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1))

    assert ledger.standing([key_of("somebody else"), key_of("person-1", "other text")]) == {}
    assert ledger.standing([]) == {}


def test_thousands_of_keys_are_asked_about_at_once(ledger: SqlLedger) -> None:
    """More keys than one statement takes: each of them is answered, known or not."""
    run = a_run(ledger)
    claims = [a_claim(number) for number in range(1, 1302)]
    send(ledger, run, *claims, to=None)
    asked = [a_request(number).key for number in range(1, 2001)]

    found = ledger.standing(asked)

    assert {key: stands.ref.row_number for key, stands in found.items()} == {
        claim.request.key: claim.request.row.number for claim in claims
    }
    assert ledger.count_states(run) == {State.CLAIMED: 1301}


def test_a_second_live_entry_of_a_key_is_refused_and_nothing_of_its_transaction_stays(
    ledger: SqlLedger, other: SqlLedger
) -> None:
    """The database itself keeps one live entry per key; what was settled in the same transaction comes back."""
    run = a_run(ledger)
    flying, repeated = a_claim(1), a_claim(2)
    send(ledger, run, flying, repeated, to=None)
    before = History(other).run("last").totals

    settled = [ends(flying)]
    with pytest.raises(LedgerError):
        ledger.exchange(run, settled, [a_claim(3), a_claim(a_request(4, who="person-2"))], totals_of(4, settled))

    assert other.count_states(run) == {State.CLAIMED: 2}
    assert other.standing([a_request(3).key]) == {}
    assert History(other).run("last").totals == before
    ledger.exchange(run, settled, [a_claim(3)], totals_of(3, settled))
    assert other.count_states(run) == {State.CLAIMED: 2, State.ACCEPTED: 1}


def test_a_claim_takes_the_place_of_an_earlier_entry(ledger: SqlLedger, other: SqlLedger) -> None:
    """The key stands as its newest entry does, and the old entry stays as history."""
    first = a_run(ledger, "run-1")
    send(ledger, first, a_claim(5, request_id=a_uuid(1)), to=State.FAILED)
    second = a_run(ledger, "run-2")
    again = a_claim(a_request(9, who="person-5"), request_id=a_uuid(2), at_ms=NOW_MS + 5_000, takes_over=refs(first, 5))

    ledger.exchange(second, [], [again], totals_of(1))

    key = again.request.key
    assert other.standing([key]) == {
        key: Standing(EntryRef(second, 1, 9), State.CLAIMED, a_uuid(2), NOW_MS + 5_000, False)
    }
    assert other.count_states(first) == {State.FAILED: 1}
    [old] = History(other).entries(first, [State.FAILED], 10)
    assert old.taken_over


def test_a_claim_takes_over_several_entries_of_other_keys(ledger: SqlLedger) -> None:
    """A changed mapping gives a row another key: its new entry stands for all that came before."""
    first = a_run(ledger, "run-1")
    send(ledger, first, a_claim(a_request(1, "ann", "old")), a_claim(a_request(2, "ann", "older")), to=State.REJECTED)
    second = a_run(ledger, "run-2")

    send(ledger, second, a_claim(a_request(1, "ann", "new"), takes_over=refs(first, 1, 2)), to=None)

    assert set(ledger.standing([key_of("ann", what) for what in ("old", "older", "new")])) == {key_of("ann", "new")}


def test_totals_come_with_the_entries_they_count(ledger: SqlLedger, other: SqlLedger) -> None:
    """A run's totals are noted in the transaction of its claims and outcomes, down to codes and reasons."""
    run = a_run(ledger)
    claim = a_claim(1)
    told = Totals(
        read=6, accepted=1, rejected=1, unusable=1, skipped={"accepted": 2}, codes={"rejected:304": 1}, requests=4
    )

    ledger.exchange(run, [], [claim], told)

    assert History(other).run("run-1").totals == told


def test_states_are_counted_for_one_run_only(ledger: SqlLedger) -> None:
    """The count that totals must agree with knows nothing of other runs."""
    first, second = a_run(ledger, "run-1"), a_run(ledger, "run-2")
    send(ledger, first, a_claim(1), a_claim(2))
    send(ledger, second, a_claim(3), to=State.REJECTED)
    send(ledger, second, a_claim(4), to=None)

    assert ledger.count_states(first) == {State.ACCEPTED: 2}
    assert ledger.count_states(second) == {State.REJECTED: 1, State.CLAIMED: 1}


def test_rows_of_one_number_in_two_sources_are_two_entries(ledger: SqlLedger) -> None:
    """An entry's address is run, source and row."""
    run = a_run(ledger, read=(a_source("a.csv"), a_source("b.csv")))
    one, two = a_claim(a_request(1, "ann")), a_claim(a_request(1, "bob"), source_no=2)
    send(ledger, run, one, two, to=None)

    ledger.exchange(run, [ends(two, State.REJECTED)], [], totals_of(2))

    states = {ref.source_no: stands.state for stands in ledger.standing([key_of("ann"), key_of("bob")]).values()
              for ref in (stands.ref,)}  # fmt: skip
    assert states == {1: State.CLAIMED, 2: State.REJECTED}


def test_long_codes_and_odd_profile_ids_do_not_stop_a_run(ledger: SqlLedger) -> None:
    """What a platform answers may be longer than a column: it is cut, and never refused."""
    run = a_run(ledger)
    claims = [a_claim(number) for number in (1, 2, 3, 4)]
    send(ledger, run, *claims, to=None)
    outcomes = [Rejected("x" * 500, "y"), Accepted("Ж" * 200), Accepted(None), Accepted("5F1E9C0A5F1E9C0A5F1E9C0A")]

    ledger.exchange(run, [ends(c, o) for c, o in zip(claims, outcomes, strict=True)], [], totals_of(4))

    found = History(ledger).entries(run, [State.REJECTED, State.ACCEPTED], 10)
    assert [entry.code for entry in found] == ["x" * 40, None, None, None]
    assert [entry.profile_id for entry in found] == [None, "Ж" * 64, None, "5F1E9C0A5F1E9C0A5F1E9C0A"]


def test_two_connections_write_in_turn(backend: Backend, ledger: SqlLedger) -> None:
    """Two jobs may share a ledger: neither is refused because the other is writing."""
    mine = a_run(ledger, "mine", job="a")
    failures: list[Exception] = []

    def write(job: str) -> None:
        try:
            with backend.open() as theirs:
                run = a_run(theirs, job, job=job)
                for number in range(1, 21):
                    send(theirs, run, a_claim(a_request(number, f"{job}-{number}")))
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"theirs-{at}",)) for at in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 21):
        send(ledger, mine, a_claim(a_request(number, f"mine-{number}")))
    for thread in threads:
        thread.join()

    assert failures == []
    assert [len(History(ledger).entries(run.id, [State.ACCEPTED], 99)) for run in History(ledger).runs()] == [20] * 3


# --- people ------------------------------------------------------------------------------------


def test_people_are_known_once_something_was_accepted_for_them(ledger: SqlLedger) -> None:
    """Whatever was asked: a rejected or doubtful request does not make somebody known."""
    run = a_run(ledger)
    send(ledger, run, a_claim(a_request(1, "ann", "one")), a_claim(a_request(2, "bob", "two")))
    send(ledger, run, a_claim(a_request(3, "cid")), to=State.REJECTED)
    send(ledger, run, a_claim(a_request(4, "dan")), to=State.IN_DOUBT)

    people = [who_of(name) for name in ("ann", "ann", "bob", "cid", "dan", "eve")]
    assert ledger.known_people(people) == {who_of("ann"), who_of("bob")}
    assert ledger.known_people([]) == set()


def test_both_ends_of_a_persons_keys_belong_to_that_person(ledger: SqlLedger) -> None:
    """The least and the greatest key of somebody are theirs, and not the neighbours'."""
    run = a_run(ledger)
    person = bytes.fromhex("00000000000000aa")
    for number, what in enumerate((bytes(8), b"\xff" * 8), start=1):
        below, above = bytes.fromhex("00000000000000a9"), bytes.fromhex("00000000000000ab")
        request = a_request(number)
        send(ledger, run, a_claim(type(request)(type(request.key)(person + what), request.row, b"{}")))
        assert ledger.known_people([type(request.who)(one) for one in (below, person, above)]) == {person}
        ledger.exchange(
            a_run(ledger, f"clear-{number}"),
            [],
            [a_claim(50 + number, takes_over=refs(run, number))],
            totals_of(1),
        )
        assert ledger.known_people([type(request.who)(person)]) == set()


# --- runs from beginning to end ----------------------------------------------------------------


def test_a_run_is_remembered_from_its_beginning_to_its_end(ledger: SqlLedger, other: SqlLedger) -> None:
    """What it read, when, and how it ended."""
    read = (a_source("b.csv"), a_source("a.csv"))
    run = a_run(ledger, "run-1", read=read)
    begun = History(other).run("run-1")
    assert (begun.id, begun.job, begun.verb, begun.sources) == (run, "crm", "run", read)
    assert (begun.started_ms, begun.ended_ms, begun.ending, begun.exit_code) == (NOW_MS, None, None, None)
    assert (begun.totals, begun.run_dir) == (Totals(), "/runs/run-1")

    ledger.end_run(run, totals=Totals(read=3, accepted=3), ending="stopped", exit_code=3, now_ms=NOW_MS + 9)

    ended = History(other).run("run-1")
    assert (ended.ended_ms, ended.ending, ended.exit_code) == (NOW_MS + 9, "stopped", 3)
    assert ended.totals == Totals(read=3, accepted=3)


def test_every_process_start_is_a_new_run(ledger: SqlLedger) -> None:
    """A dead run's number is never given again: its claims would hold rows back (trap 2)."""
    first = a_run(ledger, "run-1")
    second = a_run(ledger, "run-2")

    assert second > first


def test_the_name_of_a_run_is_its_own(ledger: SqlLedger) -> None:
    """Two runs of one name could not be told apart; nothing of the refused one stays."""
    a_run(ledger, "run-1", mapping="m")
    with pytest.raises(LedgerError):
        a_run(ledger, "run-1", mapping="n")

    assert len(History(ledger).runs()) == 1
    assert History(ledger).mappings("crm") == ["m"]


def test_all_earlier_mappings_of_a_job_are_remembered(ledger: SqlLedger) -> None:
    """Whatever order they came in; not the one of now, and not another job's."""
    assert ledger.earlier_mappings("crm", now="one") == []
    for number, mapping in enumerate(("one", "two", "one"), start=1):
        a_run(ledger, f"run-{number}", mapping=mapping)
    a_run(ledger, "theirs", job="other", mapping="three")

    assert ledger.earlier_mappings("crm", now="two") == ["one"]
    assert ledger.earlier_mappings("crm", now="new") == ["one", "two"]


def test_a_retired_mapping_is_asked_about_again_once_it_is_used_again(ledger: SqlLedger) -> None:
    """Consent is for what was sent until then."""
    a_run(ledger, "run-1", mapping="one")
    a_run(ledger, "run-2", mapping="two")
    ledger.retire_mappings("crm", but="two")
    assert ledger.earlier_mappings("crm", now="two") == []

    a_run(ledger, "run-3", mapping="one")
    assert ledger.earlier_mappings("crm", now="two") == ["one"]


def test_a_run_that_ends_leaves_no_claim_open(ledger: SqlLedger) -> None:
    """The ledger may fail for a moment and recover: what could not be settled is in doubt, and can be resolved."""
    run = a_run(ledger)
    ledger.exchange(run, [], [a_claim(1)], Totals(read=1))
    ledger.end_run(run, totals=Totals(read=1, in_doubt=1), ending="stopped", exit_code=4, now_ms=NOW_MS)

    assert ledger.count_states(run) == {State.IN_DOUBT: 1}


def test_the_ledger_knows_the_last_run_that_served_a_person(ledger: SqlLedger) -> None:
    """Whatever was asked for them; what was not accepted does not count."""
    first, second = a_run(ledger, "run-1"), a_run(ledger, "run-2")
    early, late, refused = a_claim(1), a_claim(2), a_claim(3)
    ledger.exchange(first, [], [early], Totals())
    ledger.exchange(first, [ends(early)], [], Totals())
    ledger.exchange(second, [], [late, refused], Totals())
    ledger.exchange(second, [ends(late), ends(refused, State.REJECTED)], [], Totals())
    people = [claim.request.who for claim in (early, late, refused)]

    assert ledger.last_served(people) == {people[0]: first, people[1]: second}


def test_a_file_with_a_name_that_is_no_text_can_be_run(ledger: SqlLedger) -> None:
    """A path from another time's encoding is kept readable, instead of stopping the run with a traceback."""
    source = a_source()
    odd = type(source)("/exports/\udcef\udce8.csv", source.fingerprint, 1)

    a_run(ledger, read=(odd,))

    assert History(ledger).run("last").sources[0].path == r"/exports/\xef\xe8.csv"


# --- the dead ----------------------------------------------------------------------------------


def test_the_open_claims_of_a_dead_run_become_in_doubt(backend: Backend) -> None:
    """They may have left: only their count changes, so totals balance after any crash."""
    with backend.open() as ledger:
        run = a_run(ledger)
        settled = [ends(a_claim(1))]
        ledger.exchange(run, [], [settled[0].claim, a_claim(2), a_claim(3)], totals_of(3))
        ledger.exchange(run, settled, [], totals_of(3, settled))

    with backend.open() as ledger:
        assert ledger.bury_dead_runs("crm", NOW_MS + 77) == ["run-1"]

        assert ledger.count_states(run) == {State.ACCEPTED: 1, State.IN_DOUBT: 2}
        dead = History(ledger).run("run-1")
        assert (dead.ending, dead.ended_ms, dead.exit_code) == ("died", NOW_MS + 77, None)
        assert dead.totals.balanced
        assert (dead.totals.in_doubt, dead.totals.codes) == (2, {f"in_doubt:{DIED}": 2})
        assert {entry.code for entry in History(ledger).entries(run, [State.IN_DOUBT], 9)} == {DIED}


def test_burying_leaves_the_living_and_other_jobs_alone(ledger: SqlLedger) -> None:
    """A run that ended is not buried again, and another job's run may well be going on."""
    ended = a_run(ledger, "ended")
    send(ledger, ended, a_claim(1), to=State.IN_DOUBT)
    end(ledger, ended, Totals(read=1, in_doubt=1))
    theirs = a_run(ledger, "theirs", job="other")
    send(ledger, theirs, a_claim(2), to=None)

    assert ledger.bury_dead_runs("crm", NOW_MS + DAY_MS) == []

    assert ledger.count_states(theirs) == {State.CLAIMED: 1}
    assert History(ledger).run("theirs").ending is None
    assert History(ledger).run("ended").ending == "finished"
    assert ledger.bury_dead_runs("other", NOW_MS) == ["theirs"]
    assert ledger.bury_dead_runs("other", NOW_MS) == []


def test_a_buried_claim_keeps_its_request_id(backend: Backend) -> None:
    """The resume must use the same Request-ID, or the platform could not recognise the repeat."""
    with backend.open() as ledger:
        send(ledger, a_run(ledger), a_claim(1, request_id=a_uuid(42)), to=None)
    with backend.open() as ledger:
        ledger.bury_dead_runs("crm", NOW_MS + 1)
        [standing] = ledger.standing([a_request(1).key]).values()

    assert (standing.state, standing.request_id, standing.requested_at_ms) == (State.IN_DOUBT, a_uuid(42), NOW_MS)


# --- one run of a job at a time ----------------------------------------------------------------

HOLD_THE_LOCK = """
import sys
from ledgers import a_run
from batchrunner.ledger import open_ledger
with open_ledger(sys.argv[1]) as ledger, ledger.locked("crm"):
    a_run(ledger, "theirs")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_job_that_another_process_runs_cannot_be_run(backend: Backend, ledger: SqlLedger) -> None:
    """The lock is the process's: a kill -9 releases it, and until then we are told who holds it."""
    assert not ledger.is_running("crm")
    with a_process(HOLD_THE_LOCK, backend.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"

        with pytest.raises(AlreadyRunning, match=rf"run theirs \(.*:{process.pid}\)"), ledger.locked("crm"):
            pytest.fail("two processes hold one lock")
        assert ledger.is_running("crm")
        with ledger.locked("other"):
            assert not ledger.is_running("crm-2")

        process.kill()
        process.wait()
    with ledger.locked("crm"):
        assert ledger.bury_dead_runs("crm", NOW_MS) == ["theirs"]


def test_the_lock_is_free_again_after_an_error(ledger: SqlLedger, other: SqlLedger) -> None:
    """However the block ends."""

    def break_off() -> None:
        with ledger.locked("crm"):
            assert other.is_running("crm")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        break_off()

    assert not other.is_running("crm")
    with other.locked("crm"):
        pass
