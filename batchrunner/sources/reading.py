"""Records to chunks: the one reader behind every format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from batchrunner.chunks import Chunk
from batchrunner.model import Row, Source, Unusable
from batchrunner.sources.files import InputFile
from batchrunner.sources.lines import PhysicalLines
from batchrunner.sources.packed import DamagedError

CHUNK_ROWS = 5_000
_CHUNK_BYTES = 8 << 20
"""Of the file, after which a chunk is full however few its records: memory stays flat when cells are huge."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Batch(Generic[V]):
    """Some consecutive records: rows with their values, and those that are broken, both in file order."""

    rows: list[Row] = field(default_factory=list)
    values: list[V] = field(default_factory=list)
    broken: list[Unusable] = field(default_factory=list)

    def __len__(self) -> int:
        """Records, broken ones included."""
        return len(self.rows) + len(self.broken)

    def extend(self, more: Batch[V]) -> None:
        """Append the records that come next."""
        self.rows.extend(more.rows)
        self.values.extend(more.values)
        self.broken.extend(more.broken)

    def split_off(self, count: int) -> Batch[V]:
        """Remove the first `count` records. Record numbers have no gaps, so they say where to cut."""
        end = self._first_number() + count
        rows = bisect_left(self.rows, end, key=attrgetter("number"))
        broken = bisect_left(self.broken, end, key=attrgetter("row.number"))
        first = Batch(self.rows[:rows], self.values[:rows], self.broken[:broken])
        del self.rows[:rows], self.values[:rows], self.broken[:broken]
        return first

    def _first_number(self) -> int:
        numbers = [row.number for row in self.rows[:1]] + [each.row.number for each in self.broken[:1]]
        return min(numbers)


class Format(Protocol[V]):
    """What differs between formats."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns, as far as the start of the file tells them."""
        ...

    @property
    def inner(self) -> Sequence[str]:
        """Paths into cells that hold JSON, by which a job may name their values as well."""
        ...

    @property
    def nested(self) -> bool:
        """Whether cells may hold JSON."""
        ...

    @property
    def header(self) -> tuple[str, ...] | None:
        """The header of a CSV file as it is written; None for formats whose records name their values."""
        ...

    def batches(self, lines: PhysicalLines, first: int = 1) -> Iterator[Batch[V]]:
        """The records of lines that are read from their start, in batches of some hundreds, numbered from `first`."""
        ...

    def table(self, values: Sequence[V]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Names of the columns of some rows, and one cell per column and row."""
        ...


class FileReader(Generic[V]):
    """An open source (`ports.Reader`): each pass over it gives the same rows with the same numbers."""

    def __init__(self, file: InputFile, source: Source, form: Format[V], chunk_rows: int) -> None:
        """Read `file` in chunks of at most `chunk_rows` records, broken ones included."""
        self.source = source
        self.columns: Sequence[str] = (*form.columns, *form.inner)
        self.chunk_rows = max(chunk_rows, 1)
        self._file = file
        self._form = form
        self._begins = [(0, 0)]
        """Rows and lines in front of each part that has been begun."""
        elements = file.parts[0].is_array and form.header is None
        self._by_lines = len(file.parts) == 1 and not elements
        """A row is known by its line alone."""

    @property
    def encoding(self) -> str:
        """The codec the file is read with, which its byte-order mark may have chosen."""
        return self._file.encoding

    @property
    def has_bom(self) -> bool:
        """Whether the file begins with a byte-order mark."""
        return self._file.bom_bytes > 0

    @property
    def header(self) -> tuple[str, ...] | None:
        """The header of a CSV file as it is written; None for other formats."""
        return self._form.header

    def place(self, row: Row) -> str:
        """Where a row that has been read is, for a person: its line, behind the name of its member of a zip.

        An array may stand on one line: there, the row is known by which element it is.
        """
        if self._by_lines:  # nearly always, and asked for each row that ends
            return str(row.line)
        several = len(self._file.parts) > 1
        part = bisect_left(self._begins, (row.number, 0)) - 1 if several else 0
        rows, lines = self._begins[part]
        line = str(row.line - lines)
        if self._file.parts[part].is_array and self._form.header is None:
            line += f" (element {row.number - rows})"
        return f"{self._file.data_names[part]}:{line}" if several else line

    def chunks(self) -> Iterator[Chunk]:
        """All records in file order, in flat memory. Raises SourceError, as soon as the file is seen to have changed.

        The rows in front of a damage are given before its error is raised.
        """
        held: Batch[V] = Batch()
        begin, position = 0, 0
        try:
            for batch, lines, before in self._batches():
                held.extend(batch)
                position, given = lines.position, before + lines.unpacked_bytes
                while len(held) >= self.chunk_rows or (held and given - begin > _CHUNK_BYTES):
                    self._file.check(lines)
                    begin = given
                    yield self._chunk(held.split_off(self.chunk_rows), position)
        except DamagedError:
            if held:
                yield self._chunk(held, position)
            raise
        if held:
            yield self._chunk(held, self.source.size_bytes)

    def _batches(self) -> Iterator[tuple[Batch[V], PhysicalLines, int]]:
        """All parts one after the other, each with the bytes read before it. Numbers and lines go on."""
        number, taken, before = 1, 0, 0
        for place in range(len(self._file.parts)):
            with self._file.lines(place, taken) as lines:
                for batch in self._form.batches(lines, number):
                    number += len(batch)
                    yield batch, lines, before
                taken = lines.taken
                before += lines.unpacked_bytes
            if len(self._begins) == place + 1:  # not known from an earlier pass
                self._begins.append((number - 1, taken))

    def _chunk(self, batch: Batch[V], position: int) -> Chunk:
        columns, cells = self._form.table(batch.values)
        return Chunk(columns, batch.rows, cells, batch.broken, position, nested=self._form.nested)


def bad_bytes(lines: PhysicalLines, line: int, offset: int) -> str:
    """The sentence about a record that could not be decoded. Formats share it."""
    return (
        f"Byte {offset} of the record, on line {lines.told(line)}, is not {lines.encoding}; "
        f"correct it, or set `encoding` under [source] to the encoding of the file."
    )
