"""Admission: no key twice, nobody twice at once, everybody in file order, all in bounded memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import a_request, who_of

from batchrunner.gate import Decision, Hold
from batchrunner.model import Key, Row, SkipReason, Unusable
from batchrunner.pipeline import Admission, Batch, admission
from batchrunner.pipeline.admission import NEW, Candidate, Judged, Judgement, Taken

SEND = NEW
AS_NEW = Judgement(NEW.decision)
"""Says the same, and is not known for it at a glance: such rows are looked at one by one."""
Asked = tuple[str, str]


def a_batch(*judged: tuple[int, str, str] | Unusable, source_no: int = 1, decision: Decision | None = None) -> Batch:
    """Rows as (number, who, what), all judged alike."""
    judgement = Judgement(decision) if decision else SEND
    rows = [one if isinstance(one, Unusable) else (a_request(*one), judgement) for one in judged]
    return Batch(source_no, rows, 100)


def admitting(*batches: Batch) -> Admission:
    """Admission of given batches."""
    return Admission(iter(batches))


def numbers(candidates: Iterable[Candidate]) -> list[int]:
    """Their rows."""
    return [candidate.request.row.number for candidate in candidates]


def skipped(taken: Taken) -> list[tuple[int, str]]:
    """Rows that were held back, and why."""
    return [(one.request.row.number, one.reason.value) for one in taken.skipped]


REPEAT = SkipReason.REPEAT_IN_RUN.value


# --- repeats (trap 1) --------------------------------------------------------------------------


def test_a_repeat_in_the_same_batch_is_held_back() -> None:
    """The gate judged both before either was claimed."""
    taken = admitting(a_batch((1, "ann", "x"), (2, "bob", "x"), (3, "ann", "x"))).take(10)

    assert numbers(taken.candidates) == [1, 2]
    assert skipped(taken) == [(3, REPEAT)]


def test_a_repeat_in_the_next_batch_is_held_back_while_the_first_is_not_claimed() -> None:
    """The ledger cannot know it yet, so the gate said: send."""
    admits = admitting(a_batch((1, "ann", "x")), a_batch((2, "ann", "x")))
    assert numbers(admits.take(10).candidates) == [1]

    assert skipped(admits.take(10)) == [(2, REPEAT)]


@pytest.mark.parametrize("landed", [False, True])
def test_a_repeat_that_was_judged_before_the_claim_is_held_back_after_it(landed: bool) -> None:
    """In flight or landed by then: its judgement is older than the claim."""
    admits = admitting(a_batch((1, "ann", "x"), (2, "ann", "x"), (3, "ann", "x")))
    first = admits.take(1)
    admits.claimed(first.candidates)
    if landed:
        admits.landed(who_of("ann"))

    second = admits.take(1)
    assert second.candidates == []
    assert skipped(first) + skipped(second) == [(2, REPEAT), (3, REPEAT)]


def test_a_repeat_of_a_row_that_waits_for_its_turn_is_held_back() -> None:
    """The first of its key has not even been given out."""
    admits = admitting(a_batch((1, "ann", "x"), (2, "ann", "y")), a_batch((3, "ann", "y")))
    assert numbers(admits.take(10).candidates) == [1]
    assert admits.waiting == 1

    assert skipped(admits.take(10)) == [(3, REPEAT)]


def test_once_claimed_the_gate_alone_decides_about_later_batches() -> None:
    """It may know better: what was accepted may be forgotten, what failed may go again."""
    admits = admitting(a_batch((1, "ann", "x")), a_batch((2, "ann", "x")))
    admits.claimed(admits.take(10).candidates)
    admits.landed(who_of("ann"))

    assert numbers(admits.take(10).candidates) == [2]


def test_the_gates_own_reason_is_told() -> None:
    """Reasons are counted apart (trap 2), and a held row blocks nobody."""
    admits = admitting(
        a_batch((1, "ann", "x"), decision=Hold(SkipReason.WINDOW)), a_batch((2, "ann", "x"), (3, "ann", "y"))
    )
    assert skipped(admits.take(10)) == [(1, "window")]
    assert numbers(admits.take(10).candidates) == [2]


# --- one person at a time ----------------------------------------------------------------------


def test_nobody_flies_twice_and_everybody_goes_in_file_order() -> None:
    """A row waits until the one before it about the same person has landed."""
    admits = admitting(a_batch((1, "ann", "x"), (2, "bob", "x"), (3, "ann", "y"), (4, "ann", "z"), (5, "bob", "y")))
    assert numbers(admits.take(10).candidates) == [1, 2]
    assert admits.waiting == 3

    admits.landed(who_of("ann"))
    assert numbers(admits.take(10).candidates) == [3]
    admits.landed(who_of("bob"))
    admits.landed(who_of("ann"))
    assert numbers(admits.take(10).candidates) == [5, 4]
    assert admits.waiting == 0


def test_who_waits_goes_before_what_is_read_later() -> None:
    """And room bounds both together."""
    admits = admitting(a_batch((1, "ann", "x"), (2, "ann", "y"), (3, "bob", "x"), (4, "cid", "x")))
    assert numbers(admits.take(1).candidates) == [1]
    assert numbers(admits.take(1).candidates) == [3]
    admits.landed(who_of("ann"))

    assert numbers(admits.take(2).candidates) == [2, 4]
    assert admits.take(0).candidates == []


def test_a_person_who_has_landed_flies_again_at_once() -> None:
    """Nobody waits for a person who is not in the air."""
    admits = admitting(a_batch((1, "ann", "x")), a_batch((2, "ann", "y")))
    admits.claimed(admits.take(1).candidates)
    admits.landed(who_of("ann"))

    assert numbers(admits.take(1).candidates) == [2]


def test_a_file_about_one_person_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many wait for their turn, reading pauses, and goes on when somebody lands."""
    monkeypatch.setattr(admission, "PARKED_AT_MOST", 3)
    pulled = []

    def batches() -> Iterator[Batch]:
        for number in range(1, 21):
            pulled.append(number)
            yield a_batch((number, "ann", f"x{number}"))

    admits = Admission(batches())
    given: list[int] = []
    while admits.can_go_on:
        given += numbers(admits.take(10).candidates)
    assert (given, admits.waiting, pulled) == ([1], 3, [1, 2, 3, 4])

    while len(given) < 20:
        admits.landed(who_of("ann"))
        assert admits.can_go_on
        while admits.can_go_on:
            given += numbers(admits.take(10).candidates)
        assert admits.waiting <= 3
    assert given == list(range(1, 21))
    assert admits.exhausted


# --- reading -----------------------------------------------------------------------------------


def test_a_batch_is_asked_for_only_when_there_is_room_for_it() -> None:
    """Each is judged at the moment it is pulled: the later, the more the ledger knows."""
    pulled = []

    def batches() -> Iterator[Batch]:
        for number in range(3):
            pulled.append(number)
            yield a_batch((2 * number + 1, f"p{number}", "x"), (2 * number + 2, f"q{number}", "x"))

    admits = Admission(batches())
    assert pulled == []
    admits.take(1)
    assert pulled == [0]
    admits.take(1)
    assert pulled == [0]
    admits.take(5)
    assert pulled == [0, 1]
    admits.take(5)
    assert not admits.exhausted
    admits.take(5)
    assert admits.exhausted
    assert not admits.can_go_on


def test_rows_that_cannot_be_sent_come_with_their_source() -> None:
    """And take no room."""
    broken = [Unusable(Row(number, number, "x"), "bad_json", "") for number in (1, 3)]
    taken = admitting(a_batch(broken[0], (2, "ann", "x"), broken[1], (4, "bob", "x"), source_no=7)).take(2)

    assert taken.unusable == [(7, broken[0]), (7, broken[1])]
    assert [(one.source_no, one.request.row.number) for one in taken.candidates] == [(7, 2), (7, 4)]
    assert bool(taken)
    assert not Taken()


def test_the_position_is_that_of_the_newest_batch() -> None:
    """For the bar."""
    admits = admitting(Batch(1, [], 11), Batch(1, [], 22))
    assert [admits.position, admits.take(1) and 0, admits.position] == [0, Taken(), 11]
    admits.take(1)
    admits.take(1)
    assert (admits.position, admits.exhausted) == (22, True)


# --- all of it ---------------------------------------------------------------------------------


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("xyz")), max_size=40),
    batch_rows=st.integers(1, 7),
    choices=st.lists(st.integers(0, 50), min_size=1, max_size=50),
    send=st.sampled_from([NEW, AS_NEW]),
)
def test_in_whatever_order_answers_come_every_row_ends_once(
    rows: Sequence[Asked], batch_rows: int, choices: Sequence[int], send: Judgement
) -> None:
    """Against a gate that knows claims of this run: no key twice, nobody twice at once, everybody in file order."""
    ledger: set[Key] = set()
    requests = [a_request(number, *asked) for number, asked in enumerate(rows, start=1)]

    def batches() -> Iterator[Batch]:
        for start in range(0, len(requests), batch_rows):
            part = requests[start : start + batch_rows]
            hold = Judgement(Hold(SkipReason.REPEAT_IN_RUN))
            yield Batch(1, [(one, hold if one.key in ledger else send) for one in part], start)

    admits = Admission(batches())
    flying: list[Candidate] = []
    sent: list[Candidate] = []
    held: list[int] = []
    step = 0
    while not (admits.exhausted and not flying and not admits.waiting):
        choice = choices[step % len(choices)]
        step += 1
        taken = admits.take(1 + choice % 5)
        flying += taken.candidates
        sent += taken.candidates
        held += [one.request.row.number for one in taken.skipped]
        ledger.update(one.request.key for one in taken.candidates)
        admits.claimed(taken.candidates)
        who_flies = [one.request.who for one in flying]
        assert len(who_flies) == len(set(who_flies))
        if flying and (choice % 3 or not taken.candidates):
            admits.all_landed([flying.pop(choice % len(flying)).request.who])

    assert sorted(numbers(sent) + held) == list(range(1, len(rows) + 1))
    assert {one.request.key for one in sent} == {request.key for request in requests}
    assert len({one.request.key for one in sent}) == len(sent)
    by_person = defaultdict(list)
    for one in sent:
        by_person[one.request.who].append(one.request.row.number)
    assert all(order == sorted(order) for order in by_person.values())
    first = {request.key: request.row.number for request in reversed(requests)}
    assert sorted(numbers(sent)) == sorted(first.values())


@given(
    rows=st.lists(st.none() | st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xy")), max_size=40),
    batch_rows=st.integers(1, 20),
    choices=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=20),
)
def test_new_rows_are_admitted_together_as_they_are_one_by_one(
    rows: Sequence[Asked | None], batch_rows: int, choices: Sequence[tuple[int, int]]
) -> None:
    """At each step the same candidates, the same repeats and the same unusable rows, in the same order."""

    def steps(send: Judgement) -> list[tuple[list[int], list[tuple[int, str]], list[int], int, bool, int]]:
        judged: list[Judged] = [
            (a_request(number, *asked), send) if asked else Unusable(Row(number, number, ("x",)), "missing", "is empty")
            for number, asked in enumerate(rows, start=1)
        ]
        parts = range(0, len(judged), batch_rows)
        admits = Admission(iter([Batch(1, judged[at : at + batch_rows], at + batch_rows) for at in parts]))
        flying: list[Candidate] = []
        seen = []
        for room, landing in choices:
            taken = admits.take(room)
            unusable = [one.row.number for _, one in taken.unusable]
            state = admits.position, admits.can_go_on, admits.waiting
            seen.append((numbers(taken.candidates), skipped(taken), unusable, *state))
            if landing % 2:  # or they are claimed later, as rows that wait for company
                admits.claimed(taken.candidates)
                flying += taken.candidates
            admits.all_landed([one.request.who for one in flying[:landing]])
            del flying[:landing]
        return seen

    assert steps(NEW) == steps(AS_NEW)
