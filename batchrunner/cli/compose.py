"""The composition root: from a job and options to the parts of a run, joined."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from batchrunner.cli.batches import carriage_of, in_batches
from batchrunner.cli.options import state_dir
from batchrunner.cli.sending import (
    leave_the_collector_little_to_do,
    make_submitter,
    milliseconds,
    resends,
)
from batchrunner.cli.shares import opened
from batchrunner.cli.steps import changes_of, relay_of, steps_of
from batchrunner.cli.uploading import files_named_by
from batchrunner.clock import Clock, SystemClock
from batchrunner.config import Job
from batchrunner.errors import BatchrunnerError, ConfigError, SourceError, UsageError
from batchrunner.gate import GatePolicy
from batchrunner.ledger import SqlLedger
from batchrunner.mapping import (
    Repairs,
    compile_mapping,
    job_from_mapping_text,
    mapping_text,
    reads_alike,
    reads_files,
    recipe_of,
)
from batchrunner.model import RunId, State
from batchrunner.pipeline import (
    MOST_AHEAD,
    Admission,
    Batch,
    Ended,
    Guard,
    Input,
    PlainGate,
    Run,
    RunLimits,
    Senders,
    StopRequest,
    Stretches,
    ThreadWindow,
    ToldLimit,
    Window,
    sent_again,
)
from batchrunner.ports import Mapper, Progress, Reader, ResultSink, Submitter
from batchrunner.progress import Fetching
from batchrunner.results import Shape
from batchrunner.sources import CHUNK_ROWS, open_source
from batchrunner.sources.places import AtHand, Place, RemoteFile, at_hand
from batchrunner.sources.spool import Spool
from batchrunner.stopwatch import Stopwatch
from batchrunner.submit import AdaptiveLimit, new_event_loop

Limit = AdaptiveLimit | ToldLimit
"""What finds out how many requests may be in flight: here, or in the one process that sends."""


# --- inputs ------------------------------------------------------------------------------------

ROWS_WITH_FILES = 100
"""Rows mapped at once where each carries the content of a file: memory stays flat."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source and how it is written."""

    name: str
    """As a person calls it: its path."""
    reader: Reader
    shape: Shape
    repairs: Repairs = field(default_factory=Repairs)
    """Of damaged cells, as they were met."""

    @property
    def short_name(self) -> str:
        """Without folders."""
        return Path(self.name).name


def open_places(
    job: Job, found: Sequence[Place], go_on: Callable[[], None] = lambda: None, *, bar: bool | None = None
) -> list[OpenSource]:
    """Open what lies there. Raises SourceError.

    What is piped in, or lies on another machine, is copied first; `go_on` is called while that takes its time, and may
    raise. `bar`: whether it is shown how much has come; None lets the terminal decide.
    """
    return [open_at_hand(job, brought(job, place, go_on, bar=bar)) for place in found]


def brought(job: Job, place: Place, go_on: Callable[[], None] = lambda: None, *, bar: bool | None = None) -> AtHand:
    """A file on this machine with what lies at a place: itself, or a copy. Raises SourceError."""
    if not isinstance(place, RemoteFile):
        return at_hand(place, spool_of(job), go_on)
    with Fetching(place.name, shown=bar) as fetching:
        return at_hand(place, spool_of(job), go_on, fetching.update)


def spool_of(job: Job) -> Spool:
    """Where copies of this job's sources are kept."""
    oldest_s = (SystemClock().now_ms() - milliseconds(job.source.keep_copies)) / 1000
    return Spool(state_dir() / "spool" / job.name, oldest_s)


def open_at_hand(job: Job, file: AtHand) -> OpenSource:
    """Open a file that is on this machine. Raises SourceError."""
    rows = ROWS_WITH_FILES if reads_files(job) else CHUNK_ROWS
    try:
        reader = open_source(file.path, job.source, rows, called=file.called)
    except SourceError as error:
        if file.called is None:
            raise
        raise SourceError(str(error).replace(str(file.path), file.called)) from error
    table = job.source
    shape = Shape(
        reader.source.fingerprint,
        None if reader.header is None else tuple(reader.columns[: len(reader.header)]),
        table.delimiter,
        table.quote,
        encoding=reader.encoding,
        bom=reader.has_bom,
        header=reader.header,
        place=reader.place,
    )
    return OpenSource(file.name, reader, shape)


def mapped(job: Job, sources: Sequence[OpenSource]) -> list[Input]:
    """Compile the job's mapping against the columns of each source. Raises ConfigError with every problem."""
    inputs, problems = [], []
    recipe = None
    for one in sources:
        try:
            mapper = compile_mapping(job, one.reader.source, one.reader.columns, one.short_name, one.repairs)
            recipe = recipe or recipe_of(job)
            inputs.append(Input(one.reader, mapper, recipe, one.repairs.cells))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return inputs


def stretches_of(job: Job, ledger: SqlLedger, run: RunId) -> Stretches | None:
    """What is known of rows that come again; nothing in a job that forgets what was accepted."""
    return None if job.rules.repeat_after is not None else Stretches(ledger, run)


# --- policies ----------------------------------------------------------------------------------


def gate_policy(job: Job, again: frozenset[State] = frozenset()) -> GatePolicy:
    """What the job says to the gate."""
    return GatePolicy(
        resend_in_doubt=resends(job),
        window_ms=milliseconds(job.target.dedupe_window),
        repeat_after_ms=None if job.rules.repeat_after is None else milliseconds(job.rules.repeat_after),
        again=again,
        repeat_safe=not job.target.call.engages,
        holds=job.rules.in_doubt == "hold",
    )


def plain_gate(
    job: Job, ledger: SqlLedger, run: RunId, policy: GatePolicy, stretches: Stretches | None = None
) -> PlainGate:
    """The gate for the way that the job's rows take."""
    way = steps_of(job)
    return PlainGate(ledger, run, policy, SystemClock(), in_parcels=in_batches(job), stretches=stretches, steps=way)


def run_limits(job: Job) -> RunLimits:
    """How far the loop may go."""
    window_ms = milliseconds(job.target.dedupe_window)
    return RunLimits(job.limits.most_in_flight, job.limits.max_errors, window_ms, MOST_AHEAD)


# --- the guard ---------------------------------------------------------------------------------


def guard_against_resending(
    job: Job, sources: Sequence[OpenSource], inputs: Sequence[Input], ledger: SqlLedger, stop: StopRequest
) -> None:
    """Refuse a run that would send accepted rows again only because the job was changed. Raises UsageError.

    Every mapping the job ever ran with counts, not the last one only: each may have sent some of these rows.
    """
    earlier = ledger.earlier_mappings(job.name, mapping_text(job))
    if not earlier:
        return
    count = 0
    for source, now in zip(sources, inputs, strict=True):
        before = [mapper for text in earlier if (mapper := _as_it_was(job, text, source)) is not None]
        by_person = len(before) < len(earlier)
        count += sent_again(now, before, ledger, by_person=by_person, go_on=lambda: stop.signal_number is None)
    if stop.signal_number is None and count:
        raise UsageError(
            f"{job.file}: the job has changed in what it sends (mapping, how the file is read, installation or "
            f"`repeat`), and {count} rows that were sent before would be sent again because of it; nothing was sent. "
            "Look at 'preview', then add --allow-resend to go on, or undo the change"
        )


def _as_it_was(job: Job, text: str, source: OpenSource) -> Mapper | None:
    """The mapper of an earlier mapping, or None where it cannot be compared row by row with what is read now."""
    if not reads_alike(text, job):
        return None
    try:
        was = job_from_mapping_text(text, job)
        return compile_mapping(was, source.reader.source, source.reader.columns, source.short_name)
    except ConfigError:
        return None


# --- the run -----------------------------------------------------------------------------------


def window_opener(
    job: Job,
    token: str,
    clock: Clock,
    limit: Limit | None,
    ledger: SqlLedger,
    watch: Stopwatch,
    senders: Senders | None = None,
) -> Callable[[], Window]:
    """Make the HTTP side when it is wanted: in a thread of its own, or in processes of its own."""
    if senders is not None:
        return lambda: opened(senders, ledger, watch)
    if isinstance(limit, ToldLimit):
        raise TypeError("only a process tells of its limit")
    most, files = job.limits.most_in_flight, files_named_by(job)
    limit_now = None if limit is None else lambda: limit.limit

    def make() -> Submitter:
        return make_submitter(job, token, clock, limit, ledger.path, most, files)

    return lambda: ThreadWindow(make, most, new_event_loop, limit_now, watch)


def go(
    job: Job,
    token: str,
    *,
    run: RunId,
    ledger: SqlLedger,
    batches: Iterator[Batch],
    results: ResultSink,
    progress: Progress,
    stop: StopRequest,
    clock: Clock,
    limit: Limit | None,
    watch: Stopwatch,
    guard: Guard | None = None,
    senders: Senders | None = None,
) -> Ended:
    """Join the parts and run them."""
    leave_the_collector_little_to_do()
    watch.start()
    ledger.watch = watch
    return Run(
        run=run,
        ledger=ledger,
        admission=Admission(batches),
        open_window=window_opener(job, token, clock, limit, ledger, watch, senders),
        results=results,
        progress=progress,
        limits=run_limits(job),
        stop=stop,
        clock=clock,
        watch=watch,
        guard=guard,
        carriage=carriage_of(job, ledger, clock),
        relay=relay_of(job),
        changes=changes_of(job, ledger),
    ).go()


@contextmanager
def signals_to(stop: StopRequest) -> Iterator[None]:
    """SIGINT and SIGTERM ask the run to stop, for as long as the block lasts."""

    def asked(number: int, _: FrameType | None) -> None:
        stop.signalled(number)

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_if_stopped(stop: StopRequest) -> None:
    """Before a run has begun, a signal simply ends it."""
    error: BatchrunnerError | None = stop.error()
    if error is not None:
        raise error
