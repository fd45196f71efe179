"""What the command line of `run` and `retry` asks for, and the job and token as it changes them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from batchrunner.addresses import without_secrets
from batchrunner.cli.options import default_ledger, insecure_option, ledger_option, output_option, parsed
from batchrunner.config import (
    MOST_PROCESSES,
    Concurrency,
    ErrorLimit,
    Job,
    Rate,
    load_job,
    parse_concurrency,
    parse_duration,
    parse_max_errors,
    parse_rate,
    read_token,
    with_overrides,
)
from batchrunner.errors import UsageError


@dataclass(frozen=True, slots=True)
class Asked:
    """Options beside the job."""

    job: Path
    """As it was written."""
    ledger: str
    run_dir: Path | None
    output: str
    quiet: bool
    progress: bool
    dry_run: bool
    sandbox: bool = False
    limit: int | None = None
    allow_resend: bool = False
    profile: bool = False
    wait: timedelta = timedelta(0)
    no_guards: bool = False
    notify: bool = False
    any_size: bool = False
    day: date | None = None
    carried: tuple[str, ...] = ()
    """Options that a command which goes on from here needs too: the same ledger, the same platform."""

    @property
    def bar(self) -> bool | None:
        """Whether the bar is shown; None lets the terminal decide."""
        return None if self.progress and not self.quiet else False

    def command(self, verb: str, *arguments: str) -> str:
        """A command that goes on from here, ready to be pasted."""
        return shlex.join(["batchrunner", verb, str(self.job), *arguments])


def this_command() -> str:
    """The command that is running; addresses are without their secrets, which must be written again."""
    return shlex.join(["batchrunner", *map(without_secrets, sys.argv[1:])])


def _concurrency(text: str) -> Concurrency:
    return parse_concurrency(int(text) if text.isdecimal() else text)


def sending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `run` and `retry` share."""
    options = (
        ledger_option,
        click.option("--url", help="Send to this platform instead of the job's."),
        insecure_option,
        click.option("--sandbox", is_flag=True, help="Send to a stand-in server, started for this run."),
        click.option(
            "--concurrency", callback=parsed(_concurrency), metavar="N|auto", help="Requests in flight at once."
        ),
        click.option(
            "--processes",
            type=click.IntRange(1, MOST_PROCESSES),
            metavar="N",
            help="More than one core: this process, and N-1 that only send.",
        ),
        click.option("--rate", callback=parsed(parse_rate), metavar="R", help="At most, as 50/s or 3000/min."),
        click.option(
            "--max-errors", callback=parsed(parse_max_errors), metavar="N|N%", help="Stop after so many errors."
        ),
        click.option("--run-dir", type=click.Path(path_type=Path), help="Where the result files go."),
        click.option("--dry-run", is_flag=True, help="Read, map and ask the gate; send nothing, write nothing."),
        click.option(
            "--wait", callback=parsed(parse_duration), metavar="10m", help="Wait so long for another run of the job."
        ),
        click.option("--no-guards", is_flag=True, help="Go on although a pause or [guards] of the job hold it back."),
        click.option(
            "--notify", is_flag=True, help="Tell whoever [notify] and [metrics] of the job name how it ended."
        ),
        output_option,
        click.option("--profile", is_flag=True, help="Tell where the time went: CPU by stage, and what the limit was."),
        click.option("--no-progress", is_flag=True, help="No bar, even on a terminal."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def asked(job: Path, options: Mapping[str, Any]) -> Asked:
    """The options of a sending command as one value."""
    sandbox = options["sandbox"]
    return Asked(
        job=job,
        ledger=options["ledger"] or default_ledger(sandbox=sandbox),
        run_dir=options["run_dir"],
        output=options["output"],
        quiet=options["quiet"],
        progress=not options["no_progress"],
        dry_run=options["dry_run"],
        sandbox=sandbox,
        limit=options.get("limit"),
        allow_resend=options.get("allow_resend", False),
        profile=options["profile"],
        wait=options["wait"] or timedelta(0),
        no_guards=options["no_guards"],
        notify=options["notify"],
        any_size=options.get("any_size", False),
        day=options["day"].date() if options.get("day") else None,
        carried=_carried(options),
    )


def _carried(options: Mapping[str, Any]) -> tuple[str, ...]:
    named = [(f"--{name}", options[name]) for name in ("ledger", "url")]
    flags = [f"--{name}" for name in ("insecure", "sandbox") if options[name]]
    return (*(word for pair in named if pair[1] for word in pair), *flags)


@contextmanager
def target(job_file: Path, options: Mapping[str, Any]) -> Iterator[tuple[Job, str]]:
    """The job as the command line changes it, and the token that goes with its target."""
    limits: dict[str, Rate | ErrorLimit | Concurrency | int] = {
        name: options[name] for name in ("concurrency", "processes", "rate", "max_errors") if options[name] is not None
    }
    job = with_overrides(load_job(job_file), {"limits": limits}).model_copy(update={"insecure": options["insecure"]})
    if options["sandbox"] or options["url"]:
        job = job.model_copy(update={"rabbitmq": None})  # both are spoken to over HTTP, and nobody else may be meant
    if options["sandbox"]:
        if options["url"]:
            raise UsageError("--sandbox starts a server of its own; leave --url out")
        from batchrunner.sandbox import Settings, running  # noqa: PLC0415  only this run needs it

        with running(Settings()) as server:
            # The port changes from run to run; to the ledger it is the same installation.
            yield with_overrides(job, {"target": {"url": server.url, "installation": "sandbox"}}), server.token
        return
    if options["url"]:
        # What the job calls its own platform is not the name of another one.
        job = with_overrides(job, {"target": {"url": options["url"], "installation": None}})
    yield job, "" if options["dry_run"] else read_token(job)
