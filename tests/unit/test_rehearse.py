"""Rehearsals count what a run would do, and what a changed job would send a second time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import POLICY, CellsMapper, ListReader, SetClock
from ledgers import DAY_MS, NOW_MS, a_claim, a_request, a_run, send

from batchrunner.gate import GatePolicy
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import RunId, State
from batchrunner.pipeline import Batch, Input, PlainGate, Rehearsal, feed, rehearse, sent_again

NO_RUN = RunId(0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


def rehearsed(ledger: SqlLedger, *rows: tuple[str, str], policy: GatePolicy = POLICY) -> Rehearsal:
    """A dry run over these rows, two of them a question."""
    gate = PlainGate(ledger, NO_RUN, policy, SetClock(NOW_MS + 1))
    batches = feed([Input(ListReader(rows), CellsMapper())], gate, rows_a_question=2)
    return rehearse(batches, ledger, lambda _: None)


def remember(ledger: SqlLedger, who: str, what: str, state: State, number: int) -> None:
    """One row of the past."""
    run = a_run(ledger, f"past-{number}")
    send(ledger, run, a_claim(a_request(number, who, what)), to=state)


def test_each_row_of_a_dry_run_is_counted_once(ledger: SqlLedger) -> None:
    """New people, changed rows, rows to be sent again, repeats, skips and unusable rows."""
    remember(ledger, "known", "old text", State.ACCEPTED, 1)
    remember(ledger, "done", "hello", State.ACCEPTED, 2)
    remember(ledger, "failed", "hello", State.FAILED, 3)
    remember(ledger, "doubt", "hello", State.IN_DOUBT, 4)
    remember(ledger, "refused", "hello", State.REJECTED, 5)
    remember(ledger, "failed before", "old text", State.FAILED, 6)

    found = rehearsed(
        ledger,
        ("new", "hello"),
        ("known", "new text"),
        ("done", "hello"),
        ("failed", "hello"),
        ("doubt", "hello"),
        ("refused", "hello"),
        ("failed before", "new text"),
        ("new", "hello"),
        ("done", "hello"),
        ("failed", "hello"),
        ("", "missing"),
        ("broken", ""),
    )

    assert (found.new, found.changed, found.again) == (2, 1, 2)
    assert found.skipped == {"accepted": 2, "rejected": 1, "repeat_in_run": 2}
    assert found.unusable == {"missing": 1, "bad_json": 1}
    assert found.would_send == 5
    assert found.read == 12 == found.would_send + found.skipped.total() + found.unusable.total()


def test_a_person_with_two_new_rows_is_new_twice(ledger: SqlLedger) -> None:
    """Rows are counted, not people."""
    assert rehearsed(ledger, ("ann", "x"), ("ann", "y")).new == 2


def test_forgotten_rows_would_be_sent_again(ledger: SqlLedger) -> None:
    """`repeat_after` has passed for them."""
    remember(ledger, "ann", "x", State.ACCEPTED, 1)
    found = rehearsed(ledger, ("ann", "x"), policy=GatePolicy(True, DAY_MS, repeat_after_ms=1))
    assert (found.again, found.new, found.changed) == (1, 0, 0)


def test_a_rehearsal_writes_nothing(ledger: SqlLedger) -> None:
    """Not one entry."""
    rehearsed(ledger, ("ann", "x"), ("bob", "x"))
    assert ledger.connection.exec_driver_sql("SELECT count(*) FROM entries").scalar_one() == 0


def test_the_bar_sees_each_batch(ledger: SqlLedger) -> None:
    """As it is counted."""
    seen: list[Batch] = []
    gate = PlainGate(ledger, NO_RUN, POLICY, SetClock())
    rows = [(f"p{n}", "x") for n in range(5)]
    rehearse(feed([Input(ListReader(rows), CellsMapper())], gate, rows_a_question=2), ledger, seen.append)
    assert [len(batch.judged) for batch in seen] == [2, 2, 1]


# --- the guard ---------------------------------------------------------------------------------


def counted(ledger: SqlLedger, *rows: tuple[str, str], chunks: int = 99) -> int:
    """Rows that a mapping with another word at its end sends again."""
    reader = ListReader(rows, chunk_rows=2)
    left = iter([True] * chunks)
    now = Input(reader, CellsMapper(lambda what: f"{what}!"))
    return sent_again(now, [CellsMapper()], ledger, by_person=False, go_on=lambda: next(left, False))


@pytest.mark.parametrize(
    ("state", "count"),
    [
        (State.ACCEPTED, 1),
        (State.IN_DOUBT, 1),
        (State.RESEND, 1),
        (State.CLAIMED, 1),
        (State.REJECTED, 0),
        (State.FAILED, 0),
    ],
)
def test_what_may_have_arrived_would_be_sent_again_by_a_changed_mapping(
    ledger: SqlLedger, state: State, count: int
) -> None:
    """What certainly had no effect is no repeat."""
    remember(ledger, "ann", "x", State.FAILED, 1)
    ledger.connection.exec_driver_sql(f"UPDATE entries SET state = {int(state)}")

    assert counted(ledger, ("ann", "x"), ("new", "x"), ("", "missing"), ("broken", "")) == count


def test_what_arrived_under_the_new_mapping_too_is_not_sent_again(ledger: SqlLedger) -> None:
    """It would be held back."""
    remember(ledger, "ann", "x", State.ACCEPTED, 1)
    remember(ledger, "ann", "x!", State.ACCEPTED, 2)
    remember(ledger, "bob", "x", State.ACCEPTED, 3)
    remember(ledger, "bob", "x!", State.FAILED, 4)

    assert counted(ledger, ("ann", "x"), ("bob", "x")) == 1


def test_a_mapping_that_changes_no_payload_sends_nothing_again(ledger: SqlLedger) -> None:
    """The keys are the same."""
    remember(ledger, "ann", "x", State.ACCEPTED, 1)
    same = Input(ListReader([("ann", "x")]), CellsMapper())

    assert sent_again(same, [same.mapper], ledger, by_person=False, go_on=lambda: True) == 0


def test_every_earlier_mapping_counts_and_a_row_only_once(ledger: SqlLedger) -> None:
    """Sent under the first of two earlier mappings, or under both."""
    remember(ledger, "ann", "x", State.ACCEPTED, 1)
    remember(ledger, "bob", "x", State.ACCEPTED, 2)
    remember(ledger, "bob", "x?", State.ACCEPTED, 3)
    now = Input(ListReader([("ann", "x"), ("bob", "x"), ("new", "x")]), CellsMapper(lambda what: f"{what}!"))
    before = [CellsMapper(), CellsMapper(lambda what: f"{what}?")]

    assert sent_again(now, before, ledger, by_person=False, go_on=lambda: True) == 2


def test_where_rows_cannot_be_compared_known_people_count(ledger: SqlLedger) -> None:
    """An earlier job that read the file otherwise: whoever got something, and would get something new, is counted."""
    remember(ledger, "ann", "as it was read then", State.ACCEPTED, 1)
    now = Input(ListReader([("ann", "x"), ("new", "x")]), CellsMapper())

    assert sent_again(now, [], ledger, by_person=True, go_on=lambda: True) == 1


def test_counting_stops_when_it_is_told_to(ledger: SqlLedger) -> None:
    """A signal, in the middle of a long file."""
    for number, who in enumerate("abcdef", start=1):
        remember(ledger, who, "x", State.ACCEPTED, number)
    rows = [(who, "x") for who in "abcdef"]

    assert counted(ledger, *rows) == 6
    assert counted(ledger, *rows, chunks=2) == 4
    assert counted(ledger, *rows, chunks=0) == 0
