"""`run` and `retry`: the two verbs that send."""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from batchrunner.cli import compose
from batchrunner.cli.exits import Exit, of_error, of_totals
from batchrunner.cli.locate import find_sources
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    parsed,
    say_json,
    sources_argument,
    state_dir,
)
from batchrunner.clock import SystemClock
from batchrunner.config import ErrorLimit, Job, Rate, load_job, parse_max_errors, parse_rate, read_token, with_overrides
from batchrunner.errors import BatchrunnerError, SourceError, UsageError
from batchrunner.ledger import Business, History, Place, SqlLedger, Wanted, open_ledger
from batchrunner.mapping import mapping_text
from batchrunner.model import RunId, State, Totals
from batchrunner.pipeline import Batch, Ended, Input, PlainGate, RetryGate, StopRequest, feed, rehearse
from batchrunner.progress import Bar
from batchrunner.report import Summary, rehearsal_text, rehearsal_values, summary_text, summary_values
from batchrunner.results import ResultFiles, write_private

OUTCOMES = {
    "failed": (State.FAILED,),
    "rejected": (State.REJECTED,),
    "in-doubt": (State.IN_DOUBT, State.RESEND),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for, beside the job."""

    ledger: str
    run_dir: Path | None
    output: str
    quiet: bool
    progress: bool
    dry_run: bool
    sandbox: bool = False
    limit: int | None = None
    allow_resend: bool = False


def sending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `run` and `retry` share."""
    for option in reversed(
        (
            ledger_option,
            click.option("--url", help="Send to this platform instead of the job's."),
            click.option("--concurrency", type=click.IntRange(1, 4096), help="Requests in flight at once."),
            click.option("--rate", callback=parsed(parse_rate), metavar="R", help="At most, as 50/s or 3000/min."),
            click.option(
                "--max-errors", callback=parsed(parse_max_errors), metavar="N|N%", help="Stop after so many errors."
            ),
            click.option("--run-dir", type=click.Path(path_type=Path), help="Where the result files go."),
            click.option("--dry-run", is_flag=True, help="Read, map and ask the gate; send nothing, write nothing."),
            output_option,
            click.option("--no-progress", is_flag=True, help="No bar, even on a terminal."),
        )
    ):
        command = option(command)
    return command


@click.command()
@job_argument
@sources_argument
@sending_options
@click.option("--sandbox", is_flag=True, help="Send to a stand-in server, started for this run.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N rows.")
@click.option("--allow-resend", is_flag=True, help="Go on although a changed job sends accepted rows again.")
@logging_options
@ending_well
def run(job: Path, sources: tuple[Path, ...], **options: Any) -> None:  # noqa: ANN401
    """Import an export: every row once, whatever happened before.

    SOURCE takes the place of the job's path. Running again goes on where an interrupted run stopped.
    """
    asked = _asked(options)
    with _target(load_job(job), options) as (loaded, token):
        _end(_run(loaded, token, sources, asked), asked)


@click.command()
@job_argument
@sending_options
@click.option("--run", "of_run", metavar="ID|last", help="Only rows of this run. Default: all unfinished business.")
@click.option(
    "--outcome", "outcomes", default="failed,rejected,in-doubt", show_default=True, help="Which rows, by outcome."
)
@click.option("--code", "codes", default="", help="Only rows with one of these codes, as 500,435.")
@logging_options
@ending_well
def retry(job: Path, of_run: str | None, outcomes: str, codes: str, **options: Any) -> None:  # noqa: ANN401
    """Send the rows again that failed, were rejected or are in doubt.

    Rows in doubt go again only as the job's in-doubt policy allows; 'resolve' decides about the others.
    """
    asked = _asked(options)
    with _target(load_job(job), {**options, "sandbox": False}) as (loaded, token):
        wanted = Wanted(_states(outcomes), frozenset(filter(None, codes.replace(" ", "").split(","))))
        _end(_retry(loaded, token, of_run, wanted, asked), asked)


# --- what was asked ------------------------------------------------------------------------------


def _asked(options: Mapping[str, Any]) -> Asked:
    sandbox = options.get("sandbox", False)
    return Asked(
        ledger=options["ledger"] or default_ledger(sandbox=sandbox),
        run_dir=options["run_dir"],
        output=options["output"],
        quiet=options.get("quiet", False),
        progress=not options["no_progress"],
        dry_run=options["dry_run"],
        sandbox=sandbox,
        limit=options.get("limit"),
        allow_resend=options.get("allow_resend", False),
    )


def _states(outcomes: str) -> frozenset[State]:
    names = [name.strip().replace("_", "-") for name in outcomes.split(",") if name.strip()]
    if unknown := [name for name in names if name not in OUTCOMES] or not names:
        raise UsageError(f"--outcome: {outcomes!r} names {unknown}; choose from {', '.join(OUTCOMES)}")
    return frozenset(state for name in names for state in OUTCOMES[name])


@contextmanager
def _target(job: Job, options: Mapping[str, Any]) -> Iterator[tuple[Job, str]]:
    """The job as the command line changes it, and the token that goes with its target."""
    limits: dict[str, Rate | ErrorLimit | int] = {
        name: options[name] for name in ("concurrency", "rate", "max_errors") if options[name] is not None
    }
    job = with_overrides(job, {"limits": limits})
    if options["sandbox"]:
        if options["url"]:
            raise UsageError("--sandbox starts a server of its own; leave --url out")
        from batchrunner.sandbox import Settings, running  # noqa: PLC0415  only this run needs it

        with running(Settings()) as server:
            # The port changes from run to run; to the ledger it is the same installation.
            yield with_overrides(job, {"target": {"url": server.url, "installation": "sandbox"}}), server.token
        return
    if options["url"]:
        job = with_overrides(job, {"target": {"url": options["url"]}})
    yield job, "" if options["dry_run"] else read_token(job)


# --- run -----------------------------------------------------------------------------------------


def _run(job: Job, token: str, paths: Sequence[Path], asked: Asked) -> Summary | None:
    stop = StopRequest()
    with compose.signals_to(stop):
        sources = compose.open_sources(job, paths)
        inputs = compose.mapped(job, sources)
        if asked.dry_run:
            _rehearse_run(job, sources, inputs, asked)
            return None
        with ExitStack() as held:
            work = _Work(job, token, asked, stop, held)
            if not asked.allow_resend:
                compose.guard_against_resending(job, sources, inputs, work.ledger, stop)
            compose.raise_if_stopped(stop)
            work.begin("run", sources)
            gate = PlainGate(work.ledger, work.run, compose.gate_policy(job), work.clock)
            return work.end(work.go(feed(inputs, gate, asked.limit)))


def _rehearse_run(job: Job, sources: Sequence[compose.OpenSource], inputs: Sequence[Input], asked: Asked) -> None:
    with SqlLedger.for_reading(asked.ledger) as ledger:
        gate = PlainGate(ledger, RunId(0), compose.gate_policy(job), SystemClock())
        _rehearse(job, sources, feed(inputs, gate, asked.limit), ledger, asked)


def _rehearse(
    job: Job, sources: Sequence[compose.OpenSource], batches: Iterator[Batch], ledger: SqlLedger, asked: Asked
) -> None:
    size = sum(one.reader.source.size_bytes for one in sources)
    with Bar(size, job.name, shown=_shown(asked)) as bar:
        found = rehearse(batches, ledger, lambda batch: bar.update(batch.position, Totals(), 0))
    if asked.output == "json":
        say_json(rehearsal_values(job.name, [str(one.path) for one in sources], found))
    else:
        click.echo(rehearsal_text(job.name, found))


# --- retry ---------------------------------------------------------------------------------------


class _WantedRows:
    """The wanted entries of each source that this run reads."""

    def __init__(self, history: History, wanted: Wanted, places: Sequence[Sequence[Place]]) -> None:
        self._history = history
        self._wanted = wanted
        self._places = places

    def between(self, source_no: int, first: int, last: int) -> Mapping[int, Any]:
        return self._history.wanted_rows(self._places[source_no - 1], first, last, self._wanted)


def _retry(job: Job, token: str, of_run: str | None, wanted: Wanted, asked: Asked) -> Summary | None:
    stop = StopRequest()
    with compose.signals_to(stop), ExitStack() as held:
        if asked.dry_run:
            ledger = held.enter_context(SqlLedger.for_reading(asked.ledger))
            return _retry_with(job, None, ledger, of_run, wanted, asked)
        work = _Work(job, token, asked, stop, held)
        return _retry_with(job, work, work.ledger, of_run, wanted, asked)


def _retry_with(
    job: Job, work: _Work | None, ledger: SqlLedger, of_run: str | None, wanted: Wanted, asked: Asked
) -> Summary | None:
    history = History(ledger)
    if of_run is not None:
        wanted = replace(wanted, run=history.run(of_run, job.name).id)
    found, missing = find_sources(job, history.unfinished(job.name, wanted))
    sources = [compose.OpenSource(one.path, one.reader, one.shape) for one, _ in found]
    inputs = compose.mapped(job, sources)
    rows = _WantedRows(history, wanted, [business.places for _, business in found])
    policy = compose.gate_policy(job, wanted.states & {State.REJECTED})
    if work is None:
        plain = PlainGate(ledger, RunId(0), policy, SystemClock())
        _rehearse(job, sources, feed(inputs, RetryGate(plain, rows)), ledger, asked)
        return None
    compose.raise_if_stopped(work.stop)
    work.begin("retry", sources)
    gate = RetryGate(PlainGate(ledger, work.run, policy, work.clock), rows)
    ended = work.go(feed(inputs, gate))
    history.take_over(gate.stale, work.run)
    return work.end(replace(ended, error=ended.error or _gone(missing)))


def _gone(missing: Sequence[Business]) -> SourceError | None:
    if not missing:
        return None
    files = "; ".join(f"{one.source.path} (fingerprint {one.source.fingerprint}, {one.rows} rows)" for one in missing)
    return SourceError(
        f"{sum(one.rows for one in missing)} rows were not sent again, because their source is gone or has changed: "
        f"{files}; put the file back beside the job, or feed the error.csv of that run to 'run'"
    )


# --- what both share -----------------------------------------------------------------------------


class _Work:
    """A run from its lock to its summary."""

    def __init__(self, job: Job, token: str, asked: Asked, stop: StopRequest, held: ExitStack) -> None:
        self.job = job
        self.clock = SystemClock()
        self.stop = stop
        self._token = token
        self._asked = asked
        self._held = held
        self.ledger = held.enter_context(open_ledger(asked.ledger))
        held.enter_context(self.ledger.locked(job.name))
        for died in self.ledger.bury_dead_runs(job.name, self.clock.now_ms()):
            click.echo(f"batchrunner: run {died} died before it ended; its open requests are in doubt", err=True)

    def begin(self, verb: str, sources: Sequence[compose.OpenSource]) -> None:
        """From here on the run exists."""
        self.started_s = self.clock.elapsed_s()
        self.sources = sources
        self.name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        self.run_dir = (self._asked.run_dir or state_dir() / "runs" / self.job.name / self.name).absolute()
        self._results = self._held.enter_context(ResultFiles(self.run_dir, [one.shape for one in sources]))
        self.run = self.ledger.begin_run(
            job=self.job.name,
            name=self.name,
            verb=verb,
            now_ms=self.clock.now_ms(),
            read=[one.reader.source for one in sources],
            mapping=mapping_text(self.job),
            run_dir=str(self.run_dir),
        )

    def go(self, batches: Iterator[Batch]) -> Ended:
        """The straight way."""
        size = sum(one.reader.source.size_bytes for one in self.sources)
        with Bar(size, self.job.name, shown=_shown(self._asked)) as bar:
            return compose.go(
                self.job, self._token, run=self.run, ledger=self.ledger, batches=batches,
                results=self._results, progress=bar, stop=self.stop, clock=self.clock,
            )  # fmt: skip

    def end(self, ended: Ended) -> Summary:
        """Close the run in the ledger, and leave its summary beside its result files."""
        code = of_error(ended.error) if ended.error else of_totals(ended.totals)
        summary = Summary(
            run=self.name,
            job=self.job.name,
            sources=tuple(str(one.path) for one in self.sources),
            totals=ended.totals,
            duration_s=self.clock.elapsed_s() - self.started_s,
            run_dir=str(self.run_dir),
            ledger=str(self.ledger.path),
            exit_code=code,
            error=str(ended.error) if ended.error else None,
            next_commands=_next_commands(self, ended),
        )
        self._close(ended, code)
        write_private(self.run_dir / "summary.json", _json(summary))
        return summary

    def _close(self, ended: Ended, code: int) -> None:
        ending = "stopped" if ended.error else "finished"
        try:
            self.ledger.end_run(
                self.run, totals=ended.totals, ending=ending, exit_code=code, now_ms=self.clock.now_ms()
            )
        except BatchrunnerError as error:
            # The ledger is what broke: the summary still goes out, and the next run buries this one.
            click.echo(f"batchrunner: {error}", err=True)


def _shown(asked: Asked) -> bool | None:
    return None if asked.progress and not asked.quiet else False


def _json(summary: Summary) -> str:
    import json  # noqa: PLC0415

    return json.dumps(summary_values(summary), ensure_ascii=False, indent=2) + "\n"


def _next_commands(work: _Work, ended: Ended) -> tuple[str, ...]:
    """The exact commands that go on from here."""
    totals, commands = ended.totals, []
    if ended.error is not None:
        commands.append(shlex.join(["batchrunner", *sys.argv[1:]]))
    ledger = [] if work.ledger.path == Path(default_ledger()) else ["--ledger", str(work.ledger.path)]
    if totals.rejected or totals.failed:
        commands.append(shlex.join(["batchrunner", "retry", str(work.job.file), "--run", work.name, *ledger]))
    if totals.in_doubt:
        decide = ["resolve", str(work.job.file), "--run", work.name, *ledger, "--as"]
        commands.append(shlex.join(["batchrunner", *decide]) + " accepted|failed|resend")
    return tuple(commands)


def _end(summary: Summary | None, asked: Asked) -> None:
    """Tell how it ended, and end the process accordingly."""
    if summary is None:
        return
    if asked.output == "json":
        say_json(summary_values(summary))
    elif not (asked.quiet and summary.exit_code == Exit.OK):
        click.echo(summary_text(summary))
    raise SystemExit(summary.exit_code)
