"""Who is told how a scheduled run ended."""

from __future__ import annotations

import shlex
import socket
import time

import click

from batchrunner.clock import Clock, as_text
from batchrunner.config import Job, MetricsTable, NotifyTable
from batchrunner.errors import NotifyError
from batchrunner.ledger import FINISHED, Slots, open_ledger
from batchrunner.metrics import Measured, publish
from batchrunner.notify import Event, Message, judge, message_of, tell
from batchrunner.schedule import Ended, Fired, exit_of, sentence_of


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


def _measure(job: Job, table: MetricsTable, ledger: str, fired: Fired, clock: Clock) -> None:
    with open_ledger(ledger) as opened:
        success_ms = Slots(opened).last_finished_ms(job.name)
    now_ms = clock.now_ms()
    if fired.slot_s is None and exit_of(fired.run) in FINISHED:
        success_ms = now_ms  # a run without a slot, because a file came
    run = Measured(job.name, fired.run.told, exit_of(fired.run), now_ms, success_ms)
    try:
        publish(table, job.file.parent, run)
    except NotifyError as error:
        click.echo(f"batchrunner: {error}", err=True)


def _what_counts(fired: Fired) -> Ended:
    """The run; or the retry of earlier rows, where only that went wrong."""
    if fired.retried is None or exit_of(fired.run) or exit_of(fired.retried) in (0, 1, 5):
        return fired.run
    return fired.retried


def _event(job: Job, ledger: str, ended: Ended, clock: Clock, *, degraded_at: float) -> Event | None:
    with open_ledger(ledger) as opened:
        slots = Slots(opened)
        last = slots.last_event(job.name)
        before = None if last is None else Event(last)
        code = exit_of(ended)
        event = judge(ended.told, code, degraded_at=degraded_at, before=before, out_of_time=ended.out_of_time)
        if event is not None:
            slots.note_event(job.name, event, clock.now_ms())
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
