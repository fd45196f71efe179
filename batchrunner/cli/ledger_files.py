"""`ledger`: the ledger as a file: backup, vacuum, export."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from batchrunner.cli.ledger_recall import recall_
from batchrunner.cli.ledger_repair import check, repair_
from batchrunner.cli.look import job_name
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.errors import ResultError
from batchrunner.ledger import open_ledger
from batchrunner.ledger.copies import EXPORTED, backup, export, vacuum


@click.group()
def ledger() -> None:
    """The ledger as a file: back it up, check and repair it, make it smaller, read it with other programs."""


ledger.add_command(check)
ledger.add_command(repair_)
ledger.add_command(recall_)


@ledger.command("backup")
@click.argument("to", type=click.Path(path_type=Path, dir_okay=False))
@ledger_option
@output_option
@logging_options
@ending_well
def backup_(to: Path, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Copy the ledger to a new file, consistent and checked, while runs may go on.

    A copy is a ledger: --ledger reads it. To restore one, put it where the ledger was, with no run under way.
    """
    with open_ledger(ledger or default_ledger(), create=False) as opened:
        size = backup(opened, to.absolute())
    if output == "json":
        say_json({"ledger": str(opened.path), "backup": str(to.absolute()), "size_bytes": size})
    elif not quiet:
        click.echo(f"{opened.path} was copied to {to.absolute()} ({size:,} bytes)")


@ledger.command("vacuum")
@ledger_option
@output_option
@logging_options
@ending_well
def vacuum_(ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Give the room back that a purge has left in the ledger; with no run under way."""
    with open_ledger(ledger or default_ledger(), create=False) as opened:
        before, after = vacuum(opened)
    if output == "json":
        say_json({"ledger": str(opened.path), "before_bytes": before, "after_bytes": after})
    elif not quiet:
        click.echo(f"{opened.path}: {before:,} bytes, now {after:,}")


@ledger.command("export")
@click.argument("job", required=False)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="A new file. Default: stdout.")
@ledger_option
@logging_options
@ending_well
def export_(job: str | None, form: str, to: Path | None, ledger: str | None, quiet: bool) -> None:  # noqa: FBT001
    """Write every entry of a job (by name or file), or of all, for other programs: digests, ids and codes."""
    count = 0
    with open_ledger(ledger or default_ledger(), create=False) as opened, _destination(to) as file:
        writer = csv.writer(file, lineterminator="\n")
        if form == "csv":
            writer.writerow(EXPORTED)
        for count, entry in enumerate(export(opened, job_name(job)), start=1):  # noqa: B007  told below
            if form == "csv":
                writer.writerow(["" if value is None else value for value in entry.values])
            else:
                file.write(json.dumps(dict(zip(EXPORTED, entry.values, strict=True)), ensure_ascii=False) + "\n")
    if to is not None and not quiet:
        click.echo(f"{count} entries were written to {to}")


@contextmanager
def _destination(to: Path | None) -> Iterator[TextIO]:
    """Stdout, or a new file that only its owner can read. Raises ResultError."""
    if to is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise ResultError(f"{to}: cannot be written ({error.strerror}); name another file with --to") from error
