"""Rows whose source is gone: read from the result files of the run that they ended in, or told one by one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import compose
from batchrunner.cli.night import note
from batchrunner.cli.whole import SUMMARY
from batchrunner.config import Job
from batchrunner.errors import ConfigError, SourceError
from batchrunner.ledger import Business, History, Leftover, Wanted
from batchrunner.model import Key, Mapped
from batchrunner.pipeline import Input
from batchrunner.ports import Mapper
from batchrunner.results import whole_lines, write_private
from batchrunner.sources.places import AtHand

if TYPE_CHECKING:  # see `ports`
    from batchrunner.chunks import Chunk

RESULT_FILE = re.compile(r"(error|in_doubt)(-\d+)?\.(csv|jsonl)")
"""Those that hold unfinished rows as they came; copies for spreadsheets are not what came."""

GONE = "gone.csv"
COLUMNS = ("source", "fingerprint", "row", "line", "outcome", "code", "run")

SHOWN = 20
"""Rows told on the terminal; all of them are in a file."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The unfinished rows of sources that are gone, and the result files in which they may be."""

    rows: Mapping[Key, Leftover]
    sources: Sequence[compose.OpenSource] = ()
    inputs: Sequence[Input] = ()

    def not_among(self, met: frozenset[Key]) -> list[Leftover]:
        """Those that are in no result file either, or not as they were."""
        return [row for key, row in self.rows.items() if key not in met]


def leftovers(job: Job, history: History, missing: Sequence[Business], wanted: Wanted) -> Leftovers:
    """Look for the rows of sources that are gone in the result files of their runs."""
    rows = {row.key: row for one in missing for row in history.leftovers(one, wanted)}
    opened = list(_opened(job, history, missing))
    return Leftovers(rows, [source for source, _ in opened], [one for _, one in opened])


def _opened(job: Job, history: History, missing: Sequence[Business]) -> Iterator[tuple[compose.OpenSource, Input]]:
    runs = sorted({place.run for one in missing for place in one.places})
    for run in runs:
        for path in _result_files(history.run_dir(run)):
            # One that is empty, or of a source with other columns, has nothing that could be sent.
            with suppress(SourceError, ConfigError):
                source = compose.open_at_hand(job, AtHand(path, str(path)))
                yield source, whole_rows(path, source, compose.mapped(job, [source])[0])
                note(f"the source of rows of run {history.run_name(run)} is gone: they are read from {path}")


@dataclass(frozen=True, slots=True)
class _UpTo:
    """A mapper that stops in front of half a line."""

    mapper: Mapper
    last: int
    """The number of the last row that was written to its end."""

    def map(self, chunk: Chunk) -> list[Mapped]:
        return [one for one in self.mapper.map(chunk) if one.row.number <= self.last]


def whole_rows(path: Path, source: compose.OpenSource, given: Input) -> Input:
    """The rows of a result file without half a line at its end.

    Only a directory with a summary holds whole files: elsewhere the last row may have lost the end of a cell.
    """
    if path.with_name(SUMMARY).exists():
        return given
    return Input(given.reader, _UpTo(given.mapper, sum(1 for _ in whole_lines(path, source.shape))))


def _result_files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if RESULT_FILE.fullmatch(path.name))


def gone(rows: Sequence[Leftover], missing: Sequence[Business], run_dir: Path | None) -> SourceError | None:
    """Tell of rows that cannot be sent again, one by one; the error that the run ends with, if there are any."""
    if not rows:
        return None
    for row in rows[:SHOWN]:
        code = f" ({row.code})" if row.code else ""
        note(f"{row.path}, row {row.row_number}, line {row.line}: {row.outcome}{code}; its source is gone")
    listed = ""
    if run_dir is not None:
        write_private(run_dir / GONE, _as_csv(rows))
        listed = f"; each is in {run_dir / GONE}"
    files = "; ".join(f"{one.source.path} (fingerprint {one.source.fingerprint}, {one.rows} rows)" for one in missing)
    return SourceError(
        f"{len(rows)} rows were not sent again, because their source is gone or has changed, and no result file holds "
        f"them as they were: {files}{listed}; put the file back beside the job, or feed a corrected error.csv to 'run'"
    )


def _as_csv(rows: Sequence[Leftover]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (row.path, row.fingerprint, row.row_number, row.line, row.outcome, row.code or "", row.run) for row in rows
    )
    return text.getvalue()
