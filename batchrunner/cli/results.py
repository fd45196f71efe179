"""`results`: the result files of a run, completed or written anew."""

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
from batchrunner.config import load_job
from batchrunner.errors import UsageError
from batchrunner.ledger import History, open_ledger


@click.command()
@job_argument
@click.option("--run", "of_run", default="last", metavar="ID|last", show_default=True, help="The run.")
@click.option("--run-dir", type=click.Path(path_type=Path), help="Write them there instead of where the run left them.")
@click.option("--spreadsheet-safe", is_flag=True, help="Also write copies in which no cell can be taken for a formula.")
@ledger_option
@output_option
@logging_options
@ending_well
def results(
    job: Path,
    of_run: str,
    run_dir: Path | None,
    spreadsheet_safe: bool,  # noqa: FBT001
    ledger: str | None,
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Complete the result files of a run that died or ran out of disk, or write them anew where they are gone.

    Rows that stand in the files are kept as they are; missing ones are told from the ledger, and read from the source.
    """
    from batchrunner.cli.whole import complete  # noqa: PLC0415  reads sources
    from batchrunner.results import spreadsheet_copies  # noqa: PLC0415

    loaded = load_job(job)
    with open_ledger(ledger or default_ledger(), create=False) as opened, opened.locked(loaded.name):
        found = History(opened).run(of_run, loaded.name)
        if found.ended_ms is None:
            raise UsageError(f"run {found.name} died before it ended; 'run', 'retry' or 'resolve' put that in order")
        directory = (run_dir or Path(found.run_dir or "")).absolute()
        whole = complete(loaded, opened, found, directory)
    copies = spreadsheet_copies(directory, whole.shapes) if spreadsheet_safe else []
    if output == "json":
        say_json({
            "job": loaded.name, "run": found.name, "run_dir": str(directory), "added": whole.added, "rows": whole.told,
            "copies": [str(path) for path in copies],
        })  # fmt: skip
    elif not quiet:
        click.echo(f"{directory}: whole, {whole.added} rows added; {sum(whole.told.values())} rows in all")
        for path in copies:
            click.echo(f"{path}: for spreadsheets; do not feed it back")
