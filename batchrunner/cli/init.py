"""`init`: look at an export, and write a job file for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from batchrunner.addresses import Address, is_address
from batchrunner.cli.exits import Exit
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.config import load_job
from batchrunner.errors import ConfigError, LedgerError, UsageError
from batchrunner.guess import (
    Known,
    Plan,
    Proposal,
    Remembered,
    Sample,
    job_in_ledger,
    job_text,
    jobs_in,
    latin,
    propose,
    remembered,
    sample_of_address,
    sample_of_file,
    sample_of_stream,
    toml,
)
from batchrunner.ledger import History, SqlLedger
from batchrunner.mapping import compile_mapping
from batchrunner.model import Source
from batchrunner.sources.places import LocalFile, RemoteFile, places

STDIN = "-"
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".zip")
_MARKS = {"sure": "sure", "likely": "likely", "guess": "guess"}


@click.command()
@click.argument("export", type=click.Path(allow_dash=True))
@click.option("--name", help="Of the job. Default: the name of the file.")
@click.option("--url", help="Of the platform. Default: the sandbox's.")
@click.option("--workflow-id", type=click.IntRange(min=1), help="The scenario. Default: the sandbox's.")
@click.option("--to", "to", type=click.Path(path_type=Path), help="The job file. Default: beside the export.")
@click.option("--force", is_flag=True, help="Write over a job file that is there.")
@click.option("--explain", is_flag=True, help="Print the evidence for everything that was found out.")
@ledger_option
@output_option
@logging_options
@ending_well
def init(
    export: str,
    name: str | None,
    url: str | None,
    workflow_id: int | None,
    to: Path | None,
    force: bool,  # noqa: FBT001
    explain: bool,  # noqa: FBT001
    ledger: str | None,
    output: str,
    quiet: bool,  # noqa: FBT001
) -> None:
    """Look at the start of an export (a file, an address, or - for standard input), and write a job file for it."""
    _must_be_an_address_if_any(export)
    place = _place(export, name, to, force=force)
    sample = _sample(export)
    plan = propose(sample)
    before = remembered(sample.columns, _candidates(place, sample, ledger))
    known = Known(name or _job_name(export), _path_in_job(export, place), url, workflow_id)
    text = job_text(known, sample, plan, before)
    place.write_text(text, encoding="utf-8")
    missing = _what_is_missing(place, sample)
    if output == "json":
        say_json(_values(place, sample, plan, before, missing))
    elif not quiet:
        click.echo("\n".join(_lines(place, sample, plan, before, missing, explain=explain)))
    raise SystemExit(Exit.SOME_BAD if missing else Exit.OK)


# --- where from, where to ----------------------------------------------------------------------


def _sample(export: str) -> Sample:
    if export == STDIN:
        return sample_of_stream(sys.stdin.buffer, "standard input")
    first = places(export, Path())[0]
    if isinstance(first, RemoteFile):
        return sample_of_address(first.address)
    path = first.path if isinstance(first, LocalFile) else Path(export)
    if path.is_fifo():
        with path.open("rb") as pipe:
            return sample_of_stream(pipe, path.name)
    return sample_of_file(path)


def _must_be_an_address_if_any(export: str) -> None:
    if is_address(export):
        try:
            Address.of(export)
        except ValueError as error:
            raise UsageError(str(error)) from None


def _place(export: str, name: str | None, to: Path | None, *, force: bool) -> Path:
    """Where the job file goes. Raises UsageError where there is one already."""
    if to is None:
        folder = Path() if export == STDIN or is_address(export) or _is_pattern(export) else Path(export).parent
        to = folder / f"{name or _job_name(export)}.toml"
    if to.exists() and not force:
        raise UsageError(f"{to}: is there already; add --force to write over it, or --to to write another file")
    if not to.parent.is_dir():
        raise UsageError(f"{to.parent}: is no directory; make it, or name another file with --to")
    return to


def _is_pattern(export: str) -> bool:
    """Whether it names files by a pattern: the job file then goes here, not among them."""
    return bool(set(export) & set("*?[")) and not Path(export).exists()


def _path_in_job(export: str, place: Path) -> str:
    if export == STDIN:
        return STDIN
    if is_address(export):
        return _address_in_job(Address.of(export))
    path = Path(export).absolute()
    folder = place.absolute().parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _address_in_job(address: Address) -> str:
    """A signature is good for a while, and a job file for years: it may be read by whoever reads the job."""
    if not address.is_signed:
        return address.url
    click.echo(
        f"batchrunner: {address.shown}: looks signed, so the job file has it without its query; name the whole address "
        "behind the job, as in: batchrunner run JOB ADDRESS",
        err=True,
    )
    return address.without_query


def _job_name(export: str) -> str:
    """The name of the file without its endings, in letters that a job may have in its name."""
    if export == STDIN:
        return "import"
    path = Path(Address.of(export).name if is_address(export) else export)
    while path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    stem = path.stem if path.suffix else path.name
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", stem if stem.isascii() else latin(stem)).strip("-._")
    return name[:80] or "import"


# --- what was mapped before --------------------------------------------------------------------


def _candidates(place: Path, sample: Sample, ledger: str | None) -> Iterator[Remembered]:
    yield from jobs_in(place.absolute().parent, sample.columns, place)
    with suppress(LedgerError), SqlLedger.for_reading(ledger or default_ledger()) as opened:
        history = History(opened)
        for job in history.jobs():
            for mapping in history.mappings(job):
                if one := job_in_ledger(job, mapping):
                    yield one


# --- is it any good ----------------------------------------------------------------------------


def _what_is_missing(place: Path, sample: Sample) -> list[str]:
    """What keeps the job file from passing `check` as it stands."""
    try:
        job = load_job(place)
        compile_mapping(job, Source(job.source.path, "", 0), sample.columns, job.source.path)
    except ConfigError as error:
        return str(error).splitlines()
    return []


# --- telling -----------------------------------------------------------------------------------


def _values(place: Path, sample: Sample, plan: Plan, before: Remembered | None, missing: list[str]) -> dict[str, Any]:
    return {
        "job": str(place),
        "read": sample.rows,
        "whole": sample.whole,
        "broken": sample.broken,
        "source": [
            {"key": one.key, "value": one.value, "sure": one.sure, "why": one.why, "evidence": one.evidence}
            for one in sample.findings
        ],
        "matching": plan.matching,
        "matching_why": plan.why,
        "remembered": before.where if before else None,
        "columns": [_column_values(one) for one in plan.proposals],
        "missing": missing,
    }


def _column_values(one: Proposal) -> dict[str, Any]:
    return {
        "column": one.column,
        "looks_like": one.look.kind,
        "filled": one.look.filled,
        "distinct": one.look.distinct,
        "field": one.target,
        "value": one.node,
        "on": one.on,
        "sure": one.sure,
        "why": one.why,
        "note": one.note,
        "evidence": one.evidence,
    }


def _lines(
    place: Path, sample: Sample, plan: Plan, before: Remembered | None, missing: list[str], *, explain: bool
) -> Iterator[str]:
    rows = f"{sample.rows} rows" + ("" if sample.whole else " at its start")
    broken = sum(sample.broken.values())
    yield f"{place}: written after a look at {rows}" + (f" and {broken} broken records" if broken else "")
    for finding in sample.findings:
        yield f"  {finding.key:<12} {toml(finding.value):<10} {finding.sure:<7} {finding.why}"
        if explain:
            yield from (f"{'':<33}· {line}" for line in finding.evidence)
    yield f"  matching     {plan.matching:<18} {plan.why}"
    if before:
        yield f"  the request is as {before.where} has it: the same columns were mapped there"
    yield ""
    yield from _table(plan, before, explain=explain)
    if missing:
        yield ""
        yield "not complete yet:"
        yield from (f"  {line}" for line in missing)
    yield ""
    yield "next:"
    yield from (f"  batchrunner {command}" for command in _next(place))


def _table(plan: Plan, before: Remembered | None, *, explain: bool) -> Iterator[str]:
    names = [one.column for one in plan.proposals]
    width = min(24, max(map(len, names), default=0))
    for one in plan.proposals:
        kept = before is not None and one.column in before.columns
        sent = "as before" if kept else (one.target or "") if one.on else f"# {one.target}" if one.target else "#"
        note = f"; {one.note}" if one.note else ""
        yield f"  {_shown(one.column, width)}  {sent:<18} {_MARKS[one.sure]:<7} {one.why}{note}"
        if explain:
            look = one.look
            yield f"{'':<{width + 24}}· {look.kind}: {look.filled} of {look.rows} filled, {look.distinct} different"
            yield from (f"{'':<{width + 24}}· {line}" for line in one.evidence)
    if any(not one.on for one in plan.proposals):
        yield "  (# stands in the job file as a comment to switch on)"


def _shown(name: str, width: int) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return f"{printable:<{width}}" if len(printable) <= width else f"{printable[: width - 1]}…"


def _next(place: Path) -> list[str]:
    import shlex  # noqa: PLC0415  for these lines only

    quoted = shlex.quote(str(place))
    return [f"check {quoted}", f"preview {quoted} -n 1", f"run {quoted} --sandbox"]
