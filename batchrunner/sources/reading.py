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

    def batches(self, lines: PhysicalLines) -> Iterator[Batch[V]]:
        """The records of a file that is read from its start, in batches of some hundreds."""
        ...

    def table(self, values: Sequence[V]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Names of the columns of some rows, and one cell per column and row."""
        ...


class FileReader(Generic[V]):
    """An open source (`ports.Reader`): each pass over it gives the same rows with the same numbers."""

    def __init__(self, file: InputFile, source: Source, form: Format[V], chunk_rows: int) -> None:
        """Read `file` in chunks of at most `chunk_rows` records, broken ones included."""
        self.source = source
        self.columns = form.columns
        self.chunk_rows = max(chunk_rows, 1)
        self._file = file
        self._form = form

    @property
    def encoding(self) -> str:
        """The codec the file is read with, which its byte-order mark may have chosen."""
        return self._file.encoding

    @property
    def has_bom(self) -> bool:
        """Whether the file begins with a byte-order mark."""
        return self._file.bom_bytes > 0

    def chunks(self) -> Iterator[Chunk]:
        """All records in file order, in flat memory. Raises SourceError, at the latest when the file has changed."""
        with self._file.lines() as lines:
            yield from self._cut(lines)

    def _cut(self, lines: PhysicalLines) -> Iterator[Chunk]:
        held: Batch[V] = Batch()
        begin = 0
        for batch in self._form.batches(lines):
            held.extend(batch)
            while len(held) >= self.chunk_rows:
                yield self._chunk(held.split_off(self.chunk_rows), begin := lines.position)
            if held and lines.position - begin > _CHUNK_BYTES:
                yield self._chunk(held.split_off(len(held)), begin := lines.position)
        if held:
            yield self._chunk(held, lines.position)

    def _chunk(self, batch: Batch[V], position: int) -> Chunk:
        columns, cells = self._form.table(batch.values)
        return Chunk(columns, batch.rows, cells, batch.broken, position)


def bad_bytes(line: int, offset: int, encoding: str) -> str:
    """The sentence about a record that could not be decoded. Formats share it."""
    return (
        f"Byte {offset} of the record, on line {line}, is not {encoding}; "
        f"correct it, or set `encoding` under [source] to the encoding of the file."
    )
