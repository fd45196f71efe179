"""The result files of a run that could not finish them, completed from the ledger and the source.

Between the commit of an outcome and its line in a file a process can die, and a disk can fill. `summary.json` is
written last, and only beside whole files: a directory without it is completed when the job runs next, or by `results`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from batchrunner.cli import compose
from batchrunner.cli.locate import as_known, find
from batchrunner.config import Job
from batchrunner.errors import BatchrunnerError, ConfigError, SourceError
from batchrunner.ledger import DIED, End, History, Place, RunRecord, SqlLedger
from batchrunner.mapping import job_from_mapping_text, reads_alike
from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Rejected, Row, State, Unusable
from batchrunner.pipeline import Input, in_file_order
from batchrunner.report import run_values
from batchrunner.results import Mending, Shape, write_private

SUMMARY = "summary.json"

FROM_LEDGER = "told again from the ledger, which keeps no texts"
DIED_TEXT = "the run died before an answer came"


@dataclass(frozen=True, slots=True)
class Whole:
    """What a directory holds, now that it is whole."""

    added: int
    told: dict[str, int]
    shapes: tuple[Shape, ...]


def complete_last(job: Job, ledger: SqlLedger, died: Sequence[str]) -> None:
    """Complete what runs of the job left unfinished: those that have just been found dead, and the one before now.

    Says on stderr what was done. That it cannot be done stops nothing: the ledger knows everything.
    """
    history = History(ledger)
    named = [history.run(name, job.name) for name in died] or history.runs(job.name, limit=1)
    for run in named:
        if run.run_dir is None or not Path(run.run_dir).is_dir() or (Path(run.run_dir) / SUMMARY).exists():
            continue
        try:
            whole = complete(job, ledger, run, Path(run.run_dir))
        except BatchrunnerError as error:
            click.echo(f"batchrunner: the result files of run {run.name} stay as they were left: {error}", err=True)
        else:
            rows = f"{whole.added} rows added" if whole.added else "no row was missing"
            click.echo(f"batchrunner: the result files of run {run.name} are whole now ({rows})", err=True)


def complete(job: Job, ledger: SqlLedger, run: RunRecord, directory: Path) -> Whole:
    """Complete the result files of one ended run, and leave a summary beside them. Raises BatchrunnerError."""
    history = History(ledger)
    inputs = _inputs(job, ledger, history.mapping_of(run.id), run)
    shapes = tuple(source.shape for source, _ in inputs)
    with Mending(directory, shapes) as mending:
        for source_no, row, end in _missing(history, run, [input_ for _, input_ in inputs], mending):
            mending.add(source_no, row, end)
        mending.finish()
    if not (directory / SUMMARY).exists():
        write_private(directory / SUMMARY, json.dumps(run_values(run), ensure_ascii=False, indent=2) + "\n")
    return Whole(mending.added, dict(mending.told), shapes)


def _inputs(job: Job, ledger: SqlLedger, text: str, run: RunRecord) -> list[tuple[compose.OpenSource, Input]]:
    """The sources of a run, found again and opened as the run read them."""
    if not reads_alike(text, job):
        raise ConfigError(
            f"{job.file}: the job reads files otherwise by now; undo that change, and say 'results' again"
        )
    was = job_from_mapping_text(text, job)
    opened = []
    for source in run.sources:
        path = find(job, source, ledger)
        if path is None:
            raise SourceError(
                f"{source.path}: is gone or has changed since (fingerprint {source.fingerprint}); put it back, and "
                f"write: batchrunner results {job.file} --run {run.name}"
            )
        opened.append(compose.open_at_hand(was, as_known(source, path)))
    return list(zip(opened, compose.mapped(was, opened), strict=True))


def _missing(
    history: History, run: RunRecord, inputs: Sequence[Input], mending: Mending
) -> Iterator[tuple[int, Row, Outcome | Unusable]]:
    """The rows that the run has told of, in file order; none when the files hold as many of each kind already."""
    last = history.last_rows(run.id)
    unusable = run.totals.unusable
    if sum(mending.told.values()) == run.totals.read - run.totals.skipped_in_all:
        return
    for source_no, one in enumerate(inputs, start=1):
        place = Place(run.id, source_no)
        reached = 0
        for chunk in one.reader.chunks():
            if not unusable and reached >= last.get(source_no, 0):
                break
            if chunk.rows:
                reached = chunk.rows[-1].number
                ends = history.ends(place, chunk.rows[0].number, reached)
                yield from ((source_no, row, _outcome(ends[row.number])) for row in chunk.rows if row.number in ends)
            if unusable:
                # Those that the run had met are the first ones: it met them in this order, and counted them durably.
                met = _unusable(history, run, one, in_file_order(chunk, one.mapper))[:unusable]
                unusable -= len(met)
                yield from ((source_no, end.row, end) for end in met)


def _unusable(history: History, run: RunRecord, one: Input, rows: Sequence[object]) -> list[Unusable]:
    found = [row for row in rows if isinstance(row, Unusable)]
    if run.verb != "retry" or not found:
        return found
    # A retry asks only for rows that were claimed before.
    numbers = [end.row.number for end in found]
    theirs = history.ever_claimed(run.job, one.reader.source.fingerprint, run.id, numbers)
    return [end for end in found if end.row.number in theirs]


def _outcome(end: End) -> Outcome:
    match end.state:
        case State.ACCEPTED:
            return Accepted(end.profile_id)
        case State.REJECTED:
            return Rejected(end.code, FROM_LEDGER)
        case State.FAILED:
            return Failed(end.code, FROM_LEDGER)
        case State.CLAIMED | State.IN_DOUBT | State.RESEND:
            return InDoubt(end.code or DIED, DIED_TEXT if end.code == DIED else FROM_LEDGER)
