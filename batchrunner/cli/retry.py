"""`retry`: send unfinished rows again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from batchrunner.cli import compose
from batchrunner.cli.asked import Asked, asked, sending_options, target
from batchrunner.cli.leftovers import Leftovers, gone, leftovers
from batchrunner.cli.locate import find_sources
from batchrunner.cli.options import ending_well, job_argument, logging_options
from batchrunner.cli.shares import senders_of, start
from batchrunner.cli.telling import notifying
from batchrunner.cli.work import Work, rehearsed, tell
from batchrunner.config import Job
from batchrunner.errors import LedgerError, ResultError, UsageError
from batchrunner.gate import GatePolicy
from batchrunner.ledger import Business, History, Place, SqlLedger, Wanted
from batchrunner.model import Key, RunId, State
from batchrunner.pipeline import Ended, Input, LeftoverGate, PlainGate, RetryGate, StopRequest, feed
from batchrunner.ports import Standing
from batchrunner.report import Summary

OUTCOMES = {
    "failed": (State.FAILED,),
    "rejected": (State.REJECTED,),
    "in-doubt": (State.IN_DOUBT, State.RESEND),
}


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

    Without --run this is the job's whole unfinished business, oldest first. A source is found again by its content,
    in the archive too; where it is gone, its rows are read from the result files of their run.

    Rows in doubt go again only as the job's in-doubt policy allows; 'resolve' decides about the others. Only rows
    that were sent to the same platform are meant.
    """
    wish = asked(job, options)
    with notifying(wish) as told, target(job, options) as (loaded, token):
        wanted = Wanted(
            _states(outcomes),
            frozenset(filter(None, codes.replace(" ", "").split(","))),
            installation=loaded.target.origin,
        )
        told.ended = summary = _retry(loaded, token, of_run, wanted, wish)
    if summary is not None:
        tell(summary, wish)


def _states(outcomes: str) -> frozenset[State]:
    names = [name.strip().replace("_", "-") for name in outcomes.split(",") if name.strip()]
    if [name for name in names if name not in OUTCOMES] or not names:
        raise UsageError(f"--outcome is {outcomes!r}; choose from {', '.join(OUTCOMES)}")
    return frozenset(state for name in names for state in OUTCOMES[name])


def _retry(job: Job, token: str, of_run: str | None, wanted: Wanted, wish: Asked) -> Summary | None:
    stop = StopRequest()
    with compose.signals_to(stop), ExitStack() as held:
        if wish.dry_run:
            ledger = held.enter_context(SqlLedger.for_reading(wish.ledger))
            _rehearse(job, ledger, _plan(job, ledger, of_run, wanted, stop), wish)
            return None
        senders = senders_of(job, held)
        start(senders, job, token)
        work = Work(job, token, wish, stop, held, senders)
        plan = _plan(job, work.ledger, of_run, wanted, stop)
        compose.raise_if_stopped(stop)
        work.begin("retry", [*plan.sources, *plan.leftovers.sources])
        plain = compose.plain_gate(job, work.ledger, work.run, plan.policy)
        retry_gate, gate = _gates(plan, plain)
        ended = work.go(feed([*plan.inputs, *plan.leftovers.inputs], gate, watch=work.watch))
        return work.end(_over(work, plan, retry_gate, gate, ended))


def _gates(plan: _Plan, plain: PlainGate) -> tuple[RetryGate, LeftoverGate]:
    retry_gate = RetryGate(plain, plan.rows)
    return retry_gate, LeftoverGate(retry_gate, plain, plan.leftovers.rows.keys(), after=len(plan.sources))


def _over(work: Work, plan: _Plan, retry_gate: RetryGate, gate: LeftoverGate, ended: Ended) -> Ended:
    """How the run ended, with what is only known now."""
    error = ended.error
    try:
        if error is None:  # a run that stopped early has not seen every row
            error = gone(plan.leftovers.not_among(frozenset(gate.met)), plan.missing, work.run_dir)
        if retry_gate.stale:
            History(work.ledger).take_over(retry_gate.stale, work.run)
    except (LedgerError, ResultError) as broken:  # the run ended all the same, and must be told
        error = error or broken
    return replace(ended, error=error)


def _rehearse(job: Job, ledger: SqlLedger, plan: _Plan, wish: Asked) -> None:
    plain = compose.plain_gate(job, ledger, RunId(0), plan.policy)
    _, gate = _gates(plan, plain)
    sources, inputs = [*plan.sources, *plan.leftovers.sources], [*plan.inputs, *plan.leftovers.inputs]
    rehearsed(job, sources, feed(inputs, gate), ledger, wish)
    if error := gone(plan.leftovers.not_among(frozenset(gate.met)), plan.missing, None):
        raise error


class _WantedRows:
    """The wanted entries of each source that this run reads."""

    def __init__(self, history: History, wanted: Wanted, places: Sequence[Sequence[Place]]) -> None:
        self._history = history
        self._wanted = wanted
        self._places = places

    def between(self, source_no: int, first: int, last: int) -> Mapping[int, tuple[Key, Standing]]:
        return self._history.wanted_rows(self._places[source_no - 1], first, last, self._wanted)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a retry reads, and what it cannot find."""

    sources: Sequence[compose.OpenSource]
    inputs: Sequence[Input]
    rows: _WantedRows
    policy: GatePolicy
    missing: Sequence[Business]
    leftovers: Leftovers
    """Of what is missing: its rows, and where they may be read all the same."""


def _plan(job: Job, ledger: SqlLedger, of_run: str | None, wanted: Wanted, stop: StopRequest) -> _Plan:
    history = History(ledger)
    if of_run is not None:
        wanted = replace(wanted, run=history.run(of_run, job.name).id)
    unfinished = history.unfinished(job.name, wanted)
    found, missing = find_sources(job, unfinished, ledger, lambda: compose.raise_if_stopped(stop))
    sources = [source for source, _ in found]
    rows = _WantedRows(history, wanted, [business.places for _, business in found])
    policy = compose.gate_policy(job, wanted.states & {State.REJECTED})
    left = leftovers(job, history, missing, wanted)
    return _Plan(sources, compose.mapped(job, sources), rows, policy, missing, left)
