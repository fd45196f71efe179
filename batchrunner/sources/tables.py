"""Tables that are no text: their rows as chunks. The one reader behind workbooks and Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchrunner.chunks import Chunk
from batchrunner.model import Row, Source, Unusable

_ENCODING = "utf-8"
"""Of the result files: the cells have none of their own."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table: where it is, and its cells as texts."""

    line: int
    cells: tuple[str, ...]
    read: float
    """The share of the file that has been read."""


class Table(Protocol):
    """What differs between formats."""

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns as they are written."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The same, each by a name of its own."""
        ...

    @property
    def inner(self) -> tuple[str, ...]:
        """Paths into cells that hold JSON, by which a job may name their values as well; none where no cell does."""
        ...

    @property
    def nested(self) -> bool:
        """Whether cells may hold JSON."""
        ...

    def records(self) -> Iterator[Record]:
        """All rows from the first one on. Raises SourceError, also when the file has changed since it was opened."""
        ...

    def fault(self, record: Record) -> tuple[str, str] | None:
        """Code and sentence for a record that cannot become a row."""
        ...

    def mended(self, cells: tuple[str, ...]) -> Sequence[str]:
        """The cells of a record without fault, one per column."""
        ...


class TableReader:
    """An open source (`ports.Reader`): each pass over it gives the same rows with the same numbers."""

    encoding = _ENCODING
    has_bom = False

    def __init__(self, source: Source, table: Table, chunk_rows: int) -> None:
        """Read the table in chunks of at most `chunk_rows` records."""
        self.source = source
        self.columns: Sequence[str] = (*table.columns, *table.inner)
        self.header: tuple[str, ...] | None = table.header
        self.chunk_rows = max(chunk_rows, 1)
        self._table = table

    def place(self, row: Row) -> str:
        """The number of the row, as the program that wrote the table shows it."""
        return str(row.line)

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order. Raises SourceError."""
        rows: list[Row] = []
        cells: list[Sequence[str]] = []
        broken: list[Unusable] = []
        for number, record in enumerate(self._table.records(), 1):
            row = Row(number, record.line, record.cells)
            if fault := self._table.fault(record):
                broken.append(Unusable(row, *fault))
            else:
                rows.append(row)
                cells.append(self._table.mended(record.cells))
            if len(rows) + len(broken) >= self.chunk_rows:
                yield self._chunk(rows, cells, broken, int(record.read * self.source.size_bytes))
                rows, cells, broken = [], [], []
        if rows or broken:
            yield self._chunk(rows, cells, broken, self.source.size_bytes)

    def _chunk(
        self, rows: Sequence[Row], cells: Sequence[Sequence[str]], broken: Sequence[Unusable], position: int
    ) -> Chunk:
        return Chunk(self._table.columns, rows, cells, broken, position, nested=self._table.nested)


def number_text(value: float) -> str:
    """A number as a person would write it: whole ones without a point, none with an exponent."""
    if value.is_integer():
        return str(int(value))
    text = format(value, ".15g")  # what spreadsheets show; more digits are noise of the binary form
    return format(value, ".20f").rstrip("0") if "e" in text else text
