"""Excel workbooks (.xlsx): one sheet, read row by row. The only door to openpyxl.

A cell is its text: a number as Excel shows it (whole ones without a point, leading zeros where the format has them), a
date as 2026-11-23, with its time where the format shows one. Formulas are the values that were last computed.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.sources.dialects import distinct
from batchrunner.sources.files import os_errors, stamp_of
from batchrunner.sources.packed import FREE_BYTES, MOST_TIMES
from batchrunner.sources.tables import Record, number_text

_ZEROS = re.compile(r"0+")
_DAMAGES = (zipfile.BadZipFile, zlib.error, ParseError, EOFError, KeyError, ValueError, TypeError, IndexError)
"""What openpyxl lets through when a workbook is not as it should be."""


class Sheet:
    """One sheet of a workbook as a table (`tables.Table`)."""

    nested = False
    inner: tuple[str, ...] = ()

    def __init__(self, path: Path, table: SourceTable) -> None:
        """Open it and read its header. Raises SourceError."""
        self._path = path
        self._options = table
        self._stamp = stamp_of(path)
        _must_be_plausible(path)
        with closing(self._rows()) as rows:
            first = next(rows, None)
        if first is None:
            raise SourceError(f"{path}: the sheet is empty, it lacks even a header; export it again, or set `sheet`")
        self.header = self._named(first[1])
        self.columns = tuple(distinct(self.header))

    def records(self) -> Iterator[Record]:
        """The rows below the header that are not empty; their line is the number that Excel shows."""
        rows = self._rows()
        if self._options.header:
            next(rows, None)
        held: list[Record] = []
        for line, cells, read in rows:
            held.append(Record(line, cells, read))
            if len(held) > self._options.skip_footer:
                yield held.pop(0)

    def fault(self, record: Record) -> tuple[str, str] | None:
        """Cells beyond the header that hold something."""
        width = len(self.columns)
        if len(record.cells) <= width or self._options.extra_fields == "ignore":
            return None
        return "extra_fields", f"Fields expected, as in the header: {width}; found: {len(record.cells)}."

    def mended(self, cells: tuple[str, ...]) -> Sequence[str]:
        """A workbook does not write the empty cells at the end of a row."""
        width = len(self.columns)
        return cells if len(cells) == width else (*cells[:width], *[""] * (width - len(cells)))

    def _named(self, first: tuple[str, ...]) -> tuple[str, ...]:
        options = self._options
        if options.header:
            return first
        return options.columns or tuple(str(place) for place in range(1, len(first) + 1))

    def _rows(self) -> Generator[tuple[int, tuple[str, ...], float], None, None]:
        """The rows that hold something: number, cells without the empty ones at the end, share of the sheet."""
        load = _openpyxl(self._path)
        with _reading(self._path), self._path.open("rb") as file:  # opened here: its name need not end in .xlsx
            book = load(file, read_only=True, data_only=True)
            try:
                sheet = self._sheet(book)
                count = sheet.max_row or 0
                sheet.reset_dimensions()  # some writers say that a sheet has one cell
                for line, row in enumerate(sheet.iter_rows(min_row=1), 1):
                    if line % 1_000 == 0:
                        self._must_be_unchanged()
                    cells = [_text(cell) for cell in row]
                    while cells and not cells[-1]:
                        del cells[-1]
                    if cells and line > self._options.skip_lines:
                        yield line, tuple(cells), min(1.0, line / count) if count > 1 else 0.0
            finally:
                book.close()
        self._must_be_unchanged()

    def _sheet(self, book: Any) -> Any:  # noqa: ANN401  openpyxl has no types
        wanted = self._options.sheet
        names = [sheet.title for sheet in book.worksheets]
        if wanted is None and names:
            return book.worksheets[0]
        if wanted not in names:
            raise SourceError(
                f"{self._path}: has no sheet called {wanted!r}, but {', '.join(map(repr, names)) or 'none at all'}; "
                f"correct `sheet` under [source]"
            )
        return book[wanted]

    def _must_be_unchanged(self) -> None:
        if stamp_of(self._path) != self._stamp:
            raise SourceError(
                f"{self._path}: the file changed while it was read; let its export finish, then run again"
            )


def is_workbook(path: Path) -> bool:
    """Whether a zip is a workbook. Raises SourceError when it cannot be read at all."""
    with os_errors(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return "xl/workbook.xml" in archive.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            return False


def sheets_of(path: Path) -> list[str]:
    """The names of the sheets of a workbook, in its order. Raises SourceError."""
    load = _openpyxl(path)
    _must_be_plausible(path)
    with _reading(path), path.open("rb") as file:
        book = load(file, read_only=True, data_only=True)
        try:
            return [str(sheet.title) for sheet in book.worksheets]
        finally:
            book.close()


def _must_be_plausible(path: Path) -> None:
    with _reading(path), zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > FREE_BYTES and unpacked > MOST_TIMES * path.stat().st_size:
            raise SourceError(
                f"{path}: grows to more than {MOST_TIMES} times its size when it is unpacked, as decompression bombs "
                f"do and exports do not; if it is one all the same, save it as CSV and name that"
            )


def _text(cell: Any) -> str:  # noqa: ANN401  see above
    value = cell.value
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = number_text(float(value)) if isinstance(value, float) else str(value)
            zeros = cell.number_format
            return text.zfill(len(zeros)) if _ZEROS.fullmatch(zeros) and text.isdigit() else text
        case dt.datetime():
            shows_time = "h" in cell.number_format.lower() or value.time() != dt.time()
            return value.isoformat(" ", "seconds") if shows_time else value.date().isoformat()
    return str(value)


def _openpyxl(path: Path) -> Callable[..., Any]:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415  only for files that need it
    except ImportError:
        raise SourceError(
            f"{path}: is an Excel workbook; to read it, run: pip install 'batchrunner[xlsx]', or save it as CSV"
        ) from None
    load: Callable[..., Any] = load_workbook
    return load


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    with os_errors(path):
        try:
            yield
        except _DAMAGES as error:
            raise SourceError(
                f"{path}: cannot be read as an Excel workbook ({type(error).__name__}); open it in Excel and save it "
                f"again, or save it as CSV"
            ) from error
