"""`check`: the job and a whole file, judged without sending."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

from batchrunner.cli import compose
from batchrunner.cli.exits import Exit
from batchrunner.cli.night import looked_at
from batchrunner.cli.options import ending_well, job_argument, logging_options, output_option, sources_argument
from batchrunner.config import Job, load_job, notes_on
from batchrunner.errors import ConfigError, ResultError
from batchrunner.inspection import Inspection, inspection_text, inspection_values, page
from batchrunner.mapping import lint_mapping
from batchrunner.model import Filtered, Totals, Unusable
from batchrunner.pipeline import Input, in_file_order
from batchrunner.progress import Bar


@click.command()
@job_argument
@sources_argument
@output_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to look at, as well.")
@click.option("--no-progress", is_flag=True, help="No bar, even on a terminal.")
@logging_options
@ending_well
def check(
    job: Path,
    sources: tuple[str, ...],
    output: str,
    html: Path | None,
    no_progress: bool,  # noqa: FBT001
    quiet: bool,  # noqa: FBT001
) -> None:
    """Lint the job and judge the whole file without sending: every unusable row, and every column in numbers."""
    loaded = load_job(job)
    if mistakes := lint_mapping(loaded):
        raise ConfigError("\n".join(mistakes))
    for note in notes_on(loaded):
        click.echo(f"{loaded.file.name}: {note}", err=True)
    shown = False if no_progress or quiet else None
    opened = compose.open_places(loaded, looked_at(loaded, sources), bar=shown)
    inputs = compose.mapped(loaded, opened)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape", prefix="batchrunner-") as rows:
        faults = _Faults(rows, output)
        found = _inspected(loaded, opened, inputs, faults, shown=shown)
        if html is not None:
            _write(html, page(found))
        if output == "json":
            faults.say_with(inspection_values(found))
        else:
            click.echo(inspection_text(found))
    raise SystemExit(Exit.SOME_BAD if found.unusable else Exit.OK)


def _inspected(
    job: Job,
    opened: Sequence[compose.OpenSource],
    inputs: Sequence[Input],
    faults: _Faults,
    *,
    shown: bool | None,
) -> Inspection:
    """Judge every row and look at every column. Raises SourceError."""
    size = sum(one.reader.source.size_bytes for one in opened)
    found = Inspection(job.name, tuple(one.name for one in opened), size)
    before = 0
    with Bar(size, job.name, shown=shown, sends=False) as bar:
        for one, of_one in zip(opened, inputs, strict=True):
            reached = before
            for chunk in of_one.reader.chunks():
                position = before + chunk.position
                found.columns.add(chunk)
                rows = in_file_order(chunk, of_one.mapper)
                for place, judged in enumerate(rows):
                    bad = judged if isinstance(judged, Unusable) else None
                    at = reached + (position - reached) * place // len(rows)
                    found.count(at, bad.code if bad else None, filtered=isinstance(judged, Filtered))
                    if bad:
                        faults.tell(one.name, bad)
                reached = position
                bar.update(position, Totals(read=found.read, accepted=found.usable, unusable=found.unusable), 0)
            before += one.reader.source.size_bytes
            found.found(one.repairs, one.repairs.problems)
    return found


class _Faults:
    """Unusable rows, told as they are met. Those of JSON wait on the disk: a file may have millions of them."""

    def __init__(self, rows: IO[str], output: str) -> None:
        self._rows = rows
        self._output = output

    def tell(self, source: str, bad: Unusable) -> None:
        if self._output == "text":
            click.echo(f"{source}:{bad.row.line}: row {bad.row.number}: {bad.code}: {bad.text}")
            return
        values = {
            "source": source,
            "row": bad.row.number,
            "line": bad.row.line,
            "code": bad.code,
            "reason": bad.text,
        }
        self._rows.write(json.dumps(values, ensure_ascii=False) + "\n")

    def say_with(self, values: dict[str, Any]) -> None:
        """One JSON object on stdout: these values, and `rows`."""
        click.echo(json.dumps(values, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "rows": [', nl=False)
        self._rows.seek(0)
        for place, line in enumerate(self._rows):
            click.echo(f"{',' if place else ''}\n    {line.rstrip()}", nl=False)
        click.echo("\n  ]\n}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ResultError(f"{path}: cannot be written ({error.strerror}); name another file with --html") from None
