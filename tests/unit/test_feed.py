"""The feed: sources through mapper and gate, judged batch by batch, at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from doubles import POLICY, CellsMapper, ListReader, SetClock
from ledgers import DAY_MS, NOW_MS, a_claim, a_request, a_run, a_uuid, send

from batchrunner.errors import SourceError
from batchrunner.gate import GatePolicy, Hold, SendNew, SendSame
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import EntryRef, Request, RunId, SkipReason, State, Unusable
from batchrunner.pipeline import Batch, Input, PlainGate, feed
from batchrunner.pipeline.admission import Judgement

SEND = Judgement(SendNew())


class Open:
    """A gate that lets everything pass, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[int]]] = []

    def judge(self, source_no: int, rows: Sequence[Request | Unusable]) -> list[tuple[Request, Judgement] | Unusable]:
        """Send."""
        self.asked.append((source_no, [one.row.number for one in rows]))
        return [one if isinstance(one, Unusable) else (one, SEND) for one in rows]


def people(count: int) -> list[tuple[str, str]]:
    """Rows about different people."""
    return [(f"p{number}", "x") for number in range(count)]


def inputs(*readers: ListReader) -> list[Input]:
    """Open sources."""
    return [Input(reader, CellsMapper()) for reader in readers]


def rows_of(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    """Source and number of every row."""
    return [
        (batch.source_no, (one if isinstance(one, Unusable) else one[0]).row.number)
        for batch in batches
        for one in batch.judged
    ]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, [(1, n) for n in range(1, 8)] + [(2, n) for n in range(1, 4)]),
        (1, [(1, 1)]),
        (5, [(1, n) for n in range(1, 6)]),
        (6, [(1, n) for n in range(1, 7)]),
        (7, [(1, n) for n in range(1, 8)]),
        (9, [(1, n) for n in range(1, 8)] + [(2, 1), (2, 2)]),
        (99, [(1, n) for n in range(1, 8)] + [(2, n) for n in range(1, 4)]),
    ],
)
def test_a_limit_counts_rows_over_all_chunks_and_sources(limit: int | None, expected: list[tuple[int, int]]) -> None:
    """The first N rows, whatever chunks, questions and files they lie in."""
    readers = ListReader(people(7), chunk_rows=5), ListReader(people(3), chunk_rows=5)
    batches = list(feed(inputs(*readers), Open(), limit, rows_a_question=2))

    assert rows_of(batches) == expected


def test_nothing_is_read_beyond_the_limit() -> None:
    """The rest of the file may be terabytes, or broken."""
    first = ListReader(people(10), chunk_rows=5, error=SourceError("beyond the limit"))
    second = ListReader(people(10))

    list(feed(inputs(first, second), Open(), 5))

    assert (first.chunks_read, second.chunks_read) == (1, 0)


def test_broken_records_stand_where_they_stand_in_the_file_and_count_for_the_limit() -> None:
    """They are rows read."""
    rows = [("a", "x"), ("broken", "x"), ("", "missing"), ("broken", "x"), ("b", "x")]
    gate = Open()

    batches = list(feed(inputs(ListReader(rows)), gate, 4))

    assert gate.asked == [(1, [1, 2, 3, 4])]
    [batch] = batches
    assert [one.code if isinstance(one, Unusable) else "sent" for one in batch.judged] == [
        "sent",
        "bad_json",
        "missing",
        "bad_json",
    ]


def test_the_gate_is_asked_as_late_as_possible() -> None:
    """One question at a time, each when its batch is wanted."""
    gate = Open()
    batches: Iterator[Batch] = feed(inputs(ListReader(people(6), chunk_rows=6)), gate, rows_a_question=4)
    assert gate.asked == []
    next(batches)
    assert gate.asked == [(1, [1, 2, 3, 4])]
    next(batches)
    assert gate.asked == [(1, [1, 2, 3, 4]), (1, [5, 6])]


def test_positions_grow_to_the_size_of_all_sources() -> None:
    """For the bar: bytes of the sources before, and of this one so far."""
    readers = ListReader(people(7), chunk_rows=5), ListReader(people(5), chunk_rows=5)
    positions = [batch.position for batch in feed(inputs(*readers), Open(), rows_a_question=5)]

    before = readers[0].source.size_bytes
    assert positions == [50, 70, before + 50]


def test_the_bytes_of_a_chunk_are_divided_among_its_questions() -> None:
    """So that the bar does not jump by a whole chunk; the last of them ends where the chunk does."""
    reader = ListReader(people(7), chunk_rows=5)
    positions = [batch.position for batch in feed(inputs(reader), Open(), rows_a_question=2)]

    assert positions == [20, 40, 50, 70]


# --- the plain gate ----------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("state", "policy", "expected"),
    [
        (State.FAILED, POLICY, Judgement(SendNew(), takes_over=(EntryRef(RunId(1), 1, 1),))),
        (
            State.IN_DOUBT,
            POLICY,
            Judgement(SendSame(), a_uuid(1), NOW_MS, doubtful=True, takes_over=(EntryRef(RunId(1), 1, 1),)),
        ),
        (
            State.ACCEPTED,
            GatePolicy(True, DAY_MS, repeat_after_ms=1),
            Judgement(SendNew(), takes_over=(EntryRef(RunId(1), 1, 1),)),
        ),
    ],
)  # fmt: skip
def test_a_claim_carries_over_what_stood_before(
    ledger: SqlLedger, state: State, policy: GatePolicy, expected: Judgement
) -> None:
    """The entry whose place it takes, and of a doubtful one its Request-ID, its age and the doubt."""
    send(ledger, a_run(ledger), a_claim(1, request_id=a_uuid(1)), to=state)
    gate = PlainGate(ledger, a_run(ledger, "run-2"), policy, SetClock(NOW_MS + 1000))
    bad = Unusable(a_request(3).row, "bad", "")

    judged = gate.judge(1, [a_request(2), a_request(1), bad])

    assert judged == [(a_request(2), SEND), (a_request(1), expected), bad]


def test_what_a_person_wants_sent_again_stays_doubtful(ledger: SqlLedger) -> None:
    """Outside the window it goes under a new id, and may still never be called failed."""
    send(ledger, a_run(ledger), a_claim(1), to=State.IN_DOUBT)
    ledger.connection.exec_driver_sql(f"UPDATE entries SET state = {int(State.RESEND)}")
    gate = PlainGate(ledger, a_run(ledger, "run-2"), POLICY, SetClock(NOW_MS + 2 * DAY_MS))

    [(_, judgement)] = gate.judge(1, [a_request(1)])  # type: ignore[misc]

    assert (judgement.decision, judgement.request_id, judgement.doubtful) == (SendNew(), None, True)


def test_rows_of_this_run_are_repeats(ledger: SqlLedger) -> None:
    """Claimed but not settled, too (trap 1)."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1), to=None)

    [(_, judgement)] = PlainGate(ledger, run, POLICY, SetClock()).judge(1, [a_request(1)])  # type: ignore[misc]

    assert judgement.decision == Hold(SkipReason.REPEAT_IN_RUN)
