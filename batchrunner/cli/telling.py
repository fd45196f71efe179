"""Who is told how a run ended: a scheduled one, or one with `--notify`."""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from batchrunner.cli.asked import Asked
from batchrunner.cli.exits import Exit, of_error
from batchrunner.cli.options import error_values
from batchrunner.cli.work import event_values
from batchrunner.clock import Clock, SystemClock, as_text
from batchrunner.config import Job, MetricsTable, NotifyTable, load_job
from batchrunner.errors import BatchrunnerError, LedgerError, NotifyError, UsageError
from batchrunner.ledger import FINISHED, Slots, open_ledger
from batchrunner.metrics import Measured, publish
from batchrunner.nights import NightEvent
from batchrunner.notify import Event, Message, judge, message_of, tell
from batchrunner.report import Summary, summary_values
from batchrunner.schedule import BROKE_OFF, Ended, Fired, exit_of, sentence_of


def tell_of(job: Job, ledger: str, fired: Fired, clock: Clock) -> Event | None:
    """Tell whoever the job names, if there is something to tell; which event it was.

    That somebody could not be told is said on stderr, and changes nothing about how the run ended.
    """
    table = job.notify
    ended = _what_counts(fired)
    if job.metrics is not None:
        _measure(job, job.metrics, ledger, fired, clock)
    event = _event(job, ledger, ended, clock, degraded_at=5.0 if table is None else table.degraded_at)
    if table is not None and event is not None and event in table.on:
        _tell(job, table, _message(job, ledger, event, ended, fired, clock), clock)
    return event


class Told:
    """How a command ended, as far as it has."""

    ended: Summary | NightEvent | None = None


@contextmanager
def notifying(asked: Asked) -> Iterator[Told]:
    """With `--notify`: tell whoever the job names how the command inside ended. Raises ConfigError, UsageError."""
    told = Told()
    if not asked.notify:
        yield told
        return
    job = load_job(asked.job)
    if job.notify is None and job.metrics is None:
        raise UsageError(
            f"--notify: {asked.job} names nobody to tell; add [notify] or [metrics], or leave --notify out"
        )
    try:
        yield told
    except BatchrunnerError as error:
        tell_of_error(job, asked.ledger, error)
        raise
    except Exception:
        _tell_of(job, asked, Ended(BROKE_OFF, {}))
        raise
    match told.ended:
        case Summary() as summary:
            _tell_of(job, asked, Ended(summary.exit_code, summary_values(summary)))
        case NightEvent() as event:
            _tell_of(job, asked, Ended(Exit.OK, event_values(event, job.name)))


def _tell_of(job: Job, asked: Asked, ended: Ended) -> None:
    tell_of(job, asked.ledger, Fired(None, ended), SystemClock())


def tell_of_error(job: Job, ledger: str, error: BatchrunnerError) -> None:
    """Tell whoever the job names that a command could not do its work."""
    tell_of(job, ledger, Fired(None, Ended(of_error(error), error_values(error))), SystemClock())


def _measure(job: Job, table: MetricsTable, ledger: str, fired: Fired, clock: Clock) -> None:
    try:
        with open_ledger(ledger) as opened:
            success_ms = Slots(opened).last_finished_ms(job.name)
    except LedgerError:  # what is wrong with it ended the run, and is being told
        return
    now_ms = clock.now_ms()
    if fired.slot_s is None and exit_of(fired.run) in FINISHED:
        success_ms = now_ms  # a run without a slot, because a file came
    run = Measured(job.name, fired.run.told, exit_of(fired.run), now_ms, success_ms)
    try:
        publish(table, job.file.parent, run)
    except NotifyError as error:
        click.echo(f"batchrunner: {error}", err=True)


def _what_counts(fired: Fired) -> Ended:
    """The run; or what came after it, where only that went wrong."""
    if exit_of(fired.run):
        return fired.run
    return next((one for one in fired.parts if exit_of(one) not in FINISHED), fired.run)


def _event(job: Job, ledger: str, ended: Ended, clock: Clock, *, degraded_at: float) -> Event | None:
    def judged(before: Event | None) -> Event | None:
        return judge(ended.told, exit_of(ended), degraded_at=degraded_at, before=before, out_of_time=ended.out_of_time)

    try:
        with open_ledger(ledger) as opened:
            slots = Slots(opened)
            last = slots.last_event(job.name)
            event = judged(None if last is None else Event(last))
            if event is not None:
                slots.note_event(job.name, event, clock.now_ms())
    except LedgerError:  # of all failures this one must be told, though nothing can be remembered of it
        return judged(None)
    return event


def _message(job: Job, ledger: str, event: Event, ended: Ended, fired: Fired, clock: Clock) -> Message:
    return message_of(
        event,
        ended.told,
        job=job.name,
        at=as_text(clock.now_ms()),
        host=socket.gethostname(),
        exit_code=exit_of(ended),
        slot=None if fired.slot_s is None else as_text(fired.slot_s * 1000),
        sentence=sentence_of(ended),
        again=shlex.join(["batchrunner", "run", str(job.file), "--ledger", ledger]),
    )


def _tell(job: Job, table: NotifyTable, message: Message, clock: Clock) -> None:
    for told in tell(job, table, message, clock, time.sleep):
        if told.error is not None:
            click.echo(f"batchrunner: nobody was told by {told.way}: {told.error}", err=True)
