"""Stand-ins for the rooms around the pipeline: a source of given rows, a submitter with a script, a clock to set."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledgers import DAY_MS, NOW_MS, a_source, ends, key_of

from batchrunner.chunks import Chunk
from batchrunner.errors import BatchrunnerError
from batchrunner.gate import GatePolicy
from batchrunner.ledger import SqlLedger
from batchrunner.model import Claim, Outcome, Request, Row, RunId, Settled, State, Totals, Unusable
from batchrunner.pipeline import (
    NO_STEPS,
    Admission,
    Changes,
    Ended,
    Guard,
    Input,
    PlainGate,
    Relay,
    Run,
    RunLimits,
    Steps,
    StopRequest,
    Stretches,
    ThreadWindow,
    feed,
)
from batchrunner.ports import Landing, Ledger, Submitter

Cells = tuple[str, str]
"""Who, and what is asked; `("", why)` is a row that cannot become a request."""

POLICY = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS)


@dataclass
class SetClock:
    """Time as a test wants it."""

    now: int = NOW_MS

    def now_ms(self) -> int:
        """The set moment."""
        return self.now

    def elapsed_s(self) -> float:
        """In step with it."""
        return self.now / 1000


class ListReader:
    """A source of given rows, some in each chunk; after them, perhaps, an error."""

    def __init__(
        self, rows: Sequence[Cells], *, chunk_rows: int = 5, error: BatchrunnerError | None = None, name: str = "a.csv"
    ) -> None:
        self.source = a_source(name)
        self.columns = ("who", "what")
        self.chunks_read = 0
        self._rows = [Row(number, number + 1, cells) for number, cells in enumerate(rows, start=1)]
        self._chunk_rows = chunk_rows
        self._error = error

    def chunks(self) -> Iterator[Chunk]:
        """The rows; a row about `broken` is a broken record."""
        for start in range(0, len(self._rows), self._chunk_rows):
            self.chunks_read += 1
            part = self._rows[start : start + self._chunk_rows]
            good = [row for row in part if row.record[0] != "broken"]
            broken = [Unusable(row, "bad_json", "broken") for row in part if row.record[0] == "broken"]
            yield Chunk(self.columns, good, [row.record for row in good], broken, position=10 * (start + len(part)))
        if self._error is not None:
            raise self._error


@dataclass(frozen=True)
class CellsMapper:
    """The key follows from the cells; `change` is what a changed mapping does to what is asked."""

    change: Callable[[str], str] = str

    def map(self, chunk: Chunk) -> list[Request | Unusable]:
        """One request a row."""
        return [self._one(row) for row in chunk.rows]

    def _one(self, row: Row) -> Request | Unusable:
        who, what = row.record
        if not who:
            return Unusable(row, what, "no address")
        return Request(key_of(who, self.change(what)), row, b"{}")


Script = Callable[[Claim, "ScriptedSubmitter"], Awaitable[Outcome | State | Settled]]


async def accept(_: Claim, __: ScriptedSubmitter) -> State:
    """The platform takes everything."""
    return State.ACCEPTED


class ScriptedSubmitter:
    """The HTTP side, without HTTP: a coroutine says how each claim ends."""

    def __init__(self, script: Script = accept) -> None:
        self.script = script
        self.submitted: list[Claim] = []
        self.flying: set[Claim] = set()
        self.most_flying = 0
        self.drained = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.closed = False

    async def submit(self, claim: Claim) -> Settled:
        """As the script says."""
        self.submitted.append(claim)
        self.flying.add(claim)
        self.most_flying = max(self.most_flying, len(self.flying))
        try:
            said = await self.script(claim, self)
        finally:
            self.flying.discard(claim)
        return said if isinstance(said, Settled) else ends(claim, said)

    def drain(self) -> None:
        """Remembered for scripts that wait for it."""
        self.drained.set()

    async def aclose(self) -> None:
        """Remembered."""
        self.closed = True


class AtOnceSubmitter(ScriptedSubmitter):
    """It sends without a task where it likes: not every fourth row, and what fails goes on in one."""

    def __init__(self, script: Script = accept) -> None:
        super().__init__(script)
        self._flights: set[asyncio.Task[Settled]] = set()

    def begin(self, claim: Claim, landing: Landing) -> bool:
        """As the script says, told by a callback of the loop."""
        if claim.request.row.number % 4 == 0:
            return False
        flight = self.loop.create_task(self.submit(claim))
        self._flights.add(flight)
        flight.add_done_callback(lambda _: self._landed(claim, flight, landing))
        return True

    async def aclose(self) -> None:
        """Nobody is told any more."""
        for flight in self._flights:
            flight.cancel()
        await super().aclose()

    def _landed(self, claim: Claim, flight: asyncio.Task[Settled], landing: Landing) -> None:
        self._flights.discard(flight)
        if self.closed:
            return
        if flight.cancelled() or flight.exception() is not None:
            landing.goes_on(claim, _of(flight))
        else:
            landing.landed(flight.result())


async def _of(flight: asyncio.Task[Settled]) -> Settled:
    return await flight


@dataclass
class Recorder:
    """Result files and the bar, as lists. `on_update` is called in the run's own thread after each exchange."""

    ends: list[Settled] = field(default_factory=list)
    bad: list[tuple[int, Unusable]] = field(default_factory=list)
    on_update: Callable[[int], None] = lambda _: None
    error: BatchrunnerError | None = None
    told: list[tuple[int, Totals]] = field(default_factory=list)

    def settled(self, settled: Sequence[Settled]) -> None:
        """Rows whose outcome is durable."""
        if self.error is not None:
            raise self.error
        self.ends += settled

    def unusable(self, unusable: Sequence[tuple[int, Unusable]]) -> None:
        """Rows that never became requests."""
        self.bad += unusable

    def update(self, position: int, totals: Totals, flying: int) -> None:
        """How far the run is."""
        self.told.append((position, totals))
        self.on_update(flying)


class Bench:
    """A run with all its parts, ready to go."""

    def __init__(
        self,
        ledger: SqlLedger,
        run: RunId,
        readers: Sequence[ListReader],
        script: Script = accept,
        *,
        limits: RunLimits | None = None,
        policy: GatePolicy = POLICY,
        seen_as: Ledger | None = None,
        rows_a_question: int = 4,
        make_submitter: Callable[[], Submitter] | None = None,
        limit_now: Callable[[], int] | None = None,
        guard: Guard | None = None,
        in_stretches: bool = False,
        steps: Steps = NO_STEPS,
        changes: Changes | None = None,
    ) -> None:
        """`seen_as` is the ledger that the run gets to see, if not the real one.

        With `in_stretches`, chunks that are known are passed over, and new ones are noted at the end.
        """
        self.ledger = ledger
        self.run = run
        self.recorder = Recorder()
        self.clock = SetClock()
        self.stop = StopRequest()
        self.limits = limits or RunLimits(concurrency=2, max_errors=None, window_ms=DAY_MS)
        self._limit_now = limit_now
        self._guard = guard
        self._script = script
        self._make = make_submitter or self._make_scripted
        self._seen: Any = seen_as or ledger
        self._inputs = [Input(reader, CellsMapper(), bytes(16)) for reader in readers]
        self.stretches = Stretches(ledger, run) if in_stretches else None
        self._policy = policy
        self._steps = steps
        self._changes = changes
        self._rows_a_question = rows_a_question

    def _make_scripted(self) -> ScriptedSubmitter:
        self.submitter = ScriptedSubmitter(self._script)
        return self.submitter

    def go(self) -> Ended:
        """Run to the end."""
        known = self.stretches
        gate = PlainGate(self._seen, self.run, self._policy, self.clock, stretches=known, steps=self._steps)
        batches = feed(self._inputs, gate, rows_a_question=self._rows_a_question, stretches=known)
        ended = Run(
            run=self.run,
            ledger=self._seen,
            admission=Admission(batches),
            open_window=lambda: ThreadWindow(
                self._make, self.limits.concurrency, asyncio.new_event_loop, self._limit_now
            ),
            results=self.recorder,
            progress=self.recorder,
            limits=self.limits,
            stop=self.stop,
            clock=self.clock,
            guard=self._guard,
            relay=None if self._steps == NO_STEPS else Relay(self._steps),
            changes=self._changes,
        ).go()
        if known is not None:
            known.keep()
        return ended

    @property
    def submitted(self) -> list[int]:
        """Row numbers in the order in which they were submitted."""
        return [claim.request.row.number for claim in self.submitter.submitted]
