"""`schedule`: when a job runs by itself, and the timers of this machine that see to it."""

from __future__ import annotations

import getpass
import os
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from batchrunner.cli.fire import fire
from batchrunner.cli.look import job_name
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    say_json,
    state_dir,
)
from batchrunner.clock import SystemClock, zone
from batchrunner.config import Job, load_job
from batchrunner.cron import with_seconds
from batchrunner.errors import UsageError
from batchrunner.ledger import SlotRecord, Slots, SqlLedger
from batchrunner.schedule import Children, Firing, begins_s, cron_of
from batchrunner.schedule.crontab import block
from batchrunner.schedule.installing import (
    Installed,
    Units,
    has_cron,
    has_systemd,
    in_crontab,
    install_in_crontab,
    remove_from_crontab,
)
from batchrunner.schedule.kubernetes import cron_job
from batchrunner.schedule.programs import Program
from batchrunner.schedule.systemd import STATE

KINDS = ("systemd", "cron", "kubernetes", "print")


@click.group()
def schedule() -> None:
    """When a job runs by itself: [schedule] in its file, and a timer that asks."""


schedule.add_command(fire)


# --- next --------------------------------------------------------------------------------------


@schedule.command(name="next")
@job_argument
@click.option("-n", "count", type=click.IntRange(min=1, max=1000), default=5, show_default=True, help="So many.")
@click.option(
    "--after",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="From then on, in the schedule's time zone. Default: now.",
)
@output_option
@ending_well
def next_(job: Path, count: int, after: datetime | None, output: str) -> None:
    """Tell when a job is due next, in its time zone: clock changes show in the offset."""
    loaded = load_job(job)
    cron = cron_of(loaded)
    start_s = SystemClock().now_ms() / 1000 if after is None else after.replace(tzinfo=cron.zone).timestamp()
    slots = list(islice(cron.after(int(start_s)), count))
    moments = [datetime.fromtimestamp(slot, cron.zone).isoformat() for slot in slots]
    begins = [datetime.fromtimestamp(int(begins_s(loaded, slot)), cron.zone).isoformat() for slot in slots]
    if output == "json":
        pairs = zip(moments, begins, strict=True)
        say_json({"job": loaded.name, "next": [{"slot": slot, "begins": begin} for slot, begin in pairs]})
        return
    for slot, begin in zip(moments, begins, strict=True):
        click.echo(slot if slot == begin else f"{slot}   begins {begin}")


# --- install -----------------------------------------------------------------------------------


@schedule.command()
@job_argument
@click.option("--as", "kind", type=click.Choice(KINDS), help="Default: systemd where it runs, else cron.")
@click.option("--system", is_flag=True, help="A unit of the system instead of one of yours.")
@click.option("--run-as", metavar="USER", help="With --system: whom it runs as. Default: you.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="With systemd: holds the token.")
@click.option("--image", default="batchrunner", show_default=True, help="With kubernetes: the image to run.")
@click.option("--no-enable", is_flag=True, help="With systemd: write the units, and leave the rest to you.")
@ledger_option
@ending_well
def install(job: Path, kind: str | None, ledger: str | None, **options: Any) -> None:  # noqa: ANN401
    """Have this machine run a job when it is due.

    systemd: a timer and its unit, enabled. cron: a block in your crontab. kubernetes: a CronJob, printed, for
    'kubectl apply -f -'. print: the units and the crontab block, printed.
    """
    loaded = load_job(job)
    cron_of(loaded)
    units = _units(system=options["system"], run_as=options["run_as"])
    program = _program(loaded, ledger, options["token_file"], units)
    match kind or _best_kind():
        case "kubernetes":
            click.echo(cron_job(program, options["image"]), nl=False)
        case "print":
            _print(program, units)
        case "cron":
            install_in_crontab(program)
            _installed(program, "your crontab")
        case _:
            written = units.install(program, enable=not options["no_enable"])
            _installed(program, " and ".join(map(str, written)), of_system=units.run_as is not None)


def _best_kind() -> str:
    if has_systemd():
        return "systemd"
    if has_cron():
        return "cron"
    raise UsageError(
        "neither systemd nor cron runs this machine; use 'batchrunner serve JOB', or choose with --as what another "
        "machine has"
    )


def _units(*, system: bool, run_as: str | None) -> Units:
    if run_as and not system:
        raise UsageError("--run-as goes with --system: a unit of yours runs as you")
    if not system:
        return Units.of_user()
    return Units.of_system(run_as or os.environ.get("SUDO_USER") or getpass.getuser())


def _program(job: Job, ledger: str | None, token_file: Path | None, units: Units) -> Program:
    home = STATE if units.run_as else state_dir().parent
    # A system unit has its state directory; a file that is named belongs to whoever names it.
    path = Path(ledger or (home / "batchrunner" / "ledger.db" if units.run_as else default_ledger()))
    return Program(job, path.expanduser().absolute(), home.absolute(), token_file)


def _print(program: Program, units: Units) -> None:
    for path, text in units.texts(program).items():
        click.echo(f"# {path}\n{text}")
    if program.token_file is None and not with_seconds(cron_of(program.job).text):
        click.echo(block(program, zone(None)), nl=False)


def _installed(program: Program, where: str, *, of_system: bool = False) -> None:
    if not of_system:
        # From now on the schedule is watched: the slots of yesterday are not caught up with.
        Firing(program.job, str(program.ledger), Children(), SystemClock()).begin()
    due = next(cron_of(program.job).after(SystemClock().now_ms() // 1000), None)
    at = "never" if due is None else datetime.fromtimestamp(due, cron_of(program.job).zone).isoformat()
    click.echo(f"installed in {where}; {program.job.name} is due next at {at}")


# --- remove ------------------------------------------------------------------------------------


@schedule.command()
@click.argument("job")
@click.option("--no-disable", is_flag=True, help="With systemd: take the files away, and tell systemd nothing.")
@ending_well
def remove(job: str, no_disable: bool) -> None:  # noqa: FBT001
    """Take a job (by name or file) out of this machine's timers. What it has done stays in the ledger."""
    name = job_name(job) or job
    found = [
        str(path)
        for units in (Units.of_user(), Units.of_system("root"))
        for path in units.remove(name, disable=not no_disable)
    ]
    if remove_from_crontab(name):
        found.append("your crontab")
    if not found:
        raise UsageError(f"job {name} is in no timer of this machine; 'batchrunner schedule list' lists them")
    click.echo(f"removed {name} from {', '.join(found)}")


# --- list --------------------------------------------------------------------------------------


@schedule.command(name="list")
@ledger_option
@output_option
@logging_options
@ending_well
def list_(ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """List the jobs that this machine runs by itself, and their last slots."""
    del quiet
    found = [*Units.of_user().installed(), *Units.of_system("root").installed(), *in_crontab()]
    with SqlLedger.for_reading(ledger or default_ledger()) as opened:
        slots = Slots(opened)
        told = [(one, next(iter(slots.recent(one.job, 1)), None)) for one in found]
    if output == "json":
        say_json({"jobs": [_values(one, last) for one, last in told]})
    else:
        click.echo("\n".join(_line(one, last) for one, last in told) or "no job is in any timer of this machine")


def _values(one: Installed, last: SlotRecord | None) -> dict[str, Any]:
    return {
        "job": one.job,
        "as": one.kind,
        "where": one.where,
        "schedule": one.what,
        "last_slot": None if last is None else _slot_values(last),
    }


def _slot_values(slot: SlotRecord) -> dict[str, Any]:
    return {
        "slot": _moment(slot),
        "state": slot.state,
        "run": slot.run,
        "exit_code": slot.exit_code,
        "passed_over": slot.passed_over,
    }


def _line(one: Installed, last: SlotRecord | None) -> str:
    lines = [f"{one.job}  ({one.kind}: {one.where})", f"  {one.what}"]
    if last is not None:
        ended = "" if last.exit_code is None else f", exit code {last.exit_code}"
        lines.append(f"  last slot {_moment(last)}: {last.state}{ended}")
    return "\n".join(lines)


def _moment(slot: SlotRecord) -> str:
    return datetime.fromtimestamp(slot.slot_s).astimezone().isoformat()
