"""`status`, `runs` and `show`: what happened, from the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.clock import SystemClock
from batchrunner.ledger import DIED, History, Nights, RunRecord, SqlLedger
from batchrunner.model import State
from batchrunner.report import (
    entry_values,
    pause_text,
    pause_values,
    run_text,
    run_values,
    runs_text,
    status_text,
    task_values,
)

NOT_ACCEPTED = (State.REJECTED, State.FAILED, State.IN_DOUBT, State.RESEND, State.CLAIMED)


def job_name(job: str | None) -> str | None:
    """A job by its name, or by its file."""
    if job is not None and (job.endswith(".toml") or Path(job).is_file()):
        from batchrunner.config import load_job  # noqa: PLC0415  half of the start-up, and only a file needs it

        return load_job(Path(job)).name
    return job


@click.command()
@click.argument("job", required=False)
@ledger_option
@output_option
@logging_options
@ending_well
def status(job: str | None, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """What each job (or one, by name or file) has done last, and which rows wait for something."""
    del quiet
    with SqlLedger.for_reading(ledger or default_ledger()) as opened:
        history = History(opened)
        name = job_name(job)
        jobs = [name] if name else history.jobs()
        told = [_status_of(opened, history, one) for one in jobs]
    if output == "json":
        say_json({"jobs": [values for values, _ in told]})
    else:
        click.echo("\n".join(text for _, text in told) or "nothing was ever run with this ledger")


def _status_of(ledger: SqlLedger, history: History, job: str) -> tuple[dict[str, Any], str]:
    recorded = next(iter(history.runs(job, limit=1)), None)
    last = _as_it_stands(ledger, recorded) if recorded else None
    running = ledger.is_running(job)
    waiting = Counter(history.unfinished_counts(job))
    if recorded and last and last.totals.in_doubt > recorded.totals.in_doubt:
        waiting[State.IN_DOUBT, DIED] += last.totals.in_doubt - recorded.totals.in_doubt
    values = {
        "job": job,
        "running": running,
        "last_run": run_values(last) if last else None,
        "waiting": [
            {"outcome": state.name.lower(), "code": code, "rows": count} for (state, code), count in waiting.items()
        ],
    }
    text = status_text(job, last, waiting, running=running)
    if pause := Nights(ledger).paused(job, SystemClock().now_ms()):
        values["paused"] = pause_values(pause)
        text += f"\n  {pause_text(pause)}"
    return values, text


def _as_it_stands(ledger: SqlLedger, run: RunRecord) -> RunRecord:
    """A run without an end has died, unless a process holds its job's lock: the next run will say the same."""
    if run.ended_ms is not None or ledger.is_running(run.job):
        return run
    run = History(ledger).run(run.name)  # it may have ended between the two looks
    if run.ended_ms is not None:
        return run
    open_claims = ledger.count_states(run.id).get(State.CLAIMED, 0)
    return replace(run, ending="died", totals=run.totals.with_open_claims(open_claims, DIED))


@click.command()
@click.argument("job", required=False)
@ledger_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
@output_option
@logging_options
@ending_well
def runs(job: str | None, ledger: str | None, limit: int, output: str, quiet: bool) -> None:  # noqa: FBT001
    """List past runs, newest first."""
    del quiet
    with SqlLedger.for_reading(ledger or default_ledger()) as opened:
        found = [_as_it_stands(opened, one) for one in History(opened).runs(job_name(job), limit)]
    if output == "json":
        say_json({"runs": [run_values(one) for one in found]})
    else:
        click.echo(runs_text(found) if found else "no runs")


@click.command()
@click.argument("run")
@ledger_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to list.")
@output_option
@logging_options
@ending_well
def show(run: str, ledger: str | None, limit: int, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Show one run (its name, the beginning of it, or 'last') and its rows that were not accepted."""
    del quiet
    with SqlLedger.for_reading(ledger or default_ledger()) as opened:
        history = History(opened)
        found = _as_it_stands(opened, history.run(run))
        bad = history.entries(found.id, NOT_ACCEPTED, limit)
        tasks = history.tasks(found.id)
    if output == "json":
        queued = {"tasks": task_values(tasks)} if tasks else {}
        say_json({**run_values(found), **queued, "rows": [entry_values(one) for one in bad]})
    else:
        click.echo(run_text(found, bad, limit, tasks))
