"""Stretches: a file that comes again is passed over in large steps, and ends as it does row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from doubles import POLICY, Bench, Cells, CellsMapper, ListReader, ScriptedSubmitter, SetClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import a_claim, a_request, a_run, end, send
from msgspec.structs import replace

from batchrunner.chunks import Chunk
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.ledger.purging import Purge
from batchrunner.ledger.repairing import repair
from batchrunner.model import Claim, Row, RunId, Span, State, Stretch
from batchrunner.pipeline import Input, PlainGate, Stretches, feed
from batchrunner.pipeline.stretches import MOST_SPANS, merged, spans_of

pytestmark = pytest.mark.timeout(120)

PEOPLE: list[Cells] = [(f"person-{number}", "hello") for number in range(1, 21)]


def noted(ledger: SqlLedger) -> int:
    """Stretches that the ledger remembers."""
    count: int = ledger.connection.exec_driver_sql("SELECT count(*) FROM stretches").scalar_one()
    return count


def known_rows(ledger: SqlLedger, rows: list[Cells]) -> list[int]:
    """How many rows each known stretch of a file has."""
    run = RunId(999)
    known = Stretches(ledger, run)
    batches = feed(
        [Input(ListReader(rows), CellsMapper(), bytes(16))],
        PlainGate(ledger, run, POLICY, SetClock(), stretches=known),
        stretches=known,
    )
    return [batch.rows for batch in batches if not isinstance(batch.judged[0], tuple)]


# --- laws --------------------------------------------------------------------------------------

STATES = [State.ACCEPTED, State.ACCEPTED, State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT]

names = st.sampled_from(["ann", "bob", "cy", "di", "eve", "flo"])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[list[Cells], list[State], str]]:
    """Runs one after the other: rows, how those that are sent end, and what happens to the ledger afterwards."""
    first = draw(st.lists(names, min_size=6, max_size=14))
    tail = draw(st.lists(names | st.sampled_from(["broken", ""]), max_size=14))
    files = st.builds(
        # In one file everybody is asked for one thing: of two, which is replaced depends on which ends first.
        lambda people, what: [(who, what) for who in people],
        st.sampled_from([first, first, [*first, *tail], [*tail, *first]]),
        st.sampled_from("aaab"),
    )
    states = st.just([State.ACCEPTED]) | st.lists(st.sampled_from(STATES), min_size=1, max_size=5)
    runs = st.tuples(files, states, st.sampled_from(["nothing", "nothing", "forget", "lose"]))
    return draw(st.lists(runs, min_size=2, max_size=4))


def told(
    folder: Path, history: list[tuple[list[Cells], list[State], str]], *, in_stretches: bool
) -> list[tuple[object, ...]]:
    """What each run told and sent."""
    found: list[tuple[object, ...]] = []
    with open_ledger(str(folder / f"{in_stretches}.db")) as ledger:
        for number, (rows, states, then) in enumerate(history, start=1):

            async def script(claim: Claim, _: ScriptedSubmitter, states: list[State] = states) -> State:
                return states[claim.request.key[0] % len(states)]

            run = a_run(ledger, f"run-{number}")
            forgets = then == "forget"  # then it remembers no stretches either, as the command line has it
            policy = replace(POLICY, repeat_after_ms=0) if forgets else POLICY
            bench = Bench(
                ledger, run, [ListReader(rows)], script, policy=policy, in_stretches=in_stretches and not forgets
            )
            ended = bench.go()
            assert ended.error is None
            end(ledger, run, ended.totals)
            sent = sorted(bench.submitted)
            position = bench.recorder.told[-1][0] if bench.recorder.told else 0
            found.append((ended.totals, sent, bench.recorder.bad, position))
            if then == "lose":  # whatever the reason: an entry that is gone lets its row pass
                ledger.connection.exec_driver_sql("DELETE FROM entries WHERE row_number % 3 = 1 AND run_id = 1")
    return found


@given(history=histories())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_runs_tell_and_send_the_same_with_stretches_and_without(
    history: list[tuple[list[Cells], list[State], str]],
) -> None:
    """Totals, requests, unusable rows and positions, whatever files come and whatever happens to entries between."""
    with TemporaryDirectory() as folder:
        row_by_row = told(Path(folder), history, in_stretches=False)
        in_stretches = told(Path(folder), history, in_stretches=True)
    assert in_stretches == row_by_row


places = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 12)), max_size=30)


@given(places=places, cut=st.integers(0, 30))
def test_spans_hold_each_entry_once(places: list[tuple[int, int, int]], cut: int) -> None:
    """Found in one go or part by part, and no two of them touch."""
    wanted = [(RunId(run), source, row) for run, source, row in places]
    spans = merged([*spans_of(wanted[:cut]), *spans_of(wanted[cut:])])
    held = [(one.run, one.source_no, row) for one in spans for row in range(one.first, one.last + 1)]
    assert held == sorted(set(wanted))
    assert list(spans) == spans_of(wanted)


# --- what is noted -----------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one, after a run in which everybody was accepted."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        run = a_run(opened)
        ended = Bench(opened, run, [ListReader(PEOPLE)], in_stretches=True).go()
        end(opened, run, ended.totals)
        yield opened


def test_a_file_is_known_from_its_first_run_on(ledger: SqlLedger) -> None:
    """Nothing of it is mapped or asked for in the second one, which notes nothing more."""
    assert noted(ledger) == 4
    assert known_rows(ledger, PEOPLE) == [5, 5, 5, 5]
    again = Bench(ledger, a_run(ledger, "run-2"), [ListReader(PEOPLE)], in_stretches=True)
    assert again.go().totals.skipped == {"accepted": 20}
    assert noted(ledger) == 4


def test_a_changed_cell_is_found_and_the_rest_stays_known(ledger: SqlLedger) -> None:
    """The chunk of that row is asked for row by row."""
    changed = [*PEOPLE[:7], ("person-8", "good bye"), *PEOPLE[8:]]
    assert known_rows(ledger, changed) == [5, 5, 5]
    again = Bench(ledger, a_run(ledger, "run-2"), [ListReader(changed)], in_stretches=True)
    assert again.go().totals.skipped == {"accepted": 19}
    assert again.submitted == [8]
    assert known_rows(ledger, changed) == [5, 5, 5, 5]


def test_a_stretch_is_known_only_while_each_of_its_entries_is_accepted(ledger: SqlLedger) -> None:
    """Whoever changed it, and however."""
    for change in ("state = 4", "superseded_by = 7", "state = 2"):
        ledger.connection.exec_driver_sql(f"UPDATE entries SET {change} WHERE row_number = 12")
        assert known_rows(ledger, PEOPLE) == [5, 5, 5]
        ledger.connection.exec_driver_sql("UPDATE entries SET state = 1, superseded_by = NULL")
        assert known_rows(ledger, PEOPLE) == [5, 5, 5, 5]
    ledger.connection.exec_driver_sql("DELETE FROM entries WHERE row_number = 12")
    assert known_rows(ledger, PEOPLE) == [5, 5, 5]


def test_a_stretch_whose_rows_were_accepted_in_several_runs_is_known(tmp_path: Path) -> None:
    """As after a retry; and a repeat in the file has the entry of its first."""
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        first, second = a_run(ledger), a_run(ledger, "run-2")
        claims = [a_claim(a_request(number, *PEOPLE[number - 1])) for number in (1, 2, 4, 5)]
        send(ledger, first, *claims)
        send(ledger, second, a_claim(a_request(3, *PEOPLE[2])))
        rows = [*PEOPLE[:4], PEOPLE[0]]
        Bench(ledger, a_run(ledger, "run-3"), [ListReader(rows)], in_stretches=True).go()
        assert known_rows(ledger, rows) == [5]


def test_a_stretch_with_an_entry_that_is_not_accepted_is_not_noted(tmp_path: Path) -> None:
    """Nor is one in which a row has none."""

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        return State.REJECTED if claim.request.row.number == 2 else State.ACCEPTED

    rows = [*PEOPLE[:10], *PEOPLE[10:14], ("", "missing"), *PEOPLE[15:20]]
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        Bench(ledger, a_run(ledger), [ListReader(rows)], script, in_stretches=True).go()
        assert known_rows(ledger, rows) == [5, 5]


def test_a_purge_and_a_repair_leave_no_stretches(ledger: SqlLedger) -> None:
    """They come again with the next run."""
    path = ledger.path
    Purge(ledger, "crm", 10**15, None).go()
    assert noted(ledger) == 0
    assert Bench(ledger, a_run(ledger, "run-2"), [ListReader(PEOPLE)], in_stretches=True).go().totals.accepted == 0
    assert noted(ledger) == 4
    ledger.close()
    repair(path, None, "now")
    with open_ledger(str(path)) as mended:
        assert noted(mended) == 0
        assert Bench(mended, a_run(mended, "run-3"), [ListReader(PEOPLE)], in_stretches=True).go().totals.accepted == 0


@pytest.mark.parametrize(
    ("cell", "numbers", "clean", "expected"),
    [
        ("x", [3, 4], True, 5),
        ("x", [3, 4], False, 4),  # damaged cells are told of in each run
        ("x", list(range(1, 2 * MOST_SPANS, 2)), True, 5),
        ("x", list(range(1, 2 * MOST_SPANS + 2, 2)), True, 4),  # their keys are asked for sooner
        ("\udcff", [3, 4], True, 4),
        ("x", [3, 21], True, 4),  # row 21 has no entry
    ],
)
def test_what_is_noted_of_rows_that_were_met(
    ledger: SqlLedger, cell: str, numbers: list[int], clean: bool, expected: int
) -> None:
    """Only what lies in few pieces, in which nothing was damaged, and all of which was accepted."""
    more = a_run(ledger, "run-2")
    send(ledger, more, *(a_claim(a_request(n, f"more-{n}")) for n in range(100, 100 + 2 * MOST_SPANS)))
    known = Stretches(ledger, more if len(numbers) > 2 else RunId(1))
    assert not known.know(chunk_of((cell, "y")), bytes(16))
    shift = 100 if len(numbers) > 2 else 0
    known.met(1, [a_request(shift + number) for number in numbers], {})
    known.passed(clean=clean)
    known.keep()
    assert noted(ledger) == expected


def test_the_ledger_itself_notes_no_stretch_with_a_gap(ledger: SqlLedger) -> None:
    """Whatever it is told."""
    ledger.note_stretches(RunId(1), [Stretch(b"d" * 16, (Span(RunId(1), 1, 1, 20),))])
    assert ledger.knows_stretch(b"d" * 16)
    ledger.note_stretches(RunId(1), [Stretch(b"e" * 16, (Span(RunId(1), 1, 1, 21),))])
    assert not ledger.knows_stretch(b"e" * 16)


# --- what they are known by --------------------------------------------------------------------


def chunk_of(*cells: tuple[str, ...], columns: tuple[str, ...] = ("a", "b"), nested: bool = False) -> Chunk:
    """Rows with these cells."""
    rows = [Row(number, number + 1, cell) for number, cell in enumerate(cells, start=1)]
    return Chunk(columns, rows, cells, nested=nested)


def test_the_digest_of_a_chunk_tells_all_tables_apart() -> None:
    """Where a cell ends, in which column it stands, and by which recipe keys are made of it."""
    recipe = bytes(16)
    digests = [
        chunk_of(("x", "yz")).digest(recipe),
        chunk_of(("xy", "z")).digest(recipe),
        chunk_of(("x", "yz"), columns=("b", "a")).digest(recipe),
        chunk_of(("x", "yz"), nested=True).digest(recipe),
        chunk_of(("x", "yz"), ("", "")).digest(recipe),
        chunk_of(("x", "yz")).digest(b"another recipe  "),
    ]
    assert len(set(digests)) == len(digests)
    assert chunk_of(("x", "yz")).digest(recipe) == digests[0]
    assert chunk_of(("x", "\udcff")).digest(recipe) is None
