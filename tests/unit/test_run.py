"""The straight way against a real ledger: nothing leaves unclaimed, nothing is lost, and every run balances."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from doubles import Bench, Cells, ListReader, ScriptedSubmitter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import DAY_MS, NOW_MS, OUTCOMES, a_claim, a_request, a_run, a_uuid, ends, send, totals_of

from batchrunner.config import ErrorLimit
from batchrunner.errors import (
    ApiRefusedUs,
    Interrupted,
    LedgerError,
    ResultError,
    SourceError,
    TooManyErrors,
    Unbalanced,
)
from batchrunner.ledger import History, SqlLedger, open_ledger
from batchrunner.model import Claim, Failed, InDoubt, Key, Outcome, Rejected, RunId, Settled, State, Totals
from batchrunner.pipeline import Ended, RunLimits
from batchrunner.pipeline.room import room_for
from batchrunner.ports import Standing

pytestmark = pytest.mark.timeout(30)

PEOPLE: list[Cells] = [(f"person-{number}", "hello") for number in range(1, 31)]


def few(count: int) -> list[ListReader]:
    """So many people in one file."""
    return [ListReader(PEOPLE[:count])]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    """A real one."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def run(ledger: SqlLedger) -> RunId:
    """A run that has begun."""
    return a_run(ledger)


def assert_accounted(bench: Bench, ended: Ended, *, open_claims: int = 0) -> None:
    """Totals balance, and agree with the ledger and with what was written."""
    totals = ended.totals
    assert totals.balanced
    states = bench.ledger.count_states(bench.run)
    assert states.get(State.CLAIMED, 0) == open_claims
    told = {
        State.ACCEPTED: totals.accepted,
        State.REJECTED: totals.rejected,
        State.FAILED: totals.failed,
        State.IN_DOUBT: totals.in_doubt - open_claims,
    }
    assert {state: count for state, count in told.items() if count} == {
        state: count for state, count in states.items() if state is not State.CLAIMED
    }
    assert len(bench.recorder.bad) == totals.unusable


class Seen:
    """A ledger that may fail or lie: what is not overridden goes to the real one."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def standing(self, keys: Collection[Key]) -> Mapping[Key, Standing]:
        """As it is."""
        return self._ledger.standing(keys)

    def exchange(self, run: RunId, settled: Sequence[Settled], claims: Sequence[Claim], totals: Totals) -> None:
        """As it is."""
        self._ledger.exchange(run, settled, claims, totals)

    def count_states(self, run: RunId) -> Mapping[State, int]:
        """As it is."""
        return self._ledger.count_states(run)


# --- runs that go through ----------------------------------------------------------------------


def test_every_row_ends_once(ledger: SqlLedger, run: RunId) -> None:
    """Each kind of row and each kind of end, over two files and several chunks."""
    ends_of = {3: State.REJECTED, 5: State.FAILED, 8: State.IN_DOUBT}

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        return ends_of.get(claim.request.row.number, State.ACCEPTED)

    first = [*PEOPLE[:9], ("broken", ""), ("", "missing"), PEOPLE[0]]
    second: list[Cells] = [("person-1", "other text"), ("person-2", "hello"), ("eve", "hello")]
    bench = Bench(ledger, run, [ListReader(first), ListReader(second, name="b.csv")], script)

    ended = bench.go()

    assert ended.error is None
    assert_accounted(bench, ended)
    totals = ended.totals
    assert totals.read == len(first) + len(second)
    counts = (totals.accepted, totals.rejected, totals.failed, totals.in_doubt, totals.unusable, totals.skipped_in_all)
    assert counts == (7, 2, 1, 1, 2, 2)
    assert totals.skipped == {"repeat_in_run": 2}
    written = Counter((end.claim.source_no, end.claim.request.row.number) for end in bench.recorder.ends)
    assert written == Counter([*((1, number) for number in range(1, 10)), (2, 1), (2, 3)])
    assert [(source, end.row.number, end.code) for source, end in bench.recorder.bad] == [
        (1, 10, "bad_json"),
        (1, 11, "missing"),
    ]
    assert History(ledger).run("run-1").totals == totals


def test_the_next_run_sends_only_what_may_be_sent(ledger: SqlLedger, run: RunId) -> None:
    """Resume, re-run failed and skip repeats are one question."""

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        states = [State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT]
        return states[claim.request.row.number % 4]

    Bench(ledger, run, few(8), script).go()
    before = ledger.standing([a_request(number, f"person-{number}").key for number in (3, 7)])
    again = Bench(ledger, a_run(ledger, "run-2"), few(8))

    ended = again.go()

    assert ended.totals.skipped == {"accepted": 2, "rejected": 2}
    assert sorted(again.submitted) == [2, 3, 6, 7]
    assert ended.totals.accepted == 4
    same = {claim.request.row.number: claim for claim in again.submitter.submitted}
    for standing in before.values():
        claim = same[standing.ref.row_number]
        assert (claim.request_id, claim.doubtful) == (standing.request_id, True)
    assert not same[2].doubtful
    assert_accounted(again, ended)


def test_a_dead_runs_claims_are_sent_again_under_their_own_ids(ledger: SqlLedger, run: RunId) -> None:
    """The new run has a number of its own, so they hold nothing back (trap 2)."""
    dead = [a_claim(number, request_id=a_uuid(number)) for number in (1, 2)]
    ledger.exchange(run, [], dead, totals_of(2))
    ledger.bury_dead_runs("crm", NOW_MS)
    bench = Bench(ledger, a_run(ledger, "run-2"), few(3))
    bench.clock.now = NOW_MS + DAY_MS // 2

    ended = bench.go()

    assert (ended.totals.accepted, ended.totals.skipped_in_all) == (3, 0)
    sent = {claim.request.row.number: claim for claim in bench.submitter.submitted}
    assert [(sent[n].request_id, sent[n].requested_at_ms, sent[n].doubtful) for n in (1, 2)] == [
        (a_uuid(1), NOW_MS, True),
        (a_uuid(2), NOW_MS, True),
    ]
    assert (sent[3].requested_at_ms, sent[3].doubtful) == (NOW_MS + DAY_MS // 2, False)
    assert ledger.count_states(run) == {State.IN_DOUBT: 2}


def test_a_file_without_rows_is_a_run(ledger: SqlLedger, run: RunId) -> None:
    """Nothing read, nothing sent, and it ends."""
    bench = Bench(ledger, run, few(0))
    assert bench.go() == Ended(Totals(), None)


def test_the_window_is_closed_when_the_run_has_ended(ledger: SqlLedger, run: RunId) -> None:
    """No connection stays open."""
    bench = Bench(ledger, run, few(3))
    bench.go()
    assert bench.submitter.closed


class Checked(ScriptedSubmitter):
    """Looks each claim up in the ledger, through a connection of its own, before it sends."""

    def __init__(self, path: Path, run: RunId) -> None:
        super().__init__()
        self.ledger = open_ledger(str(path))
        self.run = run
        self.found: list[tuple[State, bool]] = []

    async def submit(self, claim: Claim) -> Settled:
        """What the ledger holds of this very claim, at the moment of sending."""
        standing = self.ledger.standing([claim.request.key])[claim.request.key]
        its_own = (standing.ref.run, standing.ref.row_number, standing.request_id) == (
            self.run,
            claim.request.row.number,
            claim.request_id,
        )
        self.found.append((standing.state, its_own))
        return await super().submit(claim)

    async def aclose(self) -> None:
        """In the thread that opened it."""
        self.ledger.close()


def test_a_claim_is_durable_before_its_request_leaves(ledger: SqlLedger, run: RunId) -> None:
    """Whoever looks at the ledger from outside at the moment of sending finds it."""
    made: list[Checked] = []

    def make() -> Checked:
        made.append(Checked(ledger.path, run))
        return made[0]

    bench = Bench(ledger, run, few(30), make_submitter=make)
    ended = bench.go()

    assert ended.totals.accepted == 30
    assert made[0].found == [(State.CLAIMED, True)] * 30


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_is_claimed_than_fits_the_window(ledger: SqlLedger, run: RunId, concurrency: int) -> None:
    """Claims are made just ahead of the window (trap 3); it fills up, and a crash could leave no more than that."""
    limits = RunLimits(concurrency, None, DAY_MS)
    full = asyncio.Event()

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        await full.wait()
        return State.ACCEPTED

    bench = Bench(ledger, run, few(30), script, limits=limits, rows_a_question=30)
    seen: list[int] = []
    with open_ledger(str(ledger.path)) as outside:

        def look(flying: int) -> None:
            seen.append(outside.count_states(run).get(State.CLAIMED, 0))
            if flying == limits.room:
                bench.submitter.loop.call_soon_threadsafe(full.set)

        bench.recorder.on_update = look
        ended = bench.go()

    assert ended.totals.accepted == 30
    assert max(seen) == limits.room
    assert concurrency < limits.room <= max(concurrency + 2, concurrency * 2)


def test_a_limit_that_is_found_out_bounds_what_is_claimed(ledger: SqlLedger, run: RunId) -> None:
    """As many as may fly now, and a few: not as many as ever might."""
    bench = Bench(ledger, run, few(30), limits=RunLimits(50, None, DAY_MS), limit_now=lambda: 4)
    seen: list[int] = []
    bench.recorder.on_update = seen.append

    assert bench.go().totals.accepted == 30
    assert max(seen) <= room_for(4)


def test_outcomes_are_reported_only_once_they_are_durable(ledger: SqlLedger, run: RunId) -> None:
    """A result file never tells more than the ledger."""

    class Looking:
        """Result files that look into the ledger for each row that they are given."""

        def __init__(self) -> None:
            self.found: list[State] = []

        def settled(self, settled: Sequence[Settled]) -> None:
            keys = [end.claim.request.key for end in settled]
            self.found += [standing.state for standing in ledger.standing(keys).values()]

    looking = Looking()
    bench = Bench(ledger, run, few(10))
    bench.recorder.settled = looking.settled  # type: ignore[method-assign]
    bench.go()

    assert looking.found == [State.ACCEPTED] * 10


rows_of_a_file = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")),
        st.tuples(st.sampled_from(["broken", ""]), st.just("missing")),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=rows_of_a_file,
    script=st.lists(st.sampled_from([*OUTCOMES, RuntimeError]), min_size=1, max_size=9),
    concurrency=st.integers(1, 5),
    chunk_rows=st.integers(1, 9),
)
def test_any_file_and_any_answers_balance(
    rows: list[Cells], script: list[Any], concurrency: int, chunk_rows: int
) -> None:
    """No key twice in a run, nobody twice at once, everybody in file order; a second run sends nothing accepted."""
    overlaps: list[int] = []

    async def answer(claim: Claim, submitter: ScriptedSubmitter) -> Outcome | State:
        theirs = [one for one in submitter.flying if one.request.who == claim.request.who]
        overlaps.extend([] if theirs == [claim] else [claim.request.row.number])
        for _ in range(claim.request.row.number % 3):
            await asyncio.sleep(0)
        said = script[claim.request.row.number % len(script)]
        if said is RuntimeError:
            raise RuntimeError
        return said

    with TemporaryDirectory() as folder, open_ledger(f"{folder}/ledger.db") as ledger:
        limits = RunLimits(concurrency, None, DAY_MS)
        benches = []
        for name in ("run-1", "run-2"):
            reader = ListReader(rows, chunk_rows=chunk_rows)
            bench = Bench(ledger, a_run(ledger, name), [reader], answer, limits=limits)
            ended = bench.go()
            assert ended.error is None
            assert ended.totals.read == len(rows)
            assert_accounted(bench, ended)
            keys = [claim.request.key for claim in bench.submitter.submitted]
            assert len(keys) == len(set(keys))
            assert bench.submitter.most_flying <= concurrency
            for who in {claim.request.who for claim in bench.submitter.submitted}:
                order = [one.request.row.number for one in bench.submitter.submitted if one.request.who == who]
                assert order == sorted(order)
            benches.append(bench)
        accepted = {
            end.claim.request.key for end in benches[0].recorder.ends if end.outcome == OUTCOMES[State.ACCEPTED]
        }
        assert not accepted & {claim.request.key for claim in benches[1].submitter.submitted}
    assert overlaps == []


# --- doubts that grow old ----------------------------------------------------------------------


def test_a_doubtful_row_that_waited_too_long_is_not_sent(ledger: SqlLedger, run: RunId) -> None:
    """It was judged in time, and the window closed while the person's other request was in flight."""
    asked: list[Cells] = [("ann", "one"), ("ann", "two"), ("ann", "two"), ("bob", "one")]
    doubtful = [a_claim(a_request(number, *cells)) for number, cells in enumerate(asked[:2], start=1)]
    send(ledger, run, *doubtful, to=State.IN_DOUBT)
    later = a_run(ledger, "run-2")

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        if claim.request.row.number == 1:
            bench.clock.now = NOW_MS + DAY_MS
        return State.ACCEPTED

    bench = Bench(ledger, later, [ListReader(asked)], script)
    bench.clock.now = NOW_MS + DAY_MS // 2
    ended = bench.go()

    assert ended.totals.skipped == {"window": 1, "repeat_in_run": 1}
    assert sorted(bench.submitted) == [1, 4]
    assert_accounted(bench, ended)
    assert ledger.standing([a_request(2, "ann", "two").key])[a_request(2, "ann", "two").key].state is State.IN_DOUBT


# --- stopping ----------------------------------------------------------------------------------


async def until_drained(_: Claim, submitter: ScriptedSubmitter) -> State:
    """Answers come once the run has asked for no more."""
    await submitter.drained.wait()
    return State.ACCEPTED


async def never(_: Claim, __: ScriptedSubmitter) -> State:
    """No answer comes."""
    await asyncio.Event().wait()
    return State.ACCEPTED


def test_the_first_signal_lets_what_flies_land(ledger: SqlLedger, run: RunId) -> None:
    """Nothing more is claimed, and everything that was claimed settles."""
    bench = Bench(ledger, run, few(30), until_drained)
    bench.recorder.on_update = lambda flying: flying == bench.limits.room and bench.stop.signalled(signal.SIGTERM)

    ended = bench.go()

    assert isinstance(ended.error, Interrupted)
    assert ended.error.signal_number == signal.SIGTERM
    assert ended.totals.read == ended.totals.accepted == len(bench.submitted) == bench.limits.room
    assert_accounted(bench, ended)


def test_a_signal_rouses_a_run_that_waits_for_answers(ledger: SqlLedger, run: RunId) -> None:
    """Without waiting for the next answer, which may take a minute."""

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> State:
        if claim.request.row.number == 2:
            # The other side has nothing to take and nothing to collect.
            bench.stop.signalled(signal.SIGINT)
        return await until_drained(claim, submitter)

    bench = Bench(ledger, run, few(2), script)
    ended = bench.go()

    assert isinstance(ended.error, Interrupted)
    assert ended.totals.accepted == 2


def test_the_second_signal_leaves_the_rest_in_doubt(ledger: SqlLedger, run: RunId) -> None:
    """At once, with a code of its own; what had ended keeps its outcome."""
    flying_numbers = (2, 3)

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> State:
        if claim.request.row.number in flying_numbers:
            return await never(claim, submitter)
        return State.ACCEPTED

    bench = Bench(ledger, run, few(3), script)

    def insist(flying: int) -> None:
        if flying == 2 and len(bench.recorder.ends) == 1:
            bench.stop.signalled(signal.SIGINT)
            bench.stop.signalled(signal.SIGINT)

    bench.recorder.on_update = insist
    ended = bench.go()

    assert isinstance(ended.error, Interrupted)
    outcomes = {end.claim.request.row.number: end.outcome for end in bench.recorder.ends}
    doubt = InDoubt("interrupted", "the run was stopped before an answer came")
    assert outcomes == {1: OUTCOMES[State.ACCEPTED], 2: doubt, 3: doubt}
    assert ended.totals.codes == {"in_doubt:interrupted": 2}
    assert_accounted(bench, ended)


def test_two_signals_while_the_file_is_read_do_not_lose_the_run(ledger: SqlLedger, run: RunId) -> None:
    """Reading a chunk takes a while; what came of it is not claimed any more, because nothing could send it."""

    class Impatient(ListReader):
        """Somebody presses Ctrl-C twice while the second chunk is read."""

        def chunks(self) -> Iterator[Any]:
            for number, chunk in enumerate(super().chunks()):
                if number == 1:
                    bench.stop.signalled(signal.SIGINT)
                    bench.stop.signalled(signal.SIGINT)
                yield chunk

    rows = [PEOPLE[0], PEOPLE[1], PEOPLE[0], ("", "missing")]
    bench = Bench(ledger, run, [Impatient(rows, chunk_rows=1)], never)
    ended = bench.go()

    assert isinstance(ended.error, Interrupted)
    assert (ended.totals.read, ended.totals.in_doubt) == (1, 1)
    assert_accounted(bench, ended)


def test_a_refusal_stops_the_run(ledger: SqlLedger, run: RunId) -> None:
    """It is about us: every further row would be burnt. What flies still lands."""

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> Settled | State:
        if claim.request.row.number == 2:
            return ends(claim, Failed("401", "token"), refusal="the token is not known")
        return await until_drained(claim, submitter)

    bench = Bench(ledger, run, few(30), script)
    ended = bench.go()

    assert isinstance(ended.error, ApiRefusedUs)
    assert str(ended.error) == "the token is not known"
    assert ended.totals.failed == 1
    assert ended.totals.accepted <= bench.limits.room
    assert_accounted(bench, ended)


def test_a_run_stops_at_its_error_limit(ledger: SqlLedger, run: RunId) -> None:
    """Only what was claimed by then is sent on top."""

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        return State.REJECTED

    limits = RunLimits(1, ErrorLimit(count=3), DAY_MS)
    bench = Bench(ledger, run, few(30), script, limits=limits)
    ended = bench.go()

    assert isinstance(ended.error, TooManyErrors)
    assert 4 <= ended.totals.rejected <= 3 + 2 * limits.room
    assert_accounted(bench, ended)


def test_unusable_rows_alone_can_stop_a_run(ledger: SqlLedger, run: RunId) -> None:
    """Although no answer ever comes."""
    rows: list[Cells] = [("", "missing")] * 30
    bench = Bench(ledger, run, [ListReader(rows)], limits=RunLimits(2, ErrorLimit(count=3), DAY_MS))
    ended = bench.go()

    assert isinstance(ended.error, TooManyErrors)
    assert ended.totals.unusable == 4  # one question of the gate
    assert_accounted(bench, ended)


def test_a_404_for_every_row_stops_the_run(ledger: SqlLedger, run: RunId) -> None:
    """That is about the scenario or the token, not about the rows."""

    async def script(_: Claim, __: ScriptedSubmitter) -> Outcome:
        return Rejected("404", "not in the vision zone")

    ended = Bench(ledger, run, few(30), script).go()

    assert isinstance(ended.error, ApiRefusedUs)
    assert ended.totals.rejected < 30


def test_a_source_that_breaks_off_keeps_the_outcomes_of_what_flies(ledger: SqlLedger, run: RunId) -> None:
    """The rows that were read end; the error is told."""
    error = SourceError("the file changed while it was read")
    bench = Bench(ledger, run, [ListReader(PEOPLE[:2], error=error)], until_drained)
    ended = bench.go()

    assert ended.error is error
    assert (ended.totals.read, ended.totals.accepted) == (2, 2)
    assert_accounted(bench, ended)


def test_the_first_reason_to_stop_is_the_one_that_is_told(ledger: SqlLedger, run: RunId) -> None:
    """What follows from stopping is no reason."""

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> Settled:
        await submitter.drained.wait()
        return ends(claim, State.REJECTED, refusal="draining")

    error = SourceError("gone")
    limits = RunLimits(2, ErrorLimit(count=0), DAY_MS)
    ended = Bench(ledger, run, [ListReader(PEOPLE[:2], error=error)], script, limits=limits).go()

    assert ended.error is error


# --- what breaks -------------------------------------------------------------------------------


class Breaking(Seen):
    """A ledger whose nth exchange fails."""

    def __init__(self, ledger: SqlLedger, at: int) -> None:
        super().__init__(ledger)
        self._left = at

    def exchange(self, run: RunId, settled: Sequence[Settled], claims: Sequence[Claim], totals: Totals) -> None:
        """Until it breaks."""
        self._left -= 1
        if not self._left:
            raise LedgerError("the disk is full")
        super().exchange(run, settled, claims, totals)


@pytest.mark.parametrize("at", [1, 2, 3, 5])
def test_a_ledger_that_breaks_leaves_what_flies_in_doubt(ledger: SqlLedger, run: RunId, at: int) -> None:
    """Totals say what the ledger will say once the run is buried: neither more nor less."""

    async def script(claim: Claim, submitter: ScriptedSubmitter) -> State:
        return await never(claim, submitter) if claim.request.row.number == 3 else State.ACCEPTED

    bench = Bench(ledger, run, few(30), script, seen_as=Breaking(ledger, at))
    ended = bench.go()

    assert isinstance(ended.error, LedgerError)
    open_claims = ledger.count_states(run).get(State.CLAIMED, 0)
    assert ended.totals.codes.get("in_doubt:ledger", 0) == open_claims
    assert bool(open_claims) == (at > 1)
    assert ended.totals.balanced
    ledger.bury_dead_runs("crm", NOW_MS)
    buried = History(ledger).run("run-1").totals
    assert (buried.read, buried.accepted, buried.in_doubt) == (
        ended.totals.read,
        ended.totals.accepted,
        ended.totals.in_doubt,
    )


def test_a_ledger_that_breaks_while_it_is_asked_is_no_different(ledger: SqlLedger, run: RunId) -> None:
    """The gate's question fails in the middle of the file."""

    class Mute(Seen):
        """Answers the first question only."""

        def __init__(self, ledger: SqlLedger) -> None:
            super().__init__(ledger)
            self.asked = 0

        def standing(self, keys: Collection[Key]) -> Mapping[Key, Standing]:
            self.asked += 1
            if self.asked > 1:
                raise LedgerError("damaged")
            return super().standing(keys)

    bench = Bench(ledger, run, few(30), never, seen_as=Mute(ledger), limits=RunLimits(8, None, DAY_MS))
    ended = bench.go()

    assert isinstance(ended.error, LedgerError)
    assert ended.totals.balanced
    assert ended.totals.codes == {"in_doubt:ledger": 4}


def test_a_ledger_that_breaks_at_the_very_end_is_told(ledger: SqlLedger, run: RunId) -> None:
    """The last count cannot be made: the run still ends with its totals and the error."""

    class Uncounted(Seen):
        """Cannot count."""

        def count_states(self, run: RunId) -> Mapping[State, int]:
            raise LedgerError("damaged")

    bench = Bench(ledger, run, few(3), seen_as=Uncounted(ledger))
    ended = bench.go()

    assert isinstance(ended.error, LedgerError)
    assert ended.totals.accepted == 3
    assert ended.totals.balanced


def test_result_files_that_cannot_be_written_stop_the_run_and_lose_no_outcome(ledger: SqlLedger, run: RunId) -> None:
    """The ledger knows what was sent."""
    bench = Bench(ledger, run, few(30))
    bench.recorder.error = ResultError("the disk is full")
    ended = bench.go()

    assert ended.error is bench.recorder.error
    assert 0 < ended.totals.accepted < 30
    assert_accounted(bench, ended)


@pytest.mark.parametrize(
    "lie",
    [
        {State.ACCEPTED: 2},
        {State.ACCEPTED: 4},
        {State.ACCEPTED: 3, State.CLAIMED: 1},
        {State.ACCEPTED: 2, State.REJECTED: 1},
        {},
    ],
)
def test_two_counts_that_disagree_are_said_loudly(ledger: SqlLedger, run: RunId, lie: Mapping[State, int]) -> None:
    """Ours and the ledger's are made apart."""

    class Lying(Seen):
        """Counts otherwise."""

        def count_states(self, run: RunId) -> Mapping[State, int]:
            return lie

    ended = Bench(ledger, run, few(3), seen_as=Lying(ledger)).go()

    assert isinstance(ended.error, Unbalanced)
    assert "report it" in str(ended.error)
