"""`run`: import an export."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from batchrunner.cli import compose
from batchrunner.cli.asked import Asked, asked, sending_options, target
from batchrunner.cli.night import Night, this_night
from batchrunner.cli.options import ending_well, job_argument, logging_options, sources_argument
from batchrunner.cli.shares import senders_of, start
from batchrunner.cli.telling import notifying
from batchrunner.cli.work import Work, rehearsed, tell, tell_event
from batchrunner.config import Job
from batchrunner.errors import LedgerError
from batchrunner.ledger import SqlLedger
from batchrunner.mapping import mapping_text
from batchrunner.model import RunId
from batchrunner.nights import NightEvent
from batchrunner.pipeline import Ended, Input, StopRequest, Stretches, feed
from batchrunner.report import Summary


@click.command()
@job_argument
@sources_argument
@sending_options
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N rows.")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day that {date} in paths means. Default: today."
)
@click.option("--any-size", is_flag=True, help="Send the night's file however small it is.")
@click.option("--allow-resend", is_flag=True, help="Go on although a changed job sends accepted rows again.")
@logging_options
@ending_well
def run(job: Path, sources: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401  see `asked`
    """Import an export: every row once, whatever happened before.

    SOURCE takes the place of the job's path. Running again goes on where an interrupted run stopped. Under [arrival]
    the job says which files are awaited, until when, and what must hold of them.
    """
    wish = asked(job, options)
    with notifying(wish) as told, target(job, options) as (loaded, token):
        told.ended = summary = _run(loaded, token, sources, wish)
    match summary:
        case NightEvent():
            tell_event(summary, loaded, wish)
        case Summary():
            tell(summary, wish)


def _run(job: Job, token: str, specs: Sequence[str], wish: Asked) -> Summary | NightEvent | None:
    stop = StopRequest()
    night = Night(job, this_night(job, wish.day), any_size=wish.any_size, hands_off=wish.sandbox)
    with compose.signals_to(stop), ExitStack() as held:
        awaited = not specs and job.arrival is not None
        senders = None if wish.dry_run else senders_of(job, held)
        if awaited and not wish.dry_run:
            # Under the lock: nobody else is to wait for the same files.
            work = Work(job, token, wish, stop, held, senders)
            arrived = night.arrived(work.ledger, stop)
            if isinstance(arrived, NightEvent):
                return arrived
            sources, inputs = arrived, compose.mapped(job, arrived)
        else:
            start(senders, job, token)
            sources = night.named(specs, lambda: compose.raise_if_stopped(stop), bar=wish.bar)
            inputs = compose.mapped(job, sources)
            if wish.dry_run:
                _rehearse(job, sources, inputs, wish)
                return None
            work = Work(job, token, wish, stop, held, senders)
        return _send(work, night, sources, inputs, wish)


def _send(
    work: Work, night: Night, sources: Sequence[compose.OpenSource], inputs: Sequence[Input], wish: Asked
) -> Summary:
    job = work.job
    if not wish.allow_resend:
        compose.guard_against_resending(job, sources, inputs, work.ledger, work.stop)
    compose.raise_if_stopped(work.stop)
    work.begin("run", sources)
    if wish.allow_resend and wish.limit is None:
        # Agreed for the whole file: a trial of a few rows is no consent for the rest.
        work.ledger.retire_mappings(job.name, but=mapping_text(job))
    known = compose.stretches_of(job, work.ledger, work.run)
    gate = compose.plain_gate(job, work.ledger, work.run, compose.gate_policy(job), known)
    ended = work.go(night.counted(feed(inputs, gate, wish.limit, watch=work.watch, stretches=known)))
    ended = _kept(known, ended)
    ended = night.over(work.ledger, work.run, sources, ended, whole=wish.limit is None)
    return work.end(ended, night.archived)


def _kept(known: Stretches | None, ended: Ended) -> Ended:
    """Have the ledger remember which rows lie one after the other, where all of them were accepted."""
    if known is None or isinstance(ended.error, LedgerError):
        return ended
    try:
        known.keep()
    except LedgerError as error:  # the run ended all the same, and must be told
        return replace(ended, error=ended.error or error)
    return ended


def _rehearse(job: Job, sources: Sequence[compose.OpenSource], inputs: Sequence[Input], wish: Asked) -> None:
    with SqlLedger.for_reading(wish.ledger) as ledger:
        known = compose.stretches_of(job, ledger, RunId(0))
        gate = compose.plain_gate(job, ledger, RunId(0), compose.gate_policy(job))
        rehearsed(job, sources, feed(inputs, gate, wish.limit, stretches=known), ledger, wish)
