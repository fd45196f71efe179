"""`check` and `preview`: what would be sent, without sending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from batchrunner.api import Api
from batchrunner.cli import compose
from batchrunner.cli.exits import Exit
from batchrunner.cli.night import looked_at
from batchrunner.cli.options import (
    ending_well,
    job_argument,
    logging_options,
    output_option,
    say_json,
    sources_argument,
)
from batchrunner.config import Job, load_job, notes_on, read_token
from batchrunner.errors import ConfigError
from batchrunner.mapping import lint_mapping
from batchrunner.model import Claim, Filtered, Mapped, RequestId, Totals, Unusable
from batchrunner.pipeline import Input, in_file_order
from batchrunner.progress import Bar
from batchrunner.report import REASONS

EXAMPLE_ID = RequestId("00000000-0000-4000-8000-000000000000")
"""Stands in a preview where a run would put a Request-ID of the row's own."""


def _rows(sources: Sequence[compose.OpenSource], inputs: Sequence[Input]) -> Iterator[tuple[str, int, Mapped]]:
    """Every row with its file and the bytes read so far."""
    before = 0
    for opened, one in zip(sources, inputs, strict=True):
        for chunk in one.reader.chunks():
            for judged in in_file_order(chunk, one.mapper):
                yield opened.name, before + chunk.position, judged
        before += one.reader.source.size_bytes


@click.command()
@job_argument
@sources_argument
@click.option("-n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="So many rows.")
@output_option
@logging_options
@ending_well
def preview(job: Path, sources: tuple[str, ...], count: int, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Show the exact request bodies of the first rows, the token masked."""
    del quiet
    loaded = load_job(job)
    opened = compose.open_places(loaded, looked_at(loaded, sources))
    api = Api(loaded.target, _token_or_mask(loaded), loaded.target.call, loaded.target.format)
    rows = islice(_rows(opened, compose.mapped(loaded, opened)), count)
    shown = [_shown(api, name, judged) for name, _, judged in rows]
    if output == "json":
        say_json({"job": loaded.name, "rows": shown})
        return
    click.echo("\n\n".join(_preview_text(one) for one in shown))


def _token_or_mask(job: Job) -> str:
    """A preview needs no token: it shows the mask either way."""
    try:
        return read_token(job)
    except ConfigError:
        return "no-token-set"


def _shown(api: Api, name: str, judged: Mapped) -> dict[str, Any]:
    where = {"source": name, "row": judged.row.number, "line": judged.row.line}
    if isinstance(judged, Unusable):
        return {**where, "unusable": judged.code, "reason": judged.text}
    if isinstance(judged, Filtered):
        return {**where, "skipped": judged.reason.value, "reason": REASONS[judged.reason]}
    masked = api.masked(api.request_for(Claim(1, judged, EXAMPLE_ID, 0)))
    headers = [list(header) for header in masked.headers]
    return {**where, "method": masked.method, "url": masked.url, "headers": headers, "body": masked.body}


def _preview_text(shown: dict[str, Any]) -> str:
    head = f"# row {shown['row']}, line {shown['line']} of {shown['source']}"
    if "unusable" in shown:
        return f"{head}\nunusable ({shown['unusable']}): {shown['reason']}"
    if "skipped" in shown:
        return f"{head}\nskipped ({shown['skipped']}): {shown['reason']}"
    headers = "\n".join(f"{name}: {value}" for name, value in shown["headers"])
    return f"{head}\n{shown['method']} {shown['url']}\n{headers}\n\n{shown['body']}"


@click.command()
@job_argument
@sources_argument
@output_option
@click.option("--no-progress", is_flag=True, help="No bar, even on a terminal.")
@logging_options
@ending_well
def check(job: Path, sources: tuple[str, ...], output: str, no_progress: bool, quiet: bool) -> None:  # noqa: FBT001
    """Lint the job and judge the whole file without sending: every unusable row with its line, column and reason."""
    loaded = load_job(job)
    if mistakes := lint_mapping(loaded):
        raise ConfigError("\n".join(mistakes))
    for note in notes_on(loaded):
        click.echo(f"{loaded.file.name}: {note}", err=True)
    opened = compose.open_places(loaded, looked_at(loaded, sources))
    inputs = compose.mapped(loaded, opened)
    size = sum(one.reader.source.size_bytes for one in opened)
    unusable: list[dict[str, Any]] = []
    usable = filtered = 0
    with Bar(size, loaded.name, shown=False if no_progress or quiet else None) as bar:
        for name, position, judged in _rows(opened, inputs):
            if isinstance(judged, Unusable):
                unusable.append(_fault(name, judged, output))
            elif isinstance(judged, Filtered):
                filtered += 1
            else:
                usable += 1
            read = usable + filtered + len(unusable)
            bar.update(position, Totals(read=read, accepted=usable, unusable=len(unusable)), 0)
    _tell_check(loaded, usable, filtered, unusable, output)
    raise SystemExit(Exit.SOME_BAD if unusable else Exit.OK)


def _fault(name: str, judged: Unusable, output: str) -> dict[str, Any]:
    if output == "text":
        click.echo(f"{name}:{judged.row.line}: row {judged.row.number}: {judged.code}: {judged.text}")
    return {
        "source": name,
        "row": judged.row.number,
        "line": judged.row.line,
        "code": judged.code,
        "reason": judged.text,
    }


def _tell_check(job: Job, usable: int, filtered: int, unusable: Sequence[dict[str, Any]], output: str) -> None:
    codes = Counter(one["code"] for one in unusable)
    if output == "json":
        read = usable + filtered + len(unusable)
        say_json(
            {
                "job": job.name,
                "read": read,
                "usable": usable,
                "filtered": filtered,
                "unusable": len(unusable),
                "codes": codes,
                "rows": unusable,
            }
        )
        return
    why = ", ".join(f"{code} ({count})" for code, count in codes.most_common())
    left_out = f"{filtered} are left out by `when`, " if filtered else ""
    click.echo(
        f"{job.name}: {usable} rows can be sent, {left_out}{len(unusable)} are unusable{': ' if why else ''}{why}"
    )
