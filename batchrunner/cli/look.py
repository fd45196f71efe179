"""`status`, `runs` and `show`: what happened, from the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from batchrunner.ledger import DIED, Looks, RunRecord, at_a_glance
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

if TYPE_CHECKING:  # most of the start-up, and `status` seldom needs it
    from batchrunner.ledger import SqlLedger

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
    name, place = job_name(job), ledger or default_ledger()

    def look(at: Looks) -> list[tuple[dict[str, Any], str]]:
        return [_status_of(at, one) for one in ([name] if name else at.jobs())]

    told = at_a_glance(place, look)
    if told is None:
        from batchrunner.ledger import Whole  # noqa: PLC0415  see above

        with _opened(place) as opened:
            told = look(Whole(opened))
    if output == "json":
        say_json({"jobs": [values for values, _ in told]})
    else:
        click.echo("\n".join(text for _, text in told) or "nothing was ever run with this ledger")


def _opened(ledger: str) -> SqlLedger:
    from batchrunner.ledger import SqlLedger  # noqa: PLC0415  see above

    return SqlLedger.for_reading(ledger)


def _status_of(at: Looks, job: str) -> tuple[dict[str, Any], str]:
    recorded = at.last_run(job)
    last = _as_it_stands(at, recorded) if recorded else None
    running = at.is_running(job)
    waiting = Counter(at.unfinished_counts(job))
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
    if pause := at.paused(job, SystemClock().now_ms()):
        values["paused"] = pause_values(pause)
        text += f"\n  {pause_text(pause)}"
    return values, text


def _as_it_stands(at: Looks, run: RunRecord) -> RunRecord:
    """A run without an end has died, unless a process holds its job's lock: the next run will say the same."""
    if run.ended_ms is not None or at.is_running(run.job):
        return run
    run = at.again(run)  # it may have ended between the two looks
    if run.ended_ms is not None:
        return run
    return replace(run, ending="died", totals=run.totals.with_open_claims(at.open_claims(run), DIED))


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
    from batchrunner.ledger import History, Whole  # noqa: PLC0415  see above

    with _opened(ledger or default_ledger()) as opened:
        at = Whole(opened)
        found = [_as_it_stands(at, one) for one in History(opened).runs(job_name(job), limit)]
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
    from batchrunner.ledger import History, Whole  # noqa: PLC0415  see above

    with _opened(ledger or default_ledger()) as opened:
        history = History(opened)
        found = _as_it_stands(Whole(opened), history.run(run))
        bad = history.entries(found.id, NOT_ACCEPTED, limit)
        tasks = history.tasks(found.id)
    if output == "json":
        queued = {"tasks": task_values(tasks)} if tasks else {}
        say_json({**run_values(found), **queued, "rows": [entry_values(one) for one in bad]})
    else:
        click.echo(run_text(found, bad, limit, tasks))
