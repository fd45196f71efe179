"""`ledger check` and `ledger repair`: is the ledger what was written, and what can be done if it is not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from batchrunner.cli.exits import Exit
from batchrunner.cli.options import default_ledger, ending_well, ledger_option, logging_options, output_option, say_json
from batchrunner.ledger.database import locate
from batchrunner.ledger.repairing import Gap, gaps_in, newest_backup, problems_of, repair


@click.command()
@ledger_option
@output_option
@logging_options
@ending_well
def check(ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Read the whole ledger and say whether it is sound."""
    path = locate(ledger or default_ledger())
    wrong = problems_of(path)
    gaps = () if wrong else gaps_in(path)
    if output == "json":
        say_json({"ledger": str(path), "sound": not wrong, "problems": wrong, "gaps": [_values(gap) for gap in gaps]})
    elif wrong:
        click.echo("\n".join(f"{path}: {one}" for one in wrong))
        click.echo("the ledger is damaged: stop all runs, then say: batchrunner ledger repair (--from BACKUP)")
    elif not quiet:
        click.echo(f"{path}: sound")
    if wrong:
        raise SystemExit(Exit.STOPPED)


@click.command("repair")
@click.option(
    "--from",
    "backup",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A backup. Default: the newest that 'ledger backup' made, if it is there and sound.",
)
@ledger_option
@output_option
@logging_options
@ending_well
def repair_(backup: Path | None, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Make the ledger anew from a backup and whatever the damaged file still tells, with no run under way.

    The damaged file is kept beside it. Runs of which rows are no longer remembered are listed: a plain run could send
    those rows again, so let 'ledger recall' put them back first, from the result files of these runs.
    """
    path = locate(ledger or default_ledger())
    if backup is None and (backup := newest_backup(path)) is not None and not quiet:
        click.echo(f"batchrunner: the newest backup that is there and sound is {backup}", err=True)
    done = repair(path, backup, f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if output == "json":
        say_json({
            "ledger": str(path), "entries": done.entries, "from_backup": done.from_backup,
            "from_damaged": done.from_damaged,
            "backup": backup and str(backup),
            "kept": str(done.kept), "gaps": [_values(gap) for gap in done.gaps],
        })  # fmt: skip
        return
    if not quiet:
        click.echo(
            f"{path}: {done.entries} entries: {done.from_backup} from the backup, {done.from_damaged} read again"
        )
        click.echo(f"the damaged file is {done.kept}")
    for gap in done.gaps:
        click.echo(_next_step(gap), err=True)
    if done.from_backup and not quiet:
        click.echo("of runs that came after the backup, too, 'ledger recall' tells", err=True)


def _next_step(gap: Gap) -> str:
    lost = f"{gap.told - gap.remembered} rows of run {gap.run} are not remembered and could be sent again"
    if gap.run_dir and Path(gap.run_dir).is_dir():
        return f"{lost}: first write: batchrunner ledger recall JOB.toml (of job {gap.job})"
    return f"{lost}, and its directory is gone: take them out of the export first"


def _values(gap: Gap) -> dict[str, object]:
    return {"run": gap.run, "job": gap.job, "told": gap.told, "remembered": gap.remembered, "run_dir": gap.run_dir}
