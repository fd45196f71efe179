"""Runs whose rows go in steps, against a platform of a few lines: whatever happens, nobody is engaged twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from doubles import Bench, Cells, ListReader, ScriptedSubmitter
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ledgers import DAY_MS, NOW_MS, a_run, end, ends, who_of

from batchrunner.errors import Interrupted, LedgerError
from batchrunner.gate import GatePolicy
from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    Importing,
    InDoubt,
    Outcome,
    Rejected,
    RequestId,
    Settled,
    Starting,
    State,
    Totals,
    Updating,
    Who,
)
from batchrunner.pipeline import Changes, RunLimits, Steps
from batchrunner.retrying import lawful

pytestmark = pytest.mark.timeout(120)

FAULTS = ("ok", "ok", "ok", "drop_before", "drop_after", "unsent", "reject", "no_id")
SPLIT, SINGLE = Steps(split=True), Steps()
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example is several runs: to make a failing one smaller would take minutes."""

PEOPLE: list[Cells] = [(f"person-{number}", "hello") for number in range(1, 7)]


class Platform:
    """Profiles, engagements, and perhaps a memory of what was asked under which Request-ID."""

    def __init__(self, *, deduplicates: bool) -> None:
        self.engaged: Counter[Who] = Counter()
        self.imported: set[Who] = set()
        self.calls: dict[RequestId, str] = {}
        self.wrong: list[str] = []
        """What should never have been asked: an error raised on this side would only be one more doubt."""
        self._answers: dict[RequestId, Outcome] = {}
        self._deduplicates = deduplicates

    def asked(self, claim: Claim, fault: str) -> Outcome:
        """What comes back, when this goes wrong."""
        call = "import" if isinstance(claim.step, Importing | Updating) else "start" if claim.step else "whole"
        # The law, for all platforms: under one Request-ID leaves one request.
        if self.calls.setdefault(claim.request_id, call) != call:
            self.wrong.append(f"{call} under the Request-ID of {self.calls[claim.request_id]}")
        if fault == "unsent":
            return lawful(Failed("connect", "no connection"), doubtful=claim.doubtful)
        if fault == "drop_before":
            return InDoubt("reset", "it never arrived")
        answer = self._answers.get(claim.request_id) if self._deduplicates else None
        if answer is None:
            answer = self._answers[claim.request_id] = self._done(claim, call, fault)
        return InDoubt("reset", "the answer never came") if fault == "drop_after" else answer

    def _done(self, claim: Claim, call: str, fault: str) -> Outcome:
        who = claim.request.who
        if fault == "reject":
            return Rejected("435", "no")
        if call == "start":
            if claim.step != Starting(who.hex()) or who not in self.imported:
                self.wrong.append(f"{claim.step} of {who.hex()}")
        else:
            self.imported.add(who)
        if call != "import":
            self.engaged[who] += 1
        return Accepted(None if fault == "no_id" else who.hex())


class Dying:
    """A ledger that fails at one exchange: before its commit or behind it, as a machine may."""

    def __init__(self, ledger: SqlLedger, at: int, *, committed: bool) -> None:
        self._ledger = ledger
        self._left = at
        self._committed = committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def exchange(self, *values: Any) -> None:
        """All but one go through."""
        self._left -= 1
        if self._left == 0 and not self._committed:
            raise LedgerError("the machine died")
        self._ledger.exchange(*values)
        if self._left == 0:
            raise LedgerError("the machine died")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


def policy_of(*, deduplicates: bool, holds: bool = False) -> GatePolicy:
    """What a job says to the gate."""
    return GatePolicy(resend_in_doubt=deduplicates and not holds, window_ms=DAY_MS, holds=holds)


runs = st.tuples(
    st.booleans(),  # in two steps
    st.lists(st.sampled_from(FAULTS), min_size=1, max_size=12),  # of the requests, in turn
    st.one_of(st.none(), st.tuples(st.integers(1, 8), st.booleans())),  # the machine dies
    st.booleans(),  # hold
)


def go(
    ledger: SqlLedger, platform: Platform, name: str, rows: list[Cells], way: tuple[Any, ...], *, deduplicates: bool,
    updates: bool | None = None,
) -> Totals:  # fmt: skip
    """One run: in its way, with its faults, perhaps to its death."""
    split, faults, death, holds = way
    ledger.bury_dead_runs("crm", NOW_MS)
    run, asked = a_run(ledger, name), iter(range(1_000_000))

    async def script(claim: Claim, _: ScriptedSubmitter) -> Settled:
        await asyncio.sleep(0)
        return ends(claim, platform.asked(claim, faults[next(asked) % len(faults)]))

    bench = Bench(
        ledger, run, [ListReader(rows)], script,
        limits=RunLimits(concurrency=2, max_errors=None, window_ms=DAY_MS),
        policy=policy_of(deduplicates=deduplicates, holds=holds),
        seen_as=None if death is None else Dying(ledger, death[0], committed=death[1]),
        steps=Steps(split=split, updates=bool(updates)),
        changes=None if updates is None else Changes(ledger, updates=updates, forgotten_after_ms=None),
    )  # fmt: skip
    ended = bench.go()
    assert not platform.wrong
    if not isinstance(ended.error, LedgerError):
        assert ended.error is None
        assert ended.totals.balanced
        end(ledger, run, ended.totals)
    return ended.totals


def states(ledger: SqlLedger) -> dict[Who, set[State]]:
    """How the live entries about each person stand."""
    found: dict[Who, set[State]] = {}
    query = "SELECT key, state FROM entries WHERE superseded_by IS NULL"
    for key, state in ledger.connection.exec_driver_sql(query):
        found.setdefault(Who(bytes(key)[:8]), set()).add(State(state))
    return found


@given(st.booleans(), st.lists(runs, min_size=1, max_size=4), runs)
@settings(max_examples=60, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
def test_the_law_nobody_is_engaged_twice_in_whichever_way_a_job_goes(
    deduplicates: bool, ways: list[tuple[Any, ...]], last: tuple[Any, ...]
) -> None:
    """Single or split by turns, with every fault and deaths at every exchange; and who is accepted was engaged."""
    platform = Platform(deduplicates=deduplicates)
    with TemporaryDirectory() as folder, open_ledger(f"{folder}/ledger.db") as ledger:
        for number, way in enumerate(ways):
            go(ledger, platform, f"run-{number}", PEOPLE, way, deduplicates=deduplicates)
            assert not [who for who, times in platform.engaged.items() if times > 1]
        calm = (last[0], ["ok"], None, False)
        for number in range(2):
            go(ledger, platform, f"calm-{number}", PEOPLE, calm, deduplicates=deduplicates)
        for who, standing in states(ledger).items():
            (state,) = standing
            assert platform.engaged[who] <= 1
            if state is State.ACCEPTED:
                assert platform.engaged[who] == 1
            elif platform.engaged[who]:  # then a person is asked
                assert state is State.IN_DOUBT


@given(st.booleans(), st.lists(st.tuples(runs, st.booleans()), min_size=1, max_size=4), st.data())
@settings(max_examples=40, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
def test_the_law_who_was_engaged_is_updated_or_left_out_whatever_changes(
    deduplicates: bool, ways: list[tuple[tuple[Any, ...], bool]], data: st.DataObject
) -> None:
    """Files in which people stand several times, asking for this and that."""
    platform = Platform(deduplicates=deduplicates)
    row = st.tuples(st.sampled_from(["ann", "bob", "cat"]), st.sampled_from(["a", "b", "c"]))
    with TemporaryDirectory() as folder, open_ledger(f"{folder}/ledger.db") as ledger:
        for number, (way, updates) in enumerate(ways):
            rows = data.draw(st.lists(row, min_size=1, max_size=8))
            go(ledger, platform, f"run-{number}", rows, way, deduplicates=deduplicates, updates=updates)
            assert not [who for who, times in platform.engaged.items() if times > 1]
        assert set(platform.engaged) <= {who_of(name) for name in ("ann", "bob", "cat")}


@pytest.mark.parametrize("updates", [True, False])
def test_an_import_in_doubt_does_not_engage_who_was_engaged_since(ledger: SqlLedger, updates: bool) -> None:
    """Ann's first row came as far as an import in doubt, her second one engaged her, and then the first comes again."""
    platform = Platform(deduplicates=True)
    ways = [(True, ["drop_after"], None, False), (False, ["ok"], None, False), (True, ["ok"], None, False)]
    for number, (way, asks) in enumerate(zip(ways, "cac", strict=True)):
        totals = go(ledger, platform, f"run-{number}", [("ann", asks)], way, deduplicates=True, updates=updates)
    assert platform.engaged == {who_of("ann"): 1}
    assert totals.accepted == int(updates)
    assert dict(totals.skipped) == ({} if updates else {"changed": 1})


def test_a_person_s_next_row_waits_until_both_steps_are_over(ledger: SqlLedger) -> None:
    """The second row about Ann is not even imported before the first has ended."""
    seen: list[tuple[int, str]] = []

    async def script(claim: Claim, _: ScriptedSubmitter) -> Settled:
        seen.append((claim.request.row.number, type(claim.step).__name__))
        await asyncio.sleep(0)
        return ends(claim, Accepted("5f"))

    rows = [("ann", "a"), ("ann", "b"), ("bob", "a")]
    bench = Bench(ledger, a_run(ledger), [ListReader(rows)], script, steps=SPLIT)
    assert bench.go().totals.accepted == 3
    of_ann = [one for one in seen if one[0] != 3]
    assert of_ann == [(1, "Importing"), (1, "Starting"), (2, "Importing"), (2, "Starting")]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_run_that_is_stopped_between_the_steps_starts_nobody(ledger: SqlLedger, signals: int) -> None:
    """What was imported by then has failed, and is engaged by the next run."""
    started: list[int] = []

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> Outcome:
        if isinstance(claim.step, Starting):
            if submitter.drained.is_set():
                return lawful(Failed("stopped", "not sent"), doubtful=claim.doubtful)
            started.append(claim.request.row.number)
            return Accepted(None)
        for _ in range(signals):
            bench.stop.signalled(2)
        await submitter.drained.wait()
        return Accepted("5f")

    async def plainly(claim: Claim, _: ScriptedSubmitter) -> Outcome:
        if isinstance(claim.step, Starting):
            started.append(claim.request.row.number)
        return Accepted("5f")

    first = a_run(ledger, "first")
    bench = Bench(ledger, first, [ListReader([("ann", "a")])], script, steps=SPLIT)
    ended = bench.go()
    assert isinstance(ended.error, Interrupted)
    assert (ended.totals.accepted, ended.totals.balanced, started) == (0, True, [])
    end(ledger, first, ended.totals)
    again = Bench(ledger, a_run(ledger, "second"), [ListReader([("ann", "a")])], plainly, steps=SPLIT)
    assert (again.go().totals.accepted, started) == (1, [1])
    assert ledger.connection.exec_driver_sql("SELECT count(*) FROM steps").scalar() == 0


def test_requests_of_both_steps_are_counted(ledger: SqlLedger) -> None:
    """Each row once, whatever it took."""

    async def script(claim: Claim, _: ScriptedSubmitter) -> Settled:
        return ends(claim, Accepted("5f"), requests=3 if isinstance(claim.step, Importing) else 2)

    totals = Bench(ledger, a_run(ledger), [ListReader(PEOPLE)], script, steps=SPLIT).go().totals
    assert (totals.read, totals.accepted, totals.requests) == (6, 6, 30)
