"""`resolve`: a person decides about rows in doubt."""

from __future__ import annotations

from pathlib import Path

import click

from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.clock import SystemClock
from batchrunner.config import load_job
from batchrunner.ledger import History, Wanted, open_ledger
from batchrunner.model import State

DECISIONS = {"accepted": State.ACCEPTED, "failed": State.FAILED, "resend": State.RESEND}

EFFECTS = {
    "accepted": "they count as sent and are never sent again",
    "failed": "they count as not sent, and the next run sends them",
    "resend": "the next run sends them again, whether or not they arrived before",
}


@click.command()
@job_argument
@click.option("--run", "of_run", required=True, metavar="ID|last", help="Rows in doubt of this run.")
@click.option("--row", "rows", type=click.IntRange(min=1), multiple=True, help="Only this row number; may be repeated.")
@click.option("--code", "codes", default="", help="Only rows with one of these codes, as read_timeout,no_answer.")
@click.option("--as", "decision", type=click.Choice(list(DECISIONS)), required=True, help="What you decide.")
@ledger_option
@output_option
@logging_options
@ending_well
def resolve(
    job: Path,
    of_run: str,
    rows: tuple[int, ...],
    codes: str,
    decision: str,
    ledger: str | None,
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Decide about rows in doubt: they arrived (accepted), they did not (failed), or send them again (resend)."""
    loaded = load_job(job)
    name = loaded.name
    with open_ledger(ledger or default_ledger()) as opened, opened.locked(name):
        if died := opened.bury_dead_runs(name, SystemClock().now_ms()):
            from batchrunner.cli.whole import complete_last  # noqa: PLC0415  reads sources, which is seldom needed here

            complete_last(loaded, opened, died)
        history = History(opened)
        found = history.run(of_run, name)
        wanted = Wanted(
            frozenset({State.IN_DOUBT, State.RESEND}),
            frozenset(filter(None, codes.replace(" ", "").split(","))),
            found.id,
        )
        changed = history.resolve(wanted, rows, DECISIONS[decision])
        left = history.only_imported(wanted) if decision == "accepted" else 0
    if left:
        click.echo(
            f"batchrunner: {left} rows of this run stay in doubt: no more than their import was under way, so nobody "
            "was engaged by them; decide 'resend', or run again",
            err=True,
        )
    if output == "json":
        say_json({"job": name, "run": found.name, "resolved": changed, "as": decision})
    elif not quiet:
        click.echo(f"{changed} rows in doubt of run {found.name} are now {decision}: {EFFECTS[decision]}")
