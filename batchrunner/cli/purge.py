"""`purge`: what old runs of a job left behind goes: archives, run directories, outcomes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from batchrunner.cli.compose import spool_of
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    parsed,
    say_json,
    state_dir,
)
from batchrunner.clock import SystemClock, as_text
from batchrunner.config import Job, load_job, parse_duration
from batchrunner.errors import ResultError, UsageError
from batchrunner.ledger import Slots, open_ledger
from batchrunner.ledger.purging import OldFile, OldRun, Purge, Purged
from batchrunner.nights import markers

SHORTEST = timedelta(days=1)
"""Younger traces belong to a night that may not be over."""

OURS = ("success*", "error*", "in_doubt*", "summary.json*", "report*", "skipped*", "unusable*")
"""In a directory that a person named with --run-dir, only these files are ours to delete."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What is to go beside the rows of the ledger."""

    directories: Sequence[Path]
    files: Sequence[OldFile]
    copies: Sequence[Path]
    """Of sources, in the spool."""
    size_bytes: int


@click.command()
@job_argument
@click.option(
    "--older-than", callback=parsed(parse_duration), metavar="90d", help="Default: `keep` under [after] of the job."
)
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@ledger_option
@output_option
@logging_options
@ending_well
def purge(
    job: Path,
    older_than: timedelta | None,
    dry_run: bool,  # noqa: FBT001
    ledger: str | None,
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Delete what runs of the job left that ended long ago: archived exports, run directories, outcomes.

    Copies of standard input and of exports on other machines go, too, once they are past `keep_copies`.

    No row is sent again because of it: of accepted rows the digest stays, as long as the job remembers them, and rows
    that wait for something stay as they are.
    """
    loaded = load_job(job)
    age = _age(loaded, older_than)
    now_ms = SystemClock().now_ms()
    before_ms = now_ms - age // timedelta(milliseconds=1)
    with open_ledger(ledger or default_ledger(), create=False) as opened, opened.locked(loaded.name):
        found = Purge(opened, loaded.name, before_ms, _forgotten_before_ms(loaded, now_ms))
        traces = _traces(found.runs(), found.files(), spool_of(loaded).old())
        if not dry_run:
            _delete(loaded, traces, found)
        purged = found.count() if dry_run else found.go()
        schedule = Slots(opened)
        slots = (schedule.old if dry_run else schedule.forget)(loaded.name, before_ms)
        if not dry_run and not found.wipe_log() and not quiet:
            click.echo(
                f"batchrunner: other programs use {opened.path}: what was deleted is in its log until they end",
                err=True,
            )
    _tell(loaded.name, before_ms, traces, purged, slots, output=output, quiet=quiet, dry_run=dry_run)


def _age(job: Job, older_than: timedelta | None) -> timedelta:
    age = older_than or job.after.keep
    if age is None:
        raise UsageError(f"{job.file}: says nothing about `keep` under [after]; name an age with --older-than, as 90d")
    if age < SHORTEST:
        raise UsageError("--older-than is less than a day; what is younger may be needed by the next run: write 1d")
    return age


def _forgotten_before_ms(job: Job, now_ms: int) -> int | None:
    """What was accepted before may be sent again anyway; None where a job never forgets."""
    if job.rules.repeat_after is None:
        return None
    return now_ms - job.rules.repeat_after // timedelta(milliseconds=1)


def _traces(runs: Sequence[OldRun], files: Sequence[OldFile], copies: Sequence[Path]) -> Traces:
    directories = [Path(run.run_dir) for run in runs if run.run_dir and Path(run.run_dir).is_dir()]
    there = [file for file in files if _is_it(file)]
    size = sum(file.size_bytes for file in there)
    size += sum(one.stat().st_size for folder in directories for one in _contents(folder))
    size += sum(copy.stat().st_size for copy in copies)
    return Traces(directories, there, copies, size)


def _is_it(file: OldFile) -> bool:
    """Whether the archived file is still the one that was put there."""
    path = Path(file.kept_at)
    return path.is_file() and path.stat().st_size == file.size_bytes


def _contents(folder: Path) -> list[Path]:
    if _is_ours(folder):
        return [one for one in folder.rglob("*") if one.is_file()]
    return [one for pattern in OURS for one in folder.glob(pattern) if one.is_file()]


def _is_ours(folder: Path) -> bool:
    """A directory that we made for one run, and not one that a person named."""
    return folder.is_relative_to(state_dir() / "runs")


def _delete(job: Job, traces: Traces, found: Purge) -> None:
    """Files first: while the ledger knows them, a purge that is cut off can be run again. Raises ResultError."""
    marker = job.arrival.done_marker if job.arrival else None
    try:
        for folder in traces.directories:
            _delete_directory(folder)
        for copy in traces.copies:
            copy.unlink(missing_ok=True)
        for file in traces.files:
            path = Path(file.kept_at)
            path.unlink()
            for beside in markers(path, marker) if marker and marker.startswith(".") else ():
                beside.unlink(missing_ok=True)
            found.note_gone(file)
    except OSError as error:
        raise ResultError(
            f"{error.filename}: cannot be deleted ({error.strerror}); see its permissions, then purge again"
        ) from error


def _delete_directory(folder: Path) -> None:
    if _is_ours(folder):
        shutil.rmtree(folder)
        return
    for one in _contents(folder):
        one.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _tell(
    job: str, before_ms: int, traces: Traces, purged: Purged, slots: int, *, output: str, quiet: bool, dry_run: bool
) -> None:
    if output == "json":
        say_json({
            "job": job, "before": as_text(before_ms), "dry_run": dry_run, "archived_files": len(traces.files),
            "run_directories": len(traces.directories), "copies": len(traces.copies),
            "size_bytes": traces.size_bytes, "runs": purged.runs,
            "entries_deleted": purged.deleted, "outcomes_deleted": purged.stripped, "slots": slots,
            "waiting": purged.waiting,
        })  # fmt: skip
        return
    if quiet:
        return
    would = "would go" if dry_run else "gone"
    click.echo(f"{job}: {would}, of runs that ended before {as_text(before_ms)}:")
    click.echo(f"  {len(traces.files)} archived files and {len(traces.directories)} run directories", nl=False)
    click.echo(f", {len(traces.copies)} copies of sources" if traces.copies else "", nl=False)
    click.echo(f" ({traces.size_bytes:,} bytes)")
    click.echo(
        f"  {purged.deleted} entries, {purged.stripped} outcomes whose digest stays, {purged.runs} runs", nl=False
    )
    click.echo(f", {slots} slots of the schedule" if slots else "")
    if purged.waiting:
        click.echo(f"  {purged.waiting} unfinished rows stay: 'retry' sends them, or 'resolve' decides")
