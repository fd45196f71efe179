"""A ledger and its gate against a plain dictionary, through any order of sends, answers, crashes and decisions."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledgers import BACKENDS, DAY_MS, MINUTE_MS, NOW_MS, Backend, a_claim, a_request, a_run, end, ends, key_of, send
from sqlalchemy import func, select

from batchrunner.gate import GatePolicy, Hold, SendNew, SendSame
from batchrunner.ledger import DIED, History, Wanted
from batchrunner.ledger.purging import Purge
from batchrunner.ledger.schema import entries, live, runs
from batchrunner.model import Claim, EntryRef, Key, RequestId, RunId, SkipReason, State
from batchrunner.pipeline.admission import Judgement
from batchrunner.pipeline.feed import PlainGate
from batchrunner.pipeline.tally import Tally

PEOPLE = ("ann", "bob", "cid")
WORDS = ("one", "two")
KEYS = [key_of(who, what) for who in PEOPLE for what in WORDS]
STRIPPED_ID = RequestId("----")
"""Of an entry that was purged: its Request-ID is gone."""

asks = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(WORDS))

RESEND = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS)
HOLD = GatePolicy(resend_in_doubt=False, window_ms=DAY_MS)
RETRY = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS, again=frozenset({State.REJECTED}))


@dataclass
class Entry:
    """One claimed row, as the model knows it."""

    ref: EntryRef
    key: Key
    request_id: RequestId
    at_ms: int
    state: State = State.CLAIMED
    replayed: bool = False
    alive: bool = True


class LedgerMachine(RuleBasedStateMachine):
    """What may happen to a ledger between its first run and its last."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = NOW_MS
        self.number = 0
        self.entries: list[Entry] = []
        self.flying: list[Claim] = []
        self.beside = 0
        self.beside_keys: list[tuple[Key, EntryRef, State]] = []

    def now_ms(self) -> int:
        """The machine is its own clock."""
        return self.now

    def elapsed_s(self) -> float:
        """Never asked for."""
        raise NotImplementedError

    @initialize(backend=st.sampled_from(sorted(BACKENDS)))
    def open(self, backend: str) -> None:
        """A new ledger."""
        self.backend = Backend(BACKENDS[backend](self.folder))
        self.ledger = self.backend.open()
        self.begin()

    def begin(self) -> None:
        """A new run."""
        self.number += 1
        self.name = f"run-{self.number:03}"  # so that no name is the beginning of another
        self.run: RunId = a_run(self.ledger, self.name, at_ms=self.now)
        self.tally = Tally()
        self.row = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.ledger.close()
        shutil.rmtree(self.folder)

    # --- the model ------------------------------------------------------------------------------

    def alive(self, key: Key) -> Entry | None:
        """The live entry of a key."""
        found = [entry for entry in self.entries if entry.alive and entry.key == key]
        assert len(found) <= 1
        return found[0] if found else None

    def of(self, ref: EntryRef) -> Entry:
        """An entry by its address."""
        return next(entry for entry in self.entries if entry.ref == ref)

    # --- rules ----------------------------------------------------------------------------------

    @rule(ask=asks, policy=st.sampled_from([RESEND, HOLD, RETRY]))
    def ask_the_gate_and_send(self, ask: tuple[str, str], policy: GatePolicy) -> None:
        """As a row of a file: held back, or claimed in the place of what stood there."""
        self.row += 1
        request = a_request(self.row, *ask)
        before = self.alive(request.key)
        [(_, judgement)] = PlainGate(self.ledger, self.run, policy, self).judge(1, [request])  # type: ignore[misc]
        self.check(before, judgement, policy)
        if not isinstance(judgement.decision, Hold):
            request_id, at_ms = self.named(judgement)
            carried = {"doubtful": judgement.doubtful, "takes_over": judgement.takes_over}
            self.claim(request.key, Claim(1, request, request_id, at_ms, **carried))

    def check(self, before: Entry | None, judgement: Judgement, policy: GatePolicy) -> None:
        """What no policy without `repeat_after` may do, and what it must do."""
        decision = judgement.decision
        if before is None:
            assert not isinstance(decision, Hold)
            assert judgement.takes_over == ()
            return
        if before.ref.run == self.run:
            assert decision == Hold(SkipReason.REPEAT_IN_RUN)
        elif before.state is State.ACCEPTED:
            assert decision == Hold(SkipReason.ACCEPTED)
        elif before.state is State.REJECTED and policy is not RETRY:
            assert decision == Hold(SkipReason.REJECTED)
        elif before.state in {State.REJECTED, State.FAILED}:
            assert decision == (Hold(SkipReason.REPLACED) if self.replaced(before) else SendNew())
        elif before.state is State.IN_DOUBT and policy is HOLD:
            assert decision == Hold(SkipReason.IN_DOUBT)
        if isinstance(decision, SendSame):
            assert judgement.request_id == before.request_id
            assert 0 <= self.now - before.at_ms < DAY_MS
            assert not before.replayed
        if not isinstance(decision, Hold):
            assert judgement.takes_over == (before.ref,)

    def replaced(self, bad: Entry) -> bool:
        """Whether something was accepted for the person in a later run."""
        return any(
            one.alive and one.state is State.ACCEPTED and one.key[:8] == bad.key[:8] and one.ref.run > bad.ref.run
            for one in self.entries
        )

    def named(self, judgement: Judgement) -> tuple[RequestId, int]:
        """The Request-ID of a claim, and since when it is in use."""
        if judgement.request_id is not None:
            return judgement.request_id, judgement.requested_at_ms
        return a_new_id(len(self.entries)), self.now

    def claim(self, key: Key, claim: Claim) -> None:
        """In the ledger and in the model."""
        self.tally.claimed(1)
        self.ledger.exchange(self.run, [], [claim], self.tally.totals())
        for ref in claim.takes_over:
            self.of(ref).alive = False
        ref = EntryRef(self.run, 1, claim.request.row.number)
        self.entries.append(Entry(ref, key, claim.request_id, claim.requested_at_ms))
        self.flying.append(claim)

    @precondition(lambda self: self.flying)
    @rule(
        data=st.data(),
        state=st.sampled_from([State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT]),
        replayed=st.booleans(),
    )
    def answer(self, data: st.DataObject, state: State, replayed: bool) -> None:
        """Some claims end."""
        count = data.draw(st.integers(1, len(self.flying)))
        settled = [ends(claim, state, replayed=replayed) for claim in self.flying[:count]]
        self.tally.settled(settled)
        self.ledger.exchange(self.run, settled, [], self.tally.totals())
        for claim in self.flying[:count]:
            entry = self.of(EntryRef(self.run, 1, claim.request.row.number))
            entry.state, entry.replayed = state, replayed
        del self.flying[:count]

    @rule()
    def crash(self) -> None:
        """The process dies; the next one opens the ledger, buries the dead and begins a run of its own."""
        self.ledger.close()
        self.ledger = self.backend.open()
        assert self.ledger.bury_dead_runs("crm", self.now) == [self.name]
        dead = History(self.ledger).run(self.name).totals
        assert dead.balanced
        assert dead.read == self.row_count(self.run)
        assert dead.codes.get(f"in_doubt:{DIED}", 0) == len(self.flying)
        for claim in self.flying:
            self.of(EntryRef(self.run, 1, claim.request.row.number)).state = State.IN_DOUBT
        self.flying.clear()
        self.begin()

    def row_count(self, run: RunId) -> int:
        """Rows that a run has claimed."""
        return sum(entry.ref.run == run for entry in self.entries)

    @precondition(lambda self: not self.flying)
    @rule()
    def finish(self) -> None:
        """The run ends well, and another begins."""
        end(self.ledger, self.run, self.tally.totals(), at_ms=self.now)
        self.begin()

    @rule(passing=st.sampled_from([MINUTE_MS, DAY_MS // 2, 2 * DAY_MS, -MINUTE_MS]))
    def time_passes(self, passing: int) -> None:
        """Forwards, as a rule."""
        self.now += passing

    @precondition(lambda self: any(one.alive and one.state is State.REJECTED for one in self.entries))
    @rule(data=st.data())
    def retry_with_another_mapping(self, data: st.DataObject) -> None:
        """A row asks for something else by now: its new entry stands for the old one."""
        old = data.draw(
            st.sampled_from([one for one in self.entries if one.alive and one.state is State.REJECTED]),
            label="old entry",
        )
        self.row += 1
        request = a_request(self.row, f"moved-{len(self.entries)}")
        self.claim(request.key, Claim(1, request, a_new_id(len(self.entries)), self.now, takes_over=(old.ref,)))

    @rule(data=st.data(), decision=st.sampled_from([State.ACCEPTED, State.FAILED, State.RESEND]))
    def a_person_decides(self, data: st.DataObject, decision: State) -> None:
        """About everything in doubt of one run."""
        known = History(self.ledger).runs("crm", limit=self.number)  # a purge forgets empty ones
        run_id = data.draw(st.sampled_from(known)).id
        doubtful = frozenset({State.IN_DOUBT, State.RESEND})
        theirs = [one for one in self.entries if one.alive and one.ref.run == run_id and one.state in doubtful]

        assert History(self.ledger).resolve(Wanted(doubtful, run=run_id), (), decision) == len(theirs)

        for entry in theirs:
            entry.state = decision

    @precondition(lambda self: any(entry.ref.run != self.run for entry in self.entries))
    @rule(age_ms=st.sampled_from([0, DAY_MS]))
    def purge(self, age_ms: int) -> None:
        """What old runs left goes: history and outcomes, and never what the gate needs."""
        old = self.ended_before(self.now - age_ms)
        Purge(self.ledger, "crm", self.now - age_ms, None).go()
        for entry in self.entries:
            if entry.ref.run in old and entry.alive and entry.state is State.ACCEPTED:
                entry.request_id = STRIPPED_ID
        self.entries = [entry for entry in self.entries if entry.alive or entry.ref.run not in old]

    def ended_before(self, moment_ms: int) -> set[RunId]:
        """Runs that ended earlier, as the ledger has noted it."""
        known = select(runs.c.id).where(runs.c.ended_ms < moment_ms)
        return {RunId(number) for number in self.ledger.connection.execute(known).scalars()}

    @rule(ask=asks, state=st.sampled_from([State.ACCEPTED, State.REJECTED, State.IN_DOUBT]))
    def another_job_goes_on_beside(self, ask: tuple[str, str], state: State) -> None:
        """A second connection to the same ledger, as another process has it, between two commits of the first."""
        self.beside += 1
        who, what = ask
        with self.backend.open() as other:
            run = a_run(other, f"beside-{self.beside}", job="beside", at_ms=self.now)
            claim = a_claim(a_request(1, f"beside-{who}", f"{what}-{self.beside}"), at_ms=self.now)
            send(other, run, claim, to=state)
            assert self.ledger.standing([claim.request.key])[claim.request.key].state is state
            end(other, run, at_ms=self.now)
        self.beside_keys.append((claim.request.key, EntryRef(run, 1, 1), state))

    # --- laws -----------------------------------------------------------------------------------

    @invariant()
    def at_most_one_entry_of_a_key_is_live(self) -> None:
        """As the tables themselves say."""
        doubles = select(entries.c.key).where(live).group_by(entries.c.key).having(func.count() > 1)
        assert self.ledger.connection.execute(doubles).all() == []

    @invariant()
    def every_key_stands_as_the_model_says(self) -> None:
        """Address, state, Request-ID and age."""
        keys = [*KEYS, *(entry.key for entry in self.entries)]
        told = {
            key: (one.ref, one.state, one.request_id, one.requested_at_ms, one.replayed)
            for key, one in self.ledger.standing(keys).items()
        }
        assert told == {
            one.key: (one.ref, one.state, one.request_id, one.at_ms, one.replayed) for one in self.entries if one.alive
        }

    @invariant()
    def nothing_of_another_job_changes(self) -> None:
        """Neither by our commits and crashes nor by our purges."""
        told = self.ledger.standing([key for key, _, _ in self.beside_keys])
        assert {key: (one.ref, one.state) for key, one in told.items()} == {
            key: (ref, state) for key, ref, state in self.beside_keys
        }

    @invariant()
    def states_are_counted_as_the_model_counts(self) -> None:
        """For the run that goes on; entries that were taken over count too."""
        expected = Counter(entry.state for entry in self.entries if entry.ref.run == self.run)
        assert self.ledger.count_states(self.run) == expected

    @invariant()
    def totals_balance_but_for_what_is_flying(self) -> None:
        """The noted totals and the noted entries never disagree."""
        totals = History(self.ledger).run(self.name).totals
        assert totals.read - totals.ended == len(self.flying)


def a_new_id(number: int) -> RequestId:
    """A Request-ID that no other entry has."""
    return RequestId(f"00000000-0000-4000-8000-{number:012x}")


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=35, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
