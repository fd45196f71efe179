"""What every ledger can tell and change outside a run."""

from __future__ import annotations

import pytest
from ledgers import NOW_MS, a_claim, a_request, a_run, a_source, a_uuid, ends, key_of, refs, send, totals_of

from batchrunner.errors import UsageError
from batchrunner.ledger import History, Place, SqlLedger, Wanted
from batchrunner.model import InDoubt, Rejected, Source, State

ALL = frozenset({State.REJECTED, State.FAILED, State.IN_DOUBT, State.RESEND})


# --- runs --------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(ledger: SqlLedger, history: History) -> None:
    """Of one job or of all, and no more than asked for."""
    for name, job in (("a-1", "a"), ("b-1", "b"), ("a-2", "a"), ("a-3", "a")):
        a_run(ledger, name, job=job)

    assert [run.name for run in history.runs()] == ["a-3", "a-2", "b-1", "a-1"]
    assert [run.name for run in history.runs("a", limit=2)] == ["a-3", "a-2"]
    assert history.runs("c") == []
    assert history.jobs() == ["a", "b"]


def test_a_run_is_found_by_any_unambiguous_beginning_of_its_name(ledger: SqlLedger, history: History) -> None:
    """Among the runs of the job, if one is named."""
    a_run(ledger, "2025-aa11", job="a")
    a_run(ledger, "2025-bb22", job="b")

    assert history.run("2025-aa").name == "2025-aa11"
    assert history.run("2025", "b").name == "2025-bb22"


def test_the_last_run_is_the_jobs_newest(ledger: SqlLedger, history: History) -> None:
    """Not another job's."""
    for name, job in (("a-1", "a"), ("a-2", "a"), ("b-1", "b")):
        a_run(ledger, name, job=job)

    assert history.run("last").name == "b-1"
    assert history.run("last", "a").name == "a-2"


@pytest.mark.parametrize(
    ("name", "job", "sentence"),
    [
        ("2025", None, "'2025' is the beginning of several runs; write more of the name"),
        ("2025", "a", "'2025' is the beginning of several runs of job a"),
        ("2026", None, "there is no run '2026'; 'batchrunner runs' lists them"),
        ("2025-b", "a", "there is no run '2025-b' of job a"),
        ("last", "c", "there is no run 'last' of job c"),
        ("%", None, "there is no run '%'"),
        ("2025_", None, "there is no run '2025_'"),
    ],
)
def test_a_name_that_is_not_one_run_is_refused(
    ledger: SqlLedger, history: History, name: str, job: str | None, sentence: str
) -> None:
    """Unknown and ambiguous are two sentences; signs that mean something in SQL mean themselves."""
    for run_name, of_job in (("2025-a1", "a"), ("2025-a2", "a"), ("2025-b1", "b")):
        a_run(ledger, run_name, job=of_job)

    with pytest.raises(UsageError) as caught:
        history.run(name, job)
    assert sentence in str(caught.value)


def test_entries_of_a_run_come_in_file_order(ledger: SqlLedger, history: History) -> None:
    """Only those that stand as asked, source by source, and no more than the limit."""
    run = a_run(ledger, read=(a_source("a"), a_source("b")))
    send(ledger, run, a_claim(a_request(1, "z"), source_no=2), a_claim(9), a_claim(3), to=State.REJECTED)
    send(ledger, run, a_claim(4))

    found = history.entries(run, [State.REJECTED, State.FAILED], 10)
    assert [(entry.source_no, entry.row_number) for entry in found] == [(1, 3), (1, 9), (2, 1)]
    assert len(history.entries(run, [State.REJECTED], 2)) == 2


# --- unfinished business -----------------------------------------------------------------------


def test_unfinished_rows_are_counted_by_state_and_code(ledger: SqlLedger, history: History) -> None:
    """Open claims, accepted rows, rows taken over and other jobs do not wait for anything."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1), a_claim(2), to=State.REJECTED)
    send(ledger, run, a_claim(3), to=State.IN_DOUBT)
    send(ledger, run, a_claim(4))
    send(ledger, run, a_claim(5), to=None)
    send(ledger, a_run(ledger, "theirs", job="other"), a_claim(6), to=State.FAILED)
    later = a_run(ledger, "run-2")
    send(ledger, later, a_claim(a_request(7, "person-1"), takes_over=refs(run, 1)))

    assert history.unfinished_counts("crm") == {
        (State.REJECTED, "304"): 1,
        (State.IN_DOUBT, "read_timeout"): 1,
    }


def test_unfinished_business_gathers_one_file_over_several_runs(ledger: SqlLedger, history: History) -> None:
    """By fingerprint: the file may have moved between runs, and its newest path is told."""
    export, other = a_source("export.csv"), a_source("other.csv")
    moved = Source("/moved/export.csv", export.fingerprint, export.size_bytes)
    first = a_run(ledger, "run-1", read=(export,))
    send(ledger, first, a_claim(1), a_claim(2), to=State.REJECTED)
    second = a_run(ledger, "run-2", read=(other, moved))
    send(ledger, second, a_claim(a_request(1, "x")), to=State.FAILED)
    send(ledger, second, a_claim(a_request(5, "y"), source_no=2), to=State.IN_DOUBT)
    send(ledger, a_run(ledger, "run-3", read=(a_source("fine.csv"),)), a_claim(9))

    found = history.unfinished("crm", Wanted(ALL))

    assert [(one.source, one.rows, one.places) for one in found] == [
        (moved, 3, (Place(first, 1), Place(second, 2))),
        (other, 1, (Place(second, 1),)),
    ]
    assert history.unfinished("other job", Wanted(ALL)) == []


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Wanted(ALL), {1, 2, 3, 4}),
        (Wanted(frozenset({State.REJECTED})), {1, 2}),
        (Wanted(ALL, frozenset({"304", "connect"})), {1, 3}),
        (Wanted(frozenset({State.FAILED}), frozenset({"304"})), set()),
    ],
)
def test_rows_are_wanted_by_state_and_code(ledger: SqlLedger, history: History, wanted: Wanted, rows: set[int]) -> None:
    """All conditions hold at once; accepted rows and open claims are never wanted."""
    run = a_run(ledger)
    claims = {number: a_claim(number) for number in range(1, 7)}
    ledger.exchange(run, [], list(claims.values()), totals_of(6))
    ledger.exchange(
        run,
        [
            ends(claims[1], State.REJECTED),
            ends(claims[2], Rejected("999", "")),
            ends(claims[3], State.FAILED),
            ends(claims[4], State.IN_DOUBT),
            ends(claims[5]),
        ],
        [],
        totals_of(6),
    )

    assert set(history.wanted_rows([Place(run, 1)], 1, 100, wanted)) == rows
    assert sum(one.rows for one in history.unfinished("crm", wanted)) == len(rows)


def test_wanted_rows_are_asked_for_range_by_range(ledger: SqlLedger, history: History) -> None:
    """Both ends belong to the range; keys and standings come along, and other places do not."""
    run = a_run(ledger, read=(a_source("a"), a_source("b")))
    send(ledger, run, *(a_claim(number, request_id=a_uuid(number)) for number in range(1, 10)), to=State.FAILED)
    send(ledger, run, a_claim(a_request(5, "elsewhere"), source_no=2), to=State.FAILED)

    found = history.wanted_rows([Place(run, 1)], 3, 5, Wanted(ALL))

    assert list(found) == [3, 4, 5]
    key, standing = found[5]
    assert (key, standing.ref, standing.request_id) == (a_request(5).key, refs(run, 5)[0], a_uuid(5))


def test_rows_of_one_run_are_wanted_without_those_of_another(ledger: SqlLedger, history: History) -> None:
    """`--run` narrows what is wanted."""
    first, second = a_run(ledger, "run-1"), a_run(ledger, "run-2")
    send(ledger, first, a_claim(1), to=State.FAILED)
    send(ledger, second, a_claim(2), to=State.FAILED)
    places = [Place(first, 1), Place(second, 1)]

    assert set(history.wanted_rows(places, 1, 9, Wanted(ALL, run=first))) == {1}
    assert set(history.wanted_rows(places, 1, 9, Wanted(ALL))) == {1, 2}
    [business] = history.unfinished("crm", Wanted(ALL, run=second))
    assert (business.rows, business.places) == (1, (Place(second, 1),))


def test_rows_are_wanted_only_of_runs_that_sent_there(ledger: SqlLedger, history: History) -> None:
    """What one platform refused is not to be sent to another."""
    first = a_run(ledger, "run-1", installation="https://a")
    sent_there = a_run(ledger, "run-2", installation="https://b")
    send(ledger, first, a_claim(1), to=State.FAILED)
    send(ledger, sent_there, a_claim(2), to=State.FAILED)
    wanted = Wanted(ALL, installation="https://b")

    assert set(history.wanted_rows([Place(first, 1), Place(sent_there, 1)], 1, 9, wanted)) == {2}
    assert [one.rows for one in history.unfinished("crm", wanted)] == [1]
    assert history.resolve(wanted, (), State.FAILED) == 1


def test_of_two_entries_of_one_row_the_newest_is_wanted(ledger: SqlLedger, history: History) -> None:
    """The job's mapping changed in between, so the row has two keys."""
    first, second = a_run(ledger, "run-1"), a_run(ledger, "run-2")
    send(ledger, first, a_claim(a_request(1, "ann", "old")), to=State.REJECTED)
    send(ledger, second, a_claim(a_request(1, "ann", "new")), to=State.REJECTED)

    found = history.wanted_rows([Place(second, 1), Place(first, 1)], 1, 1, Wanted(ALL))

    assert found[1][0] == key_of("ann", "new")


def test_stale_entries_are_taken_over_without_sending(ledger: SqlLedger, history: History) -> None:
    """Nobody waits for them any more; their neighbours still wait."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1), a_claim(2), to=State.REJECTED)

    history.take_over(refs(run, 1), a_run(ledger, "run-2"))

    assert history.unfinished_counts("crm") == {(State.REJECTED, "304"): 1}
    assert set(ledger.standing([a_request(1).key, a_request(2).key])) == {a_request(2).key}


# --- a person decides --------------------------------------------------------------------------


@pytest.mark.parametrize("decision", [State.ACCEPTED, State.FAILED, State.RESEND])
def test_a_person_decides_about_rows_in_doubt(
    ledger: SqlLedger, other: SqlLedger, history: History, decision: State
) -> None:
    """All of a run that were asked for, and not the rejected ones, nor those of another run."""
    run, later = a_run(ledger), a_run(ledger, "run-2")
    send(ledger, run, a_claim(1), a_claim(2), to=State.IN_DOUBT)
    send(ledger, run, a_claim(3), to=State.REJECTED)
    send(ledger, later, a_claim(4), to=State.IN_DOUBT)

    changed = history.resolve(Wanted(frozenset({State.IN_DOUBT, State.RESEND}), run=run), (), decision)

    assert changed == 2
    assert other.count_states(run) == {decision: 2, State.REJECTED: 1}
    assert other.count_states(later) == {State.IN_DOUBT: 1}


def test_a_person_decides_about_single_rows_and_codes(ledger: SqlLedger, history: History) -> None:
    """Both narrow the decision."""
    run = a_run(ledger)
    claims = [a_claim(number) for number in (1, 2, 3)]
    send(ledger, run, *claims, to=None)
    codes = ("read_timeout", "reset", "reset")
    settled = [ends(claim, InDoubt(code, "")) for claim, code in zip(claims, codes, strict=True)]
    ledger.exchange(run, settled, [], totals_of(3, settled))
    doubtful = frozenset({State.IN_DOUBT})

    assert history.resolve(Wanted(doubtful, frozenset({"reset"}), run), (1, 2), State.ACCEPTED) == 1
    assert history.resolve(Wanted(doubtful, run=run), (2,), State.FAILED) == 0
    assert history.resolve(Wanted(doubtful, run=run), (), State.FAILED) == 2
    assert ledger.count_states(run) == {State.ACCEPTED: 1, State.FAILED: 2}


def test_a_row_that_was_sent_again_is_not_decided_about(ledger: SqlLedger, history: History) -> None:
    """Its new entry stands for it; the old one is history."""
    first, second = a_run(ledger, "run-1"), a_run(ledger, "run-2")
    send(ledger, first, a_claim(1), to=State.IN_DOUBT)
    send(ledger, second, a_claim(1, takes_over=refs(first, 1), at_ms=NOW_MS))

    assert history.resolve(Wanted(frozenset({State.IN_DOUBT}), run=first), (), State.RESEND) == 0
    assert ledger.count_states(first) == {State.IN_DOUBT: 1}
