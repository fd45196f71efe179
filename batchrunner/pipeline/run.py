"""The straight way: rows in, claims out to the window, ends back, in one loop on one thread.

    collect ends -> take what may be claimed -> one transaction: settle what came, claim what goes next -> hand over,
    write, show

Nothing is sent before its claim is durable, and nothing is reported before its outcome is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from batchrunner.clock import Clock
from batchrunner.config import ErrorLimit
from batchrunner.errors import ApiRefusedUs, BatchrunnerError, LedgerError, ResultError, SourceError
from batchrunner.gate import Hold
from batchrunner.model import (
    Accepted,
    Claim,
    InDoubt,
    Key,
    Parcel,
    RunId,
    Settled,
    Skipped,
    SkipReason,
    Totals,
    people_of,
)
from batchrunner.pipeline.admission import Admission, Candidate, Taken, apart
from batchrunner.pipeline.balance import imbalance
from batchrunner.pipeline.carriage import Carriage
from batchrunner.pipeline.changes import Changes, Held
from batchrunner.pipeline.claims import claims_of, each_of, too_late, unsent
from batchrunner.pipeline.packing import Packed
from batchrunner.pipeline.relay import Relay
from batchrunner.pipeline.room import Room, room_for
from batchrunner.pipeline.stops import StopRequest, refused_every_row, too_many_errors
from batchrunner.pipeline.tally import Tally
from batchrunner.pipeline.window import Window
from batchrunner.ports import Ledger, Onward, Progress, ResultSink
from batchrunner.stopwatch import UNWATCHED, Stopwatch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How far the loop may go."""

    concurrency: int
    """The most requests in flight; the window may allow fewer at the moment."""
    max_errors: ErrorLimit | None
    window_ms: int
    most_ahead: int = 0
    """Claims that may wait for a connection where commits are what takes long, if more than there are connections."""

    @property
    def room(self) -> int:
        """The most claims in the window at once, where commits keep up."""
        return room_for(self.concurrency)


class Guard(Protocol):
    """Holds rows back although nothing is wrong with them (`nights.guards`)."""

    def over(self) -> BatchrunnerError | None:
        """Why nothing more may begin, if that is so."""
        ...

    def room(self, taken_up: int) -> tuple[int | None, BatchrunnerError | None]:
        """How many more rows may be taken up (None: any number), and what holds back the others."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: what it adds up to, and why it stopped early, if it did."""

    totals: Totals
    error: BatchrunnerError | None


@dataclass(frozen=True, slots=True)
class _Out:
    """What is claimed in an exchange, and what leaves once that is durable."""

    claims: Sequence[Claim]
    loads: Sequence[Claim | Parcel]
    noted: Onward | None = None


class Run:
    """One execution of the straight way."""

    def __init__(  # noqa: PLR0913  the composition root names every part
        self,
        *,
        run: RunId,
        ledger: Ledger,
        admission: Admission,
        open_window: Callable[[], Window],
        results: ResultSink,
        progress: Progress,
        limits: RunLimits,
        stop: StopRequest,
        clock: Clock,
        watch: Stopwatch = UNWATCHED,
        guard: Guard | None = None,
        carriage: Carriage | None = None,
        relay: Relay | None = None,
        changes: Changes | None = None,
    ) -> None:
        """Hold the parts; `go` does the work. Without carriage and relay, each row goes by itself and in one step."""
        self._run = run
        self._ledger = ledger
        self._admission = admission
        self._open_window = open_window
        self._results = results
        self._progress = progress
        self._limits = limits
        self._stop = stop
        self._clock = clock
        self._watch = watch
        self._guard = guard
        self._carriage = carriage
        self._relay = relay
        self._changes = changes
        self._claims_at_once = Room(limits.most_ahead)
        self._taken_up = 0
        self._full = False
        self._tally = Tally()
        self._flying: dict[Key, Claim] = {}
        self._durable = Totals()
        self._error: BatchrunnerError | None = None
        self._draining = False
        self._given_up = False

    def go(self) -> Ended:
        """Run until every row has ended or something stops it. Never raises what a run can end in."""
        try:
            self._window = self._open_window()
        except BatchrunnerError as error:
            return Ended(self._durable, error)
        self._stop.wake = self._window.wake
        try:
            while self._step():
                pass
            self._window.close()
            totals = self._tally.totals()
            return Ended(totals, self._error or imbalance(totals, self._ledger.count_states(self._run)))
        except LedgerError as error:
            # What is in flight cannot be settled any more: its claims stay open, and the next run finds them.
            self._window.close(at_once=True)
            return Ended(self._durable.with_open_claims(len(self._flying), "ledger"), error)
        except BaseException:
            # No memory, or a bug: nothing may leave any more once the job's lock is free. The next run finds us dead.
            self._window.close(at_once=True)
            raise

    # --- one turn of the loop ------------------------------------------------------------------------

    def _step(self) -> bool:
        """Collect, take, exchange, hand over. False when nothing is left to do."""
        ends, onward = self._unloaded(self._collect(wait=not self._could_take()))
        self._tally.settled(ends)
        # Before anything more is claimed: a platform that refuses us must not cost another row.
        self._look_for_reasons_to_stop(ends)
        # What has ended makes room: its settling and the claims that take its place are one commit.
        taken, out = self._loaded(self._take(landing=len(ends)), onward)
        if not taken and not ends and not onward:
            return bool(self._flying) or self._could_take()
        self._exchange(taken, out, ends)
        return True

    def _collect(self, *, wait: bool) -> list[Settled]:
        if not self._flying:
            return []
        self._watch.lap("other")
        asked_s = self._clock.elapsed_s()
        ends = self._window.collect(wait=wait)
        if wait:  # there was no room left: only then does it matter how much there is
            self._claims_at_once.collected(self._clock.elapsed_s() - asked_s, self._window.concurrency)
        self._watch.lap("wait")
        return ends + self._give_up(ends) if self._stop.at_once else ends

    def _could_take(self, landing: int = 0) -> bool:
        return not self._stopping() and not self._full and self._admission.can_go_on and self._room(landing) > 0

    def _room(self, landing: int) -> int:
        if self._carriage is None:
            return self._claims_at_once.for_claims(self._window.concurrency) - len(self._flying) + landing
        room = self._carriage.room_for(self._window.concurrency)
        return room - self._carriage.waiting - len(self._flying) + landing

    def _take(self, landing: int) -> Taken:
        if self._given_up or not self._could_take(landing):
            return Taken()
        try:
            taken = self._admission.take(max(1, self._room(landing)))
        except (SourceError, ResultError) as error:
            self._stop_because(error)
            return Taken()
        if self._stop.at_once:  # since these were taken: nothing could send them any more
            return Taken(skipped=taken.skipped, unusable=taken.unusable)
        return self._guarded(self._still_safe(taken))

    def _guarded(self, taken: Taken) -> Taken:
        """Leave out what the job's guards hold back: those rows were not read as far as this run is concerned."""
        if self._guard is not None and taken.candidates:
            room, held = self._guard.room(self._taken_up)
            if held is not None and room is not None and len(taken.candidates) > room:
                # What has been taken up is sent like any other row; only nothing more is taken.
                self._full, self._error = True, self._error or held
                taken = Taken(taken.candidates[:room], taken.skipped, taken.unusable)
        self._taken_up += len(taken.candidates)
        return taken

    # --- rows that leave together ----------------------------------------------------------------------

    def _unloaded(self, ends: list[Settled]) -> tuple[list[Settled], Sequence[Claim | Parcel]]:
        """Which rows have ended, and what leaves for those that have not."""
        carrier = self._carriage or self._relay
        if carrier is None or not ends:
            return ends, []
        onward: Sequence[Claim | Parcel]
        ended, onward = carrier.unload(ends, self._clock.now_ms())
        if onward:
            self._tally.went_on(sum(end.requests for end in ends) - sum(end.requests for end in ended))
        self._tally.updated(0 if self._relay is None else self._relay.updated(ended))
        if carrier.trouble is not None:
            self._stop_because(carrier.trouble)
        if self._given_up:  # nothing could send them any more
            return ended + [unsent(claim) for claim in each_of(onward)], []
        return ended, onward

    def _loaded(self, taken: Taken, onward: Sequence[Claim | Parcel]) -> tuple[Taken, _Out]:
        """The claims to be made, as they are to leave; and `taken` without what waits for company."""
        if self._carriage is None:
            claims = claims_of(taken.candidates, self._clock.now_ms())
            if self._relay is None:
                return taken, _Out(claims, claims)
            begun = self._relay.begun(claims)
            return taken, _Out(begun, [*begun, *onward], Onward(each_of(onward)))
        halves = [one for one in onward if isinstance(one, Parcel)]  # a carriage knows nothing else
        if self._stopping():
            return Taken([], taken.skipped, taken.unusable), _Out([], halves, self._noted([], halves))
        packed = self._packed(taken)
        now_ms = self._clock.now_ms()
        alone = claims_of(packed.alone, now_ms)
        groups = self._carriage.claims(packed.groups, now_ms)
        claims = [*alone, *chain.from_iterable(groups)]
        parcels = [*(Parcel(tuple(group)) for group in groups), *halves]
        candidates = [*packed.alone, *chain.from_iterable(packed.groups)]
        out = _Out(claims, [*alone, *parcels], self._noted(parcels, halves))
        return Taken(candidates, taken.skipped, taken.unusable), out

    def _noted(self, parcels: Sequence[Parcel], onward: Sequence[Parcel]) -> Onward:
        if self._carriage is None:
            return Onward()
        records = self._carriage.records([one.claims for one in parcels or onward])
        return Onward(each_of(onward), records, self._carriage.tasks())

    def _packed(self, taken: Taken) -> Packed:
        """What may be claimed now; what cannot leave as it did before is held back, or sent anew where that is safe."""
        if self._carriage is None:
            return Packed()
        last = self._full or not self._admission.can_go_on
        packed = self._carriage.load(taken.candidates, last=last)
        if not packed.apart:
            return packed
        anew = []
        for candidate in packed.apart:
            judgement = apart(candidate.judgement)
            if isinstance(judgement.decision, Hold):
                self._admission.claimed([candidate])
                self._admission.landed(candidate.request.who)
                taken.skipped.append(Skipped(candidate.request, judgement.decision.reason))
            else:
                anew.append(Candidate(candidate.source_no, candidate.request, judgement))
        more = self._carriage.load(anew, last=last)
        return Packed(packed.alone + more.alone, packed.groups + more.groups)

    # --- durable, then out -----------------------------------------------------------------------------

    def _exchange(self, taken: Taken, out: _Out, ends: list[Settled]) -> None:
        self._tally.skipped(taken.skipped)
        self._tally.unusable(end for _, end in taken.unusable)
        self._tally.claimed(len(out.claims))
        totals = self._tally.totals()
        self._watch.lap("other")
        if out.noted is None:
            self._ledger.exchange(self._run, ends, out.claims, totals)
        else:
            self._ledger.exchange(self._run, ends, out.claims, totals, out.noted)
        self._durable = totals
        if ends:
            self._window.durable(ends)
        self._hand_over(taken.candidates, out)
        keys = [end.claim.request.key for end in ends]
        for key in keys:
            del self._flying[key]
        self._admission.all_landed(people_of(keys))
        self._report(taken, ends, totals)

    def _hand_over(self, candidates: Sequence[Candidate], out: _Out) -> None:
        if not out.loads:
            return
        self._admission.claimed(candidates)
        self._flying.update(zip([claim.request.key for claim in out.claims], out.claims, strict=True))
        if out.noted is not None:
            self._flying.update((claim.request.key, claim) for claim in out.noted.claims)
        self._window.submit(out.loads)

    def _report(self, taken: Taken, ends: Sequence[Settled], totals: Totals) -> None:
        try:
            self._watch.lap("other")
            if taken.unusable:
                self._results.unusable(taken.unusable)
            if ends:
                self._results.settled(ends)
                self._tell(ends)
            self._watch.lap("write")
        except ResultError as error:
            self._stop_because(error)
        self._progress.update(self._admission.position, totals, len(self._flying))

    def _tell(self, ends: Sequence[Settled]) -> None:
        """One line of log for each row that was not accepted. Never a payload."""
        if not log.isEnabledFor(logging.INFO):
            return
        for end in ends:
            if isinstance(end.outcome, Accepted):
                continue
            row, outcome = end.claim.request.row, type(end.outcome).__name__
            log.info(
                "row=%d line=%d source=%d outcome=%s code=%s attempts=%d elapsed_ms=%d",
                row.number, row.line, end.claim.source_no, outcome, end.outcome.code, end.attempts, end.elapsed_ms,
            )  # fmt: skip

    # --- claims ----------------------------------------------------------------------------------------

    def _still_safe(self, taken: Taken) -> Taken:
        """Hold back what the platform might not recognise any more, and what the job does not ask for."""
        now_ms, window_ms = self._clock.now_ms(), self._limits.window_ms
        late = [one for one in taken.candidates if one.judgement.request_id and too_late(one, now_ms, window_ms)]
        taken = self._without(taken, [(one, SkipReason.WINDOW) for one in late])
        if self._changes is None or not taken.candidates:
            return taken
        kept, held = self._changes.look(taken.candidates, now_ms)
        return self._without(Taken(kept, taken.skipped, taken.unusable), held)

    def _without(self, taken: Taken, held: Sequence[Held]) -> Taken:
        if not held:
            return taken
        self._admission.claimed([one for one, _ in held])
        for one, _ in held:
            self._admission.landed(one.request.who)
        skipped = [Skipped(one.request, reason) for one, reason in held]
        gone = {id(one) for one, _ in held}
        kept = [one for one in taken.candidates if id(one) not in gone]
        return Taken(kept, [*taken.skipped, *skipped], taken.unusable)

    # --- stopping --------------------------------------------------------------------------------------

    def _stopping(self) -> bool:
        if not self._draining and (interrupted := self._stop.error()):
            self._stop_because(interrupted)
        return self._draining

    def _stop_because(self, error: BatchrunnerError) -> None:
        """Claim nothing more; what is in flight settles. The first reason is the one that is told."""
        if self._error is None:
            self._error = error
            log.info("stopping: %s", error)
        if not self._draining:
            self._draining = True
            self._window.drain()

    def _look_for_reasons_to_stop(self, ends: Sequence[Settled]) -> None:
        for end in ends:
            if end.refusal is not None:
                self._stop_because(ApiRefusedUs(end.refusal))
        if self._window.trouble is not None:
            self._stop_because(self._window.trouble)
        totals = self._tally.totals()
        error: BatchrunnerError | None = too_many_errors(totals, self._limits.max_errors)
        error = error or refused_every_row(totals)
        if error is None and self._guard is not None:
            error = self._guard.over()
        if error is not None and not self._draining:
            self._stop_because(error)

    def _give_up(self, ends: Sequence[Settled]) -> list[Settled]:
        """The second signal: what has not ended by now is in doubt."""
        self._stopping()
        self._given_up = True
        self._window.close(at_once=True)
        ended = {end.claim.request.key for end in ends}
        late = self._window.collect(wait=False)
        ended |= {end.claim.request.key for end in late}
        doubt = InDoubt("interrupted", "the run was stopped before an answer came")
        return late + [Settled(claim, doubt, 1, 1) for key, claim in self._flying.items() if key not in ended]
