"""A run from its lock to its summary: what `run` and `retry` share."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from batchrunner.cli import compose
from batchrunner.cli.asked import Asked, this_command
from batchrunner.cli.broker import settle_late_answers
from batchrunner.cli.exits import Exit, of_error, of_totals
from batchrunner.cli.guarding import guards, lock, watched
from batchrunner.cli.night import note
from batchrunner.cli.options import say_json, state_dir
from batchrunner.cli.sending import adaptive_limit
from batchrunner.cli.shares import start
from batchrunner.cli.steps import changes_of
from batchrunner.cli.whole import SUMMARY, complete_last
from batchrunner.clock import SystemClock
from batchrunner.config import Job
from batchrunner.errors import BatchrunnerError
from batchrunner.ledger import History, SqlLedger, open_ledger
from batchrunner.mapping import mapping_text
from batchrunner.model import SkipReason, Totals
from batchrunner.nights import NightEvent, event_of
from batchrunner.pipeline import Batch, Ended, Senders, StopRequest, rehearse
from batchrunner.progress import Bar
from batchrunner.report import Summary, rehearsal_text, rehearsal_values, summary_text, summary_values
from batchrunner.results import ResultFiles, write_private
from batchrunner.stopwatch import Stopwatch, Unwatched


class Work:
    """One run. `held` keeps what is open until the process ends: the ledger, its lock, the result files."""

    def __init__(
        self,
        job: Job,
        token: str,
        asked: Asked,
        stop: StopRequest,
        held: ExitStack,
        senders: Senders | None = None,
    ) -> None:
        """Open the ledger, take the job's lock, and bury runs that died. Raises LedgerError, AlreadyRunning."""
        self.job = job
        self.clock = SystemClock()
        self.stop = stop
        self.watch = Stopwatch() if asked.profile else Unwatched()
        self._token = token
        self._asked = asked
        self._held = held
        self._senders = senders
        self._limit = adaptive_limit(job) if senders is None else senders.limit
        self.ledger = held.enter_context(open_ledger(asked.ledger))
        lock(self.ledger, job, held, self.clock, stop, asked.wait)
        if senders is not None:
            held.callback(senders.close)  # before the lock is released, whatever has become of the run
        if job.insecure:
            click.echo("batchrunner: --insecure: the server's certificate is not verified", err=True)
        died = self.ledger.bury_dead_runs(job.name, self.clock.now_ms())
        for name in died:
            note(f"run {name} died before it ended; this run takes its place; its open requests are in doubt")
        if settled := settle_late_answers(job, self.ledger):
            note(f"answers have come to {settled} rows of earlier runs")
        if died:
            self.ledger.must_be_sound()
        complete_last(job, self.ledger, died)
        # What the sandbox accepts is sent to nobody: nothing is to be guarded.
        self._guard = None if asked.sandbox or asked.no_guards else guards(self.ledger, job, self.clock)

    def begin(self, verb: str, sources: Sequence[compose.OpenSource]) -> None:
        """From here on the run exists, in the ledger and on disk. Raises SenderDied before that."""
        if self._senders is not None:
            start(self._senders, self.job, self._token)
            self._senders.must_have_loaded()
        self._started_s = self.clock.elapsed_s()
        self._sources = sources
        for one in sources:  # what the guard has met comes again
            one.repairs.clear()
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
            installation=self.job.target.origin,
        )

    def go(self, batches: Iterator[Batch]) -> Ended:
        """The straight way."""
        limit = self._limit
        limit_now = None if limit is None else lambda: limit.limit
        with (
            Bar(_size(self._sources), self.job.name, shown=self._asked.bar, limit_now=limit_now) as bar,
            watched(self._guard, self.ledger.path, self.job.name, self.clock, self.stop),
        ):
            return compose.go(
                self.job,
                self._token,
                run=self.run,
                ledger=self.ledger,
                batches=batches,
                results=self._results,
                progress=bar,
                stop=self.stop,
                clock=self.clock,
                limit=limit,
                watch=self.watch,
                guard=self._guard,
                senders=self._senders,
            )

    def end(self, ended: Ended, archived: Sequence[Path] = ()) -> Summary:
        """Close the run in the ledger, and leave its summary beside its result files."""
        code = of_error(ended.error) if ended.error else of_totals(ended.totals)
        summary = Summary(
            run=self.name,
            job=self.job.name,
            sources=tuple(one.name for one in self._sources),
            totals=ended.totals,
            duration_s=self.clock.elapsed_s() - self._started_s,
            run_dir=str(self.run_dir),
            ledger=str(self.ledger.path),
            exit_code=code,
            error=str(ended.error) if ended.error else None,
            next_commands=self._next_commands(ended),
            archived=tuple(map(str, archived)),
            reason=event.reason if (event := event_of(ended.error)) else None,
            profile=self.watch.profile(ended.totals.read),
            concurrency=None if self._limit is None else self._limit.record,
            insecure=self.job.insecure,
            tasks=tuple(History(self.ledger).tasks(self.run)) if self.job.target.call.queued else (),
            repairs=tuple(found for one in self._sources for found in one.repairs),
        )
        try:
            self._close(ended, code)
            if self._results.whole:  # where it stands, nothing is missing
                text = json.dumps(summary_values(summary), ensure_ascii=False, indent=2)
                write_private(self.run_dir / SUMMARY, text + "\n")
        except BatchrunnerError as error:
            # What broke may be the ledger or the disk itself: the summary still goes out, and the exit code says it.
            click.echo(f"batchrunner: {error}", err=True)
        return summary

    def _close(self, ended: Ended, code: int) -> None:
        ending = "stopped" if ended.error else "finished"
        now_ms = self.clock.now_ms()
        self.ledger.end_run(self.run, totals=ended.totals, ending=ending, exit_code=code, now_ms=now_ms)

    def _next_commands(self, ended: Ended) -> tuple[str, ...]:
        """The exact commands that go on from here, against the same ledger and the same platform."""
        totals, asked, commands = ended.totals, self._asked, []
        if ended.error is not None:
            commands.append(this_command())
        if totals.rejected or totals.failed:
            commands.append(asked.command("retry", "--run", self.name, *asked.carried))
        elif totals.skipped.get(SkipReason.REJECTED):
            commands.append(asked.command("retry", "--outcome", "rejected", *asked.carried))
        if totals.in_doubt:
            decide = asked.command("resolve", "--run", self.name, "--ledger", str(self.ledger.path), "--as")
            commands.append(f"{decide} accepted|failed|resend")
        return tuple(commands)


def rehearsed(
    job: Job, sources: Sequence[compose.OpenSource], batches: Iterator[Batch], ledger: SqlLedger, asked: Asked
) -> None:
    """`--dry-run`: count what a run would do, and tell."""
    with Bar(_size(sources), job.name, shown=asked.bar) as bar:
        shown, now_ms = lambda batch: bar.update(batch.position, Totals(), 0), SystemClock().now_ms()
        found = rehearse(batches, ledger, shown, changes_of(job, ledger), now_ms)
    if asked.output == "json":
        say_json(rehearsal_values(job.name, [one.name for one in sources], found))
    else:
        click.echo(rehearsal_text(job.name, found))


def tell(summary: Summary, asked: Asked) -> NoReturn:
    """Tell how a run ended, and end the process accordingly."""
    if asked.output == "json":
        say_json(summary_values(summary))
    elif not (asked.quiet and summary.exit_code == Exit.OK):
        click.echo(summary_text(summary))
    raise SystemExit(summary.exit_code)


def tell_event(event: NightEvent, job: Job, asked: Asked) -> NoReturn:
    """Tell that there was nothing to do, and why; nothing is wrong."""
    if asked.output == "json":
        say_json(event_values(event, job.name))
    elif not asked.quiet:
        click.echo(event.sentence)
    raise SystemExit(Exit.OK)


def event_values(event: NightEvent, job: str) -> dict[str, Any]:
    """That there was nothing to do, for programs."""
    return {"job": job, "reason": event.reason, "message": event.sentence, "exit_code": Exit.OK}


def _size(sources: Sequence[compose.OpenSource]) -> int:
    return sum(one.reader.source.size_bytes for one in sources)
