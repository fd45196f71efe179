"""`check` and `preview`: what would be sent, without sending."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from batchrunner.api import Preview
from batchrunner.cli import compose
from batchrunner.cli.batches import Shown
from batchrunner.cli.night import looked_at
from batchrunner.cli.options import (
    ending_well,
    job_argument,
    logging_options,
    output_option,
    say_json,
    sources_argument,
)
from batchrunner.config import Job, load_job, read_token
from batchrunner.errors import ConfigError
from batchrunner.model import Claim, Filtered, Mapped, RequestId, Unusable
from batchrunner.pipeline import Input, in_file_order
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
    loaded = load_job(job)
    opened = compose.open_places(loaded, looked_at(loaded, sources), bar=False if quiet else None)
    said = Shown(loaded, _token_or_mask(loaded))
    rows = islice(_rows(opened, compose.mapped(loaded, opened)), count)
    shown = [_shown(said, name, judged) for name, _, judged in rows]
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


def _shown(said: Shown, name: str, judged: Mapped) -> dict[str, Any]:
    where = {"source": name, "row": judged.row.number, "line": judged.row.line}
    if isinstance(judged, Unusable):
        return {**where, "unusable": judged.code, "reason": judged.text}
    if isinstance(judged, Filtered):
        return {**where, "skipped": judged.reason.value, "reason": REASONS[judged.reason]}
    first, *then = map(_request_values, said.requests_of(Claim(1, judged, EXAMPLE_ID, 0)))
    return {**where, **first, **({"then": then[0]} if then else {})}


def _request_values(masked: Preview) -> dict[str, Any]:
    headers = [list(header) for header in masked.headers]
    return {"method": masked.method, "url": masked.url, "headers": headers, "body": masked.body}


def _preview_text(shown: dict[str, Any]) -> str:
    head = f"# row {shown['row']}, line {shown['line']} of {shown['source']}"
    if "unusable" in shown:
        return f"{head}\nunusable ({shown['unusable']}): {shown['reason']}"
    if "skipped" in shown:
        return f"{head}\nskipped ({shown['skipped']}): {shown['reason']}"
    then = f"\n\nand then\n{_request_text(shown['then'])}" if "then" in shown else ""
    return f"{head}\n{_request_text(shown)}{then}"


def _request_text(shown: dict[str, Any]) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in shown["headers"])
    return f"{shown['method']} {shown['url']}\n{headers}\n\n{shown['body']}"
