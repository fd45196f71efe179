"""`notify`: who is told of scheduled runs."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import click

from batchrunner.cli.exits import Exit
from batchrunner.cli.options import ending_well, job_argument, output_option, say_json
from batchrunner.clock import SystemClock, as_text
from batchrunner.config import load_job
from batchrunner.errors import ConfigError
from batchrunner.notify import tell, trial


@click.group()
def notify() -> None:
    """Who is told of scheduled runs: [notify] in the job file."""


@notify.command()
@job_argument
@output_option
@ending_well
def test(job: Path, output: str) -> None:
    """Send a message on every way of the job, and tell what became of it."""
    loaded = load_job(job)
    if loaded.notify is None:
        raise ConfigError(f"{loaded.file}: has no [notify]; add one with [notify.webhook] or [notify.email]")
    clock = SystemClock()
    message = trial(job=loaded.name, at=as_text(clock.now_ms()), host=socket.gethostname())
    told = tell(loaded, loaded.notify, message, clock, time.sleep)
    if output == "json":
        say_json({"job": loaded.name, "told": [{"way": one.way, "error": one.error} for one in told]})
    else:
        for one in told:
            click.echo(f"{one.way}: {one.error or 'told'}")
    if any(one.error for one in told):
        raise SystemExit(Exit.STOPPED)
