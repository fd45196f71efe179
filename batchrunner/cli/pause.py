"""`pause` and `unpause`: a person holds a job back, and lets it go on."""

from __future__ import annotations

from datetime import timedelta

import click

from batchrunner.cli.look import job_name
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    ledger_option,
    logging_options,
    output_option,
    parsed,
    say_json,
)
from batchrunner.clock import SystemClock
from batchrunner.config import parse_duration
from batchrunner.ledger import Nights, Pause, open_ledger
from batchrunner.report import pause_text, pause_values

LONGEST_WHY = 200


@click.command()
@click.argument("job")
@click.option("--for", "duration", callback=parsed(parse_duration), metavar="7d", help="Over by itself after so long.")
@click.option("--why", metavar="TEXT", help="Told to whoever tries to run the job.")
@ledger_option
@output_option
@logging_options
@ending_well
def pause(
    job: str,
    duration: timedelta | None,
    why: str | None,
    ledger: str | None,
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Let no run of a job (by name or file) begin: `run` and `retry` end with exit code 6 until it is lifted.

    A run that is under way takes up nothing more within seconds: what has left is settled, and the next run goes on.
    """
    name = job_name(job) or job
    now_ms = SystemClock().now_ms()
    until_ms = None if duration is None else now_ms + duration // timedelta(milliseconds=1)
    made = Pause(name, now_ms, until_ms, why and why[:LONGEST_WHY])
    with open_ledger(ledger or default_ledger()) as opened:
        Nights(opened).pause(made)
        running = opened.is_running(name)
    if output == "json":
        say_json({"job": name, "paused": pause_values(made), "running": running})
    elif not quiet:
        under_way = "; the run that is under way settles what has left, and stops" if running else ""
        click.echo(f"{name}: {pause_text(made)}{under_way}; lift it with: batchrunner unpause {name}")


@click.command()
@click.argument("job")
@ledger_option
@output_option
@logging_options
@ending_well
def unpause(job: str, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Lift the pause of a job (by name or file)."""
    name = job_name(job) or job
    with open_ledger(ledger or default_ledger()) as opened:
        was_paused = Nights(opened).unpause(name)
    if output == "json":
        say_json({"job": name, "was_paused": was_paused})
    elif not quiet:
        click.echo(f"{name}: the pause is lifted" if was_paused else f"{name}: was not paused")
