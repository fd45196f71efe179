"""A run that a guard of its job holds back: what was taken up is settled, and the rest is no part of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from doubles import Bench, Cells, ListReader, ScriptedSubmitter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import NOW_MS, a_run

from batchrunner.cli.guarding import watched
from batchrunner.config import GuardsTable
from batchrunner.config.units import parse_hours
from batchrunner.errors import HeldBack, Reason
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import Claim, State
from batchrunner.nights import Guards
from batchrunner.pipeline import StopRequest

pytestmark = pytest.mark.timeout(30)

PEOPLE: list[Cells] = [(f"person-{number}", "hello") for number in range(1, 31)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


class Closing:
    """Hours that end when somebody says so."""

    def __init__(self) -> None:
        self.closed = False

    def over(self) -> HeldBack | None:
        """As `Guards` says it."""
        return HeldBack("the hours are over", Reason.OUTSIDE_HOURS) if self.closed else None

    def room(self, taken_up: int) -> tuple[int | None, HeldBack | None]:
        """As `Guards` says it."""
        over = self.over()
        return (0 if over else None), over


@dataclass
class Upto:
    """So many rows."""

    rows: int

    def over(self) -> None:
        """Never."""

    def room(self, taken_up: int) -> tuple[int, HeldBack]:
        """What is left of them."""
        return self.rows - taken_up, HeldBack("enough", Reason.MAX_ROWS)


def test_a_run_drains_when_its_hours_end(ledger: SqlLedger) -> None:
    """Roused while it waits for answers; what flies lands, what waits for a connection ends unsent."""
    guard = Closing()

    async def until_drained(_: Claim, submitter: ScriptedSubmitter) -> State:
        await submitter.drained.wait()
        return State.ACCEPTED

    bench = Bench(ledger, a_run(ledger), [ListReader(PEOPLE)], until_drained, guard=guard)

    def close(flying: int) -> None:
        if flying == bench.limits.room:
            guard.closed = True
            bench.stop.wake()

    bench.recorder.on_update = close
    ended = bench.go()
    assert isinstance(ended.error, HeldBack)
    assert ended.error.reason is Reason.OUTSIDE_HOURS
    assert ended.totals.balanced
    assert ended.totals.read == ended.totals.accepted == bench.limits.room


@given(rows=st.integers(1, 30), limit=st.integers(1, 40))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_as_many_rows_are_sent_as_there_is_room_for(tmp_path: Path, rows: int, limit: int) -> None:
    """And the run has gone through when there were not more."""
    with TemporaryDirectory(dir=tmp_path) as folder, open_ledger(f"{folder}/ledger.db") as ledger:
        repeated = [one for one in PEOPLE[:rows] for _ in range(2)]
        bench = Bench(ledger, a_run(ledger), [ListReader(repeated)], guard=Upto(limit))
        ended = bench.go()
        assert ended.totals.accepted == len(bench.submitted) == min(rows, limit)
        assert ended.totals.balanced
        assert (ended.error is None) == (rows <= limit)


def test_somebody_rouses_the_run_at_the_end_of_its_hours(tmp_path: Path) -> None:
    """By the wall clock, and not when the run has ended before."""
    stop, roused = StopRequest(), threading.Event()
    stop.wake = roused.set

    @dataclass
    class Clock:
        now: int

        def now_ms(self) -> int:
            return self.now

        def elapsed_s(self) -> float:
            return 0.0

    zone = ZoneInfo("UTC")
    clock = Clock(NOW_MS)
    table = GuardsTable.model_validate({"hours": parse_hours("00:00-23:59")})
    guard = Guards(table, clock.now_ms, zone, lambda _: 0)
    assert guard.closes_ms
    with watched(guard, tmp_path / "ledger.db", "welcome", clock, stop):
        assert not roused.wait(0.01)
    clock.now = guard.closes_ms - round(timedelta(milliseconds=20) / timedelta(milliseconds=1))
    guard = Guards(table, clock.now_ms, zone, lambda _: 0)
    with watched(guard, tmp_path / "ledger.db", "welcome", clock, stop):
        clock.now += 20
        assert roused.wait(20)
    with watched(None, tmp_path / "ledger.db", "welcome", clock, stop):
        pass
