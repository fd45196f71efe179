"""The feed: sources through mapper and gate, as batches that are judged at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from batchrunner.clock import Clock
from batchrunner.gate import Decision, GatePolicy, Hold, SendSame, judge
from batchrunner.model import (
    EntryRef,
    Key,
    Known,
    Mapped,
    ParcelRecord,
    Request,
    RequestId,
    RunId,
    SkipReason,
    State,
    Who,
)
from batchrunner.pipeline.admission import HELD, NEW, ROWS_A_QUESTION, Batch, Judged, Judgement, apart
from batchrunner.pipeline.steps import NO_STEPS, Steps, resumed
from batchrunner.pipeline.stretches import Stretches
from batchrunner.ports import Ledger, Mapper, Reader, Standing
from batchrunner.stopwatch import UNWATCHED, Stopwatch

if TYPE_CHECKING:  # see `ports`
    from batchrunner.chunks import Chunk


@dataclass(frozen=True, slots=True)
class Input:
    """One source of a run, open and with its mapping compiled against its columns."""

    reader: Reader
    mapper: Mapper
    recipe: bytes | None = None
    """What keys are made by, but for the cells of their rows; None: by more than that."""
    damage: Callable[[], int] = lambda: 0
    """Damaged cells that the mapper has met so far."""


_ENDED_BADLY = (State.FAILED, State.REJECTED)
_NONE: set[EntryRef] = set()


_DOUBTFUL = (State.CLAIMED, State.IN_DOUBT, State.RESEND)


class Gatekeeper(Protocol):
    """Asks the ledger about rows, and judges."""

    def judge(self, source_no: int, rows: Sequence[Mapped]) -> list[Judged]:
        """One judgement per request, in order; a row that is no part of this run at all is left out."""
        ...


class PlainGate:
    """The gate of `run`: every row of the file is judged by its key."""

    def __init__(  # noqa: PLR0913  what a run can do, beside what it is
        self,
        ledger: Ledger,
        run: RunId,
        policy: GatePolicy,
        clock: Clock,
        *,
        in_parcels: bool = False,
        stretches: Stretches | None = None,
        steps: Steps = NO_STEPS,
    ) -> None:
        """Judge for this run. With `in_parcels`, the run can repeat a request about many rows.

        `stretches` are told of what is found.
        """
        self._in_parcels = in_parcels
        self._stretches = stretches
        self._steps = steps
        self._ledger = ledger
        self._run = run
        self._policy = policy
        self._clock = clock

    def judge(self, source_no: int, rows: Sequence[Mapped]) -> list[Judged]:
        """Ask once for all keys, then decide one by one."""
        requests = [row for row in rows if isinstance(row, Request)]
        standing = self._ledger.standing([request.key for request in requests])
        if self._stretches is not None:
            self._stretches.met(source_no, rows, standing)
        if not standing and len(requests) == len(rows):  # nearly every chunk of a first run
            return list(zip(requests, repeat(NEW)))
        ended_badly = [(key, stands) for key, stands in standing.items() if stands.state in _ENDED_BADLY]
        replaced = self.replaced([(Who(key[:8]), stands) for key, stands in ended_badly]) if ended_badly else _NONE
        now_ms = self._clock.now_ms()
        judged: list[Judged] = [
            row
            if not isinstance(row, Request)
            else (row, self._judgement(known, replaced, now_ms) if (known := standing.get(row.key)) else NEW)
            for row in rows
        ]
        doubtful = {key: stands for key, stands in standing.items() if stands.state in _DOUBTFUL}
        return self._as_they_left(self._at_their_steps(judged, doubtful, now_ms)) if doubtful else judged

    def _at_their_steps(self, judged: list[Judged], doubtful: Mapping[Key, Standing], now_ms: int) -> list[Judged]:
        """What is in doubt about a row is the one request that it had come to."""
        steps = self._ledger.steps(doubtful.values())
        if not steps and not self._steps.split:
            return judged
        again = {
            key: resumed(
                self.judgement(one, now_ms), steps.get(one.ref), self._steps, self._harmless_judgement(one, now_ms)
            )
            for key, one in doubtful.items()
        }
        return [(one[0], again.get(one[0].key, one[1])) if isinstance(one, tuple) else one for one in judged]

    def _harmless_judgement(self, standing: Standing, now_ms: int) -> Judgement:
        return _judgement_of(judge(standing, self._run, self._policy.of_harmless, now_ms), standing)

    def _as_they_left(self, judged: list[Judged]) -> list[Judged]:
        """What left together is answered together: under its Request-ID, only the very same may leave again."""
        again = [one[1].request_id for one in judged if isinstance(one, tuple) and one[1].request_id is not None]
        parcels = self._ledger.parcels(again) if again else {}
        if not parcels:
            return judged
        return [self._as_it_left(one, parcels) for one in judged]

    def _as_it_left(self, judged: Judged, parcels: Mapping[RequestId, ParcelRecord]) -> Judged:
        if not isinstance(judged, tuple) or judged[1].request_id is None:
            return judged
        request, judgement = judged
        parcel = parcels.get(judged[1].request_id)
        return judged if parcel is None else (request, self._of_parcel(judgement, parcel))

    def _of_parcel(self, judgement: Judgement, parcel: ParcelRecord) -> Judgement:
        return replace(judgement, parcel=parcel) if self._in_parcels else apart(judgement)

    def _judgement(self, known: Standing, replaced: set[EntryRef], now_ms: int) -> Judgement:
        judgement = self.judgement(known, now_ms)
        if replaced and known.ref in replaced and not isinstance(judgement.decision, Hold):
            return HELD[SkipReason.REPLACED]
        return judgement

    def replaced(self, standing: Sequence[tuple[Who, Standing]]) -> set[EntryRef]:
        """Which of these ended badly before a later run served the same person: to send them now would be stale.

        So it is with a row that was corrected in `error.csv`, and with yesterday's row once today's has arrived.
        """
        bad = [(who, one.ref) for who, one in standing if one.state in _ENDED_BADLY]
        served = self._ledger.last_served([who for who, _ in bad]) if bad else {}
        return {ref for who, ref in bad if who in served and served[who] > ref.run}

    def judgement(self, standing: Standing, now_ms: int) -> Judgement:
        """Decide about one key, and say what a claim would carry over from the entry it takes over."""
        return _judgement_of(judge(standing, self._run, self._policy, now_ms), standing)


def _judgement_of(decision: Decision, standing: Standing) -> Judgement:
    if isinstance(decision, Hold):
        return HELD[decision.reason]
    doubtful = standing.state in _DOUBTFUL
    if isinstance(decision, SendSame):
        return Judgement(decision, standing.request_id, standing.requested_at_ms, doubtful, (standing.ref,))
    return Judgement(decision, doubtful=doubtful, takes_over=(standing.ref,))


def feed(  # noqa: PLR0913  the composition root names every part
    inputs: Sequence[Input],
    gate: Gatekeeper,
    limit: int | None = None,
    rows_a_question: int = ROWS_A_QUESTION,
    *,
    watch: Stopwatch = UNWATCHED,
    stretches: Stretches | None = None,
) -> Iterator[Batch]:
    """All rows of all inputs in order, up to `limit` of them. Raises SourceError.

    Where a whole chunk is known to the `stretches`, it is neither mapped nor judged.
    """
    left = limit
    before = 0
    for source_no, one in enumerate(inputs, start=1):
        reached = 0
        for chunk in one.reader.chunks():
            watch.lap("read")
            if stretches is not None and left is None:
                if stretches.know(chunk, one.recipe):
                    watch.lap("gate")
                    reached = chunk.position
                    yield Batch(source_no, [Known(len(chunk))], before + reached)
                    watch.lap("other")
                    continue
                damage = one.damage()
            ahead = len(chunk) + len(chunk.broken)
            for rows in _in_parts(chunk, one.mapper, rows_a_question):
                asked = rows[:left]
                watch.lap("map")
                reached += (chunk.position - reached) * len(asked) // ahead
                ahead -= len(asked)
                judged = gate.judge(source_no, asked)
                watch.lap("gate")
                yield Batch(source_no, judged, before + reached)
                watch.lap("other")
                if left is not None:
                    left -= len(asked)
                    if left == 0:
                        return
            if stretches is not None and left is None:
                stretches.passed(clean=one.damage() == damage)
        before += one.reader.source.size_bytes


def _in_parts(chunk: Chunk, mapper: Mapper, most: int) -> Iterator[list[Mapped]]:
    """The rows of a chunk, some at a time: while all of it was mapped at once, connections would run out of claims."""
    for part in chunk.parts(most):
        rows = in_file_order(part, mapper)
        for start in range(0, len(rows), most):
            yield rows[start : start + most]


def in_file_order(chunk: Chunk, mapper: Mapper) -> list[Mapped]:
    """The rows of a chunk, mapped, and its broken records where they stand in the file."""
    rows = mapper.map(chunk)
    if chunk.broken:
        rows = sorted([*rows, *chunk.broken], key=lambda judged: judged.row.number)
    return rows


def merged(judgement: Judgement, also: EntryRef) -> tuple[EntryRef, ...]:
    """The entries that a claim takes over, with one more."""
    return judgement.takes_over if also in judgement.takes_over else (*judgement.takes_over, also)
