"""The start of a workbook or a Parquet file as columns: which sheet, and which of its rows are no records.

Cells have their texts from the readers that `run` uses; nothing is known here about how such files are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from batchrunner.config import SourceTable
from batchrunner.errors import SourceError
from batchrunner.guess.dialect import MOST_PREAMBLE, sums_up
from batchrunner.guess.findings import Finding
from batchrunner.guess.sampling import ROWS, Sample, gathered, guess_header
from batchrunner.ports import Reader
from batchrunner.sources import Declared, TableKind, open_source, sheets_of, types_of

_CELLS = 300_000
"""Looked at, at most: some seconds of a workbook."""
_CHUNK = 500
_MOST_SHEETS = 20
_FEW = 2
"""Rows of a sheet that can be no table: a title, or a header with nothing below it."""

Grid = list[tuple[int, tuple[str, ...]]]
"""The rows of a sheet that hold something: the number that Excel shows, and the cells."""


def sample_of_table(path: Path, kind: TableKind) -> Sample:
    """What the start of a table holds. Raises SourceError."""
    if kind == "parquet":
        return _of_parquet(path)
    return _of_workbook(path)


# --- Parquet -----------------------------------------------------------------------------------


def _of_parquet(path: Path) -> Sample:
    reader = _open(path, {})
    types = types_of(path)
    finding = Finding("format", "parquet", "sure", "its content says so", (_counted(types),))
    columns = reader.columns
    return gathered(columns, reader.chunks(), {}, [finding], whole=True, most=_most_rows(len(columns)), types=types)


def _counted(types: dict[str, Declared]) -> str:
    counts = Counter(types.values())
    return "the file declares " + (", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "no types")


# --- workbooks ---------------------------------------------------------------------------------


def _of_workbook(path: Path) -> Sample:
    sheet, grid, whole, findings = _sheet(path)
    options: dict[str, Any] = {} if sheet is None else {"sheet": sheet}
    findings.insert(0, Finding("format", "xlsx", "sure", "its content says so"))
    skip = _lines_before_header(grid)
    if skip:
        options["skip_lines"] = skip
        why = f"{skip} rows stand above the header"
        findings.append(Finding("skip_lines", skip, "likely", why))
    body = [cells for line, cells in grid if line > skip]
    footer = sums_up(body) if whole else 0
    if footer:
        options["skip_footer"] = footer
        why = "the last row sums up" if footer == 1 else f"the last {footer} rows sum up, and are no records"
        findings.append(Finding("skip_footer", footer, "likely", why))
    header = guess_header(body[: len(body) - footer])
    findings.append(header)
    if not header.value:
        options["header"] = False
    elif (wider := _beyond(body[: len(body) - footer])) * 2 > len(body):
        options["extra_fields"] = "ignore"
        why = f"{wider} rows have cells to the right of the header, which has no names for them: they are left out"
        findings.append(Finding("extra_fields", "ignore", "guess", why))
    reader = _open(path, options)
    most = _most_rows(len(reader.columns))
    return gathered(reader.columns, reader.chunks(), options, findings, whole=True, most=most)


def _sheet(path: Path) -> tuple[str | None, Grid, bool, list[Finding]]:
    """The first sheet, or the first one that can be a table where that one cannot; its rows, and whether all."""
    names = sheets_of(path)
    if not names:
        raise SourceError(f"{path}: is a workbook without a sheet; export it again")
    grid, whole = _grid(path, names[0])
    if len(names) == 1:
        return None, grid, whole, []
    if len(grid) >= _FEW:
        why = f"the first of {len(names)} sheets is read; name another one here"
        return None, grid, whole, [Finding("sheet", names[0], "likely", why)]
    for name in names[1:_MOST_SHEETS]:
        other, all_of_it = _grid(path, name)
        if len(other) > len(grid) and len(other) >= _FEW:
            why = f"it is the first of {len(names)} sheets that holds a table"
            return name, other, all_of_it, [Finding("sheet", name, "likely", why)]
    return None, grid, whole, [Finding("sheet", names[0], "guess", f"none of {len(names)} sheets holds a table")]


def _grid(path: Path, sheet: str) -> tuple[Grid, bool]:
    """The rows of a sheet as they stand, up to a limit, and whether there are no more."""
    try:
        reader = _open(path, {"sheet": sheet, "header": False, "extra_fields": "ignore"})
    except SourceError as error:
        if "is empty" in str(error):
            return [], True
        raise
    rows = ((row.line, row.record) for chunk in reader.chunks() for row in chunk.rows)
    grid: Grid = []
    cells = 0
    for line, record in rows:
        if cells > _CELLS or len(grid) > ROWS:
            return grid, False
        grid.append((line, tuple(record)))
        cells += len(record)
    return grid, True


def _lines_before_header(grid: Grid) -> int:
    """Rows above the first one that says about as much as rows do: titles, dates of reports, filters."""
    said = [sum(bool(cell.strip()) for cell in cells) for _, cells in grid[:ROWS]]
    usual = Counter(said[MOST_PREAMBLE:] or said).most_common(1)[0][0] if said else 0
    for place, (line, _) in enumerate(islice(grid, MOST_PREAMBLE + 1)):
        if said[place] * 2 > usual or usual < _FEW:
            return line - 1 if place else 0
    return 0


def _beyond(body: Sequence[Sequence[str]]) -> int:
    width = len(body[0]) if body else 0
    return sum(len(cells) > width for cells in body)


# --- both --------------------------------------------------------------------------------------


def _open(path: Path, options: dict[str, Any]) -> Reader:
    return open_source(path, SourceTable(path=path.name, **options), _CHUNK)


def _most_rows(columns: int) -> int:
    return max(_CHUNK, min(ROWS, _CELLS // max(1, columns)))
