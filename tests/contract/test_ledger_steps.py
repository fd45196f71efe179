"""What the ledger keeps of rows that go in steps, and of people who were engaged."""

from __future__ import annotations

import sqlite3

import pytest
from ledgers import NOW_MS, Backend, a_claim, a_request, a_run, a_uuid, end, ends, refs, totals_of, who_of
from msgspec.structs import replace

from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.ledger.copies import backup
from batchrunner.ledger.purging import Purge
from batchrunner.ledger.repairing import repair
from batchrunner.model import (
    Claim,
    Engaged,
    EntryRef,
    Importing,
    Key,
    RunId,
    Starting,
    State,
    Step,
    Updating,
    Who,
)
from batchrunner.ports import Onward

LONG_ID = "x" * 200
"""The next request is about this very profile: what is kept of it must be whole."""


def begin(ledger: SqlLedger, run: RunId, *claims: Claim) -> None:
    """Claim them, at their steps."""
    ledger.exchange(run, [], claims, totals_of(len(claims)), Onward())


def go_on(ledger: SqlLedger, run: RunId, *claims: Claim) -> None:
    """They were imported, and are about to be started."""
    ledger.exchange(run, [], [], totals_of(len(claims)), Onward(claims))


def settle(ledger: SqlLedger, run: RunId, claim: Claim, state: State) -> None:
    """The row has ended."""
    settled = [ends(claim, state)]
    ledger.exchange(run, settled, [], totals_of(1, settled), Onward())


def step_of(ledger: SqlLedger, key: Key) -> Step | None:
    """At which step the live entry of a key stands."""
    standing = ledger.standing([key])[key]
    return ledger.steps([standing]).get(standing.ref)


@pytest.mark.parametrize("step", [Importing(), Importing(doubtful=True), Starting(LONG_ID), Updating(), None])
def test_a_claim_is_known_with_its_step(ledger: SqlLedger, other: SqlLedger, step: Step | None) -> None:
    """By others, when exchange returns: a claim without its step would be taken for the job's call."""
    claim = a_claim(7, step=step)
    begin(ledger, a_run(ledger), claim)
    assert step_of(other, claim.request.key) == step


def test_the_second_step_is_claimed_together_with_what_the_first_has_told(ledger: SqlLedger, other: SqlLedger) -> None:
    """Step, profile id and Request-ID are one: another Request-ID's step does not count."""
    run, claim = a_run(ledger), a_claim(7, request_id=a_uuid(1), step=Importing())
    begin(ledger, run, claim)
    go_on(ledger, run, replace(claim, request_id=a_uuid(2), step=Starting(LONG_ID), requested_at_ms=NOW_MS + 5_000))
    standing = other.standing([claim.request.key])[claim.request.key]
    assert (standing.request_id, standing.requested_at_ms) == (a_uuid(2), NOW_MS + 5_000)
    assert other.steps([standing]) == {EntryRef(run, 1, 7): Starting(LONG_ID)}
    assert other.steps([replace(standing, request_id=a_uuid(1))]) == {}


@pytest.mark.parametrize("state", [State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT])
def test_a_step_is_forgotten_when_its_row_has_ended(ledger: SqlLedger, state: State) -> None:
    """In doubt, it has not."""
    run, claim = a_run(ledger), a_claim(7, step=Starting("5f"))
    begin(ledger, run, claim)
    settle(ledger, run, claim, state)
    assert step_of(ledger, claim.request.key) == (Starting("5f") if state is State.IN_DOUBT else None)


def test_a_claim_that_takes_a_place_takes_the_step_with_it(ledger: SqlLedger) -> None:
    """Of the entry before it nobody asks any more."""
    first, second = a_run(ledger, "first"), a_run(ledger, "second")
    claim = a_claim(7, step=Importing())
    begin(ledger, first, claim)
    begin(ledger, second, replace(claim, step=Importing(doubtful=True), takes_over=refs(first, 7)))
    assert step_of(ledger, claim.request.key) == Importing(doubtful=True)
    rows = ledger.connection.exec_driver_sql("SELECT run_id FROM steps").all()
    assert rows == [(second,)]


def test_steps_of_many_entries_are_asked_for_at_once(ledger: SqlLedger) -> None:
    """Of several sources and runs, known and unknown."""
    asked = []
    for name in ("first", "second"):
        run = a_run(ledger, name)
        claims = [
            a_claim(a_request(number, f"{name}-{source_no}-{number}"), source_no=source_no, step=Importing())
            for source_no in (1, 2)
            for number in range(1, 600)
        ]
        begin(ledger, run, *claims)
        asked += [claim.request.key for claim in claims]
    standing = ledger.standing(asked)
    assert set(ledger.steps(standing.values()).values()) == {Importing()}
    assert len(ledger.steps(standing.values())) == len(asked)


def test_an_update_is_told_from_an_engagement_for_ever(ledger: SqlLedger, backend: Backend) -> None:
    """By its code."""
    run, claim = a_run(ledger), a_claim(1, step=Updating())
    begin(ledger, run, claim)
    settle(ledger, run, claim, State.ACCEPTED)
    with sqlite3.connect(backend.url) as database:
        assert database.execute("SELECT state, code FROM entries").fetchall() == [(State.ACCEPTED, "updated")]


# --- people ----------------------------------------------------------------------------------------


def known(ledger: SqlLedger, since_ms: int = 0) -> Engaged | None:
    """What is known of Ann, beside people who are next to her or nobody."""
    found = ledger.engaged([who_of("ann"), who_of("bob"), Who(bytes(8)), Who(b"\xff" * 8)], since_ms)
    assert not found.keys() - {who_of("ann")}
    return found.get(who_of("ann"))


@pytest.mark.parametrize(
    ("step", "state", "engaged"),
    [
        (None, State.ACCEPTED, Engaged.CERTAINLY),
        (Starting("5f"), State.ACCEPTED, Engaged.CERTAINLY),
        (Updating(), State.ACCEPTED, None),
        (None, State.REJECTED, None),
        (None, State.FAILED, None),
        (None, State.IN_DOUBT, Engaged.PERHAPS),
        (Starting("5f"), State.IN_DOUBT, Engaged.PERHAPS),
        (Importing(), State.IN_DOUBT, None),
        (Importing(doubtful=True), State.IN_DOUBT, Engaged.PERHAPS),
        (Updating(), State.IN_DOUBT, None),
    ],
)
def test_who_was_engaged_is_known_by_what_was_accepted(
    ledger: SqlLedger, step: Step | None, state: State, engaged: Engaged | None
) -> None:
    """And who may have been, by what is in doubt; imports engage nobody."""
    run, claim = a_run(ledger), a_claim(a_request(1, "ann"), step=step)
    begin(ledger, run, claim)
    assert (known(ledger) is None) == (step in {Importing(), Updating()})
    settle(ledger, run, claim, state)
    assert known(ledger) == engaged


def test_what_is_certain_outweighs_what_is_not(ledger: SqlLedger) -> None:
    """Somebody who was engaged stays so, whatever is in doubt beside it; and an entry that was replaced is history."""
    run = a_run(ledger)
    first, second = a_claim(a_request(1, "ann", "a")), a_claim(a_request(2, "ann", "b"))
    begin(ledger, run, first, second)
    settle(ledger, run, first, State.ACCEPTED)
    assert known(ledger) is Engaged.CERTAINLY
    later = a_run(ledger, "later")
    begin(ledger, later, replace(first, takes_over=refs(run, 1, 2)))
    settle(ledger, later, first, State.FAILED)
    assert known(ledger) is None


def test_who_was_engaged_long_ago_is_forgotten_as_rows_are(ledger: SqlLedger) -> None:
    """`repeat_after` bounds the memory of people, too."""
    run, claim = a_run(ledger), a_claim(a_request(1, "ann"))
    begin(ledger, run, claim)
    settle(ledger, run, claim, State.ACCEPTED)
    assert known(ledger, NOW_MS - 1_000) is Engaged.CERTAINLY
    assert known(ledger, NOW_MS + 1_000) is None


# --- beside runs -----------------------------------------------------------------------------------


def test_a_purge_keeps_the_steps_of_rows_in_doubt(ledger: SqlLedger) -> None:
    """Those of rows that a person has decided about go."""
    run = a_run(ledger)
    doubtful, decided = a_claim(1, step=Starting("5f")), a_claim(2, step=Starting("5f"))
    begin(ledger, run, doubtful, decided)
    settle(ledger, run, doubtful, State.IN_DOUBT)
    settle(ledger, run, decided, State.IN_DOUBT)
    ledger.connection.exec_driver_sql("UPDATE entries SET state = 3 WHERE row_number = 2")
    ledger.connection.commit()
    end(ledger, run)
    a_run(ledger, "newest")
    Purge(ledger, "crm", NOW_MS + 10_000, None).go()
    assert ledger.connection.exec_driver_sql("SELECT row_number FROM steps").all() == [(1,)]
    assert step_of(ledger, doubtful.request.key) == Starting("5f")


def test_a_copy_knows_steps(ledger: SqlLedger, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a repair salvages is every table."""
    run, claim = a_run(ledger), a_claim(7, step=Starting("5f"))
    begin(ledger, run, claim)
    settle(ledger, run, claim, State.IN_DOUBT)
    end(ledger, run)
    copy = tmp_path_factory.mktemp("copy") / "copy.db"
    backup(ledger, copy)
    ledger.close()
    repair(copy, None, "20261124")
    with open_ledger(str(copy)) as repaired:
        assert step_of(repaired, claim.request.key) == Starting("5f")
