"""`ledger recall`: rows that the ledger has lost are remembered again, from the result files of their runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrunner.cli.exits import Exit
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.config import Job, load_job
from batchrunner.ledger import open_ledger

if TYPE_CHECKING:
    from batchrunner.cli.recollection import Work


@click.command("recall")
@job_argument
@click.argument("run_dirs", nargs=-1, type=click.Path(path_type=Path, file_okay=False, exists=True))
@ledger_option
@output_option
@logging_options
@ending_well
def recall_(job: Path, run_dirs: tuple[Path, ...], ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Put rows back that a repaired or restored ledger has lost, as the result files of their runs tell of them.

    Runs of which the ledger knows that rows are missing are found by themselves. Name the directories of runs that it
    does not know at all: those that came after the backup. Nothing is sent.
    """
    from batchrunner.cli.recollection import recollect  # noqa: PLC0415  reads sources

    loaded = load_job(job)
    with open_ledger(ledger or default_ledger(), create=False) as opened, opened.locked(loaded.name):
        works, strangers = recollect(loaded, opened, [one.absolute() for one in run_dirs])
    _tell(loaded, opened.path, works, strangers, output=output, quiet=quiet)
    if strangers or any(work.missing or work.problems for work in works):
        raise SystemExit(Exit.SOME_BAD)


# --- telling -------------------------------------------------------------------------------------


def _tell(
    job: Job, ledger: Path, works: Sequence[Work], strangers: Sequence[Path], *, output: str, quiet: bool
) -> None:
    if output == "json":
        say_json({
            "ledger": str(ledger), "job": job.name, "put_back": sum(work.came.put_back for work in works),
            "missing": sum(work.missing for work in works),
            "runs": [
                {
                    "run": work.run.name, "run_dir": str(work.run.run_dir or ""), "put_back": work.came.put_back,
                    "known": work.came.here + work.came.elsewhere, "missing": work.missing,
                    "problems": work.problems,
                }
                for work in works
            ],
            "unknown_run_dirs": list(map(str, strangers)),
        })  # fmt: skip
        return
    if not quiet:
        for work in works:
            click.echo(f"run {work.run.name}: {work.came.put_back} rows put back, {work.missing} still missing")
        if not works:
            click.echo(f"{job.name}: no run is known of which rows are missing")
    for line in _complaints(job, works, strangers):
        click.echo(f"batchrunner: {line}", err=True)


def _complaints(job: Job, works: Sequence[Work], strangers: Sequence[Path]) -> Iterator[str]:
    for work in works:
        yield from (f"run {work.run.name}: {problem}" for problem in work.problems)
        if work.untold:
            yield (
                f"run {work.run.name}: of {work.untold} rows it cannot be told what was asked: half a line, or the job "
                "makes no request of them any more"
            )
        if work.came.unlike:
            yield f"run {work.run.name}: in the place of {work.came.unlike} rows the ledger has something else"
        if work.missing:
            yield (
                f"run {work.run.name}: {work.missing} rows could be sent again: take them out of the export "
                f"first; its result files are in {work.run.run_dir}"
            )
    if strangers:
        yield (
            f"{len(strangers)} run directories are of runs that the ledger does not know; if they sent to the platform "
            f"of {job.file.name}, write: batchrunner ledger recall {job.file} {' '.join(map(str, strangers))}"
        )
