"""CSV records, exactly: the stdlib reader splits, and every physical line ends up in one record.

Broken quoting costs the first line of the record it is in, and nothing else: reading goes on at the next line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from batchrunner.errors import SourceError
from batchrunner.model import Row, Unusable
from batchrunner.nested import MOST_PATHS, paths_in
from batchrunner.ports import RESULT_COLUMNS
from batchrunner.sources.dialects import Dialect
from batchrunner.sources.files import InputFile
from batchrunner.sources.lines import PhysicalLines, undecodable_at
from batchrunner.sources.packed import DamagedError
from batchrunner.sources.reading import Batch, bad_bytes

if TYPE_CHECKING:  # the type has no public name
    from _csv import Reader

# The limit is one for the whole process and would end cells of 128 KiB. Lines and records are bounded here and
# in `lines`, so it may be as high as a C long is everywhere.
csv.field_size_limit(2**31 - 1)

_MAX_OPEN = 16 << 20
"""How far a quoted cell may run over line ends before its quote counts as never closed, in weight (below)."""

_LINE_WEIGHT = 64
"""A line weighs as much as its characters and this, about what a string costs: bounds memory for empty lines too."""

_CREDIT_PER_LINE = 1 << 10
_LEAST_OPEN = 16 << 10
"""Looking for a closing quote in vain means re-reading. A file that makes us do it all the time may make us do it
for so much weight per line; from then on a quoted cell may run on for `_LEAST_OPEN` only."""


_LOOKED_AT = 5_000
"""Records, for paths into their cells."""

_CODE = RESULT_COLUMNS.index("_error_code")
_UNSPLIT = frozenset({"bad_quotes", "open_quote"})


class _OpenQuoteError(Exception):
    """The record runs on inside quotes to the end of the file, or too far."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a record could not be split."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class _Split:
    """Consecutive lines as records: record i is in `lines[ends[i - 1]:ends[i]]`. A faulty one is the last line."""

    first_line: int
    lines: list[str]
    records: list[tuple[str, ...]]
    ends: list[int]
    fault: _Fault | None

    def spans(self) -> Iterator[tuple[tuple[str, ...], int, int]]:
        """Each record with the indices of its lines."""
        return zip(self.records, chain((0,), self.ends), self.ends, strict=False)


class _Splitter:
    """Physical lines to lists of cells."""

    def __init__(self, lines: PhysicalLines, dialect: Dialect) -> None:
        self._lines = lines
        self._dialect = dialect
        self._spent = 0
        self._lines_are_records = True
        """As far as this file has been read."""

    def split(self) -> _Split | None:
        """The next block of lines, up to the first record with broken quotes; None at the end of the file."""
        first_line = self._lines.taken + 1
        block = self._lines.block()
        if not block:
            return None
        if self._lines_are_records and (plain := self._one_by_line(block)) is not None:
            return _Split(first_line, block, plain, list(range(1, len(plain) + 1)), None)
        records: list[tuple[str, ...]] = []
        ends: list[int] = []
        fault = self._collect(block, records, ends)
        if fault:
            begin = ends[-1] if ends else 0
            self._lines.give_back(block[begin + 1 :])
            del block[begin + 1 :]
        return _Split(first_line, block, records, ends, fault)

    def _one_by_line(self, block: list[str]) -> list[tuple[str, ...]] | None:
        """The records of a block in which each is a line: the usual one, without a look at each, in 0.8 of the time."""
        reader = self._reader(block)
        with suppress(csv.Error):
            records = list(map(tuple, reader))
            if len(records) == reader.line_num:  # each has at least one line, so each has one
                return records
        self._lines_are_records = False  # a file with one line end in a cell has more of them
        return None

    def _reader(self, lines: Iterable[str]) -> Reader:
        dialect = self._dialect
        return csv.reader(
            lines, delimiter=dialect.delimiter, quotechar=dialect.quote, escapechar=dialect.escape, strict=True
        )

    def _collect(self, block: list[str], records: list[tuple[str, ...]], ends: list[int]) -> _Fault | None:
        reader = self._reader(chain(block, self._rest_of_record(block, ends)))
        add_record, add_end = records.append, ends.append
        try:
            for record in reader:
                add_record(tuple(record))
                add_end(reader.line_num)
        except (_OpenQuoteError, csv.Error) as error:
            in_vain = block[ends[-1] if ends else 0 : reader.line_num]
            self._spent += _weight(in_vain)
            if isinstance(error, _OpenQuoteError):
                return _Fault("open_quote", str(error))
            return _Fault("bad_quotes", _bad_quotes(len(in_vain) - 1))
        except DamagedError:  # in the middle of a record: give those before it, and meet the damage again after them
            if not records:
                raise
            del block[ends[-1] :]
        return None

    def _rest_of_record(self, block: list[str], ends: list[int]) -> Iterator[str]:
        """Asked for when the block is used up: more lines, but only as long as a quote is still open."""
        begin = ends[-1] if ends else 0
        weight = _weight(block[begin:])
        limit = min(_MAX_OPEN, max(_LEAST_OPEN, self._credit()))
        while (ends[-1] if ends else 0) < len(block):
            line = self._lines.line() if weight <= limit else ""
            if not line:
                raise _OpenQuoteError(_open_quote(len(block) - begin, at_end=weight <= limit))
            block.append(line)
            weight += len(line) + _LINE_WEIGHT
            yield line

    def _credit(self) -> int:
        return 4 * _MAX_OPEN + _CREDIT_PER_LINE * self._lines.taken - self._spent


def _weight(lines: list[str]) -> int:
    return sum(map(len, lines)) + _LINE_WEIGHT * len(lines)


def _bad_quotes(lines_ahead: int) -> str:
    where = f"{lines_ahead} line(s) further down" if lines_ahead else "on this line"
    return (
        f"A quoted cell goes on after its closing quote ({where}); quotes inside a quoted cell must be doubled; "
        f"or set `escape` under [source] to the character in front of them, or `quote` to another one."
    )


def _open_quote(lines: int, *, at_end: bool) -> str:
    where = "up to the end of the file" if at_end else f"on the {lines} lines looked at"
    return (
        f"A quote opens and is not closed {where} (or an escape character comes last); the line was taken alone, and "
        f"reading went on at the next one."
    )


class CsvFormat:
    """How one CSV file is split, and the columns of its header."""

    def __init__(self, header: tuple[str, ...], dialect: Dialect) -> None:
        """Use `of`."""
        self.columns = dialect.names(header)
        self.header: tuple[str, ...] = header if dialect.has_header else self.columns
        """As it is written; the columns have names of their own, and never the same."""
        self.inner: tuple[str, ...] = ()
        self.nested = dialect.is_result
        """The source of a result file may have had cells of JSON, whose values the job then names."""
        self._dialect = dialect

    @classmethod
    def of(cls, file: InputFile, dialect: Dialect) -> CsvFormat:
        """Read the header. Raises SourceError when there is none, or it is not fit to name columns."""
        with file.lines() as lines:
            dialect = dialect.for_file_that_begins(lines.line())
        headers = [_header(file, lines, dialect) for lines in file.each()]
        form = cls(headers[0], dialect)
        for part, header in zip(file.parts, headers, strict=True):
            if dialect.names(header) != form.columns:
                raise SourceError(
                    f"{file.path}: {file.parts[0].name} and {part.name} do not have the same columns, so they are not "
                    f"read as one; choose those that belong together by `member` under [source]"
                )
        if form.nested:
            form.inner = form.paths(file)
        return form

    def paths(self, file: InputFile) -> tuple[str, ...]:
        """Paths into cells that hold JSON, as far as the first records have any."""
        records = chain.from_iterable(batch.values for lines in file.each() for batch in self.batches(lines))
        cells = (
            (name, cell)
            for record in islice(records, _LOOKED_AT)
            for name, cell in zip(self.columns, record, strict=True)
        )
        found = dict.fromkeys(f"{name}.{path}" for name, cell in cells for path in paths_in(cell))
        return tuple(path for path in islice(found, MOST_PATHS) if path not in self.columns)

    def batches(self, lines: PhysicalLines, first: int = 1) -> Iterator[Batch[tuple[str, ...]]]:
        """The data records."""
        splitter = _begin(lines, self._dialect)
        if self._dialect.has_header:
            _pass_header(lines, splitter)
        judge = _Judge(lines, len(self.columns), self._dialect, first)
        while split := splitter.split():
            yield judge.judge(split)

    def table(self, values: Sequence[tuple[str, ...]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The records are the cells."""
        return self.columns, values


class _Judge:
    """Which records are rows; numbers them as it goes."""

    def __init__(self, lines: PhysicalLines, width: int, dialect: Dialect, first: int) -> None:
        self._lines = lines
        self._width = width
        self._dialect = dialect
        self._number = first - 1

    def judge(self, split: _Split) -> Batch[tuple[str, ...]]:
        batch = self._plain(split) if self._is_plain(split) else self._each(split)
        if split.fault:
            self._number += 1
            row = Row(self._number, split.first_line + len(split.lines) - 1, split.lines[-1].rstrip("\r\n"))
            batch.broken.append(Unusable(row, split.fault.code, split.fault.text))
        return batch

    def _is_plain(self, split: _Split) -> bool:
        """One line per record, no blank lines, all of the same width, no odd bytes: what most blocks are."""
        return (
            split.ends[-1:] == [len(split.records)]  # each record has at least one line, so each has one
            and set(map(len, split.records)) == {self._width}
            and not (self._lines.suspicious and self._lines.where_undecodable(split.lines))
        )

    def _plain(self, split: _Split) -> Batch[tuple[str, ...]]:
        records = split.records
        first, count = self._number + 1, len(records)
        numbers, lines = range(first, first + count), range(split.first_line, split.first_line + count)
        self._number += count
        return Batch(list(map(Row, numbers, lines, records)), records)

    def _each(self, split: _Split) -> Batch[tuple[str, ...]]:
        batch: Batch[tuple[str, ...]] = Batch()
        suspicious = self._lines.suspicious
        for cells, begin, end in split.spans():
            if not cells:  # a blank line
                continue
            self._number += 1
            row = Row(self._number, split.first_line + begin, cells)
            fault = self._bad_bytes(row, split.lines[begin:end]) if suspicious else None
            mended = self._mended(cells)
            fault = fault or self._bad_width(len(mended))
            if fault:
                batch.broken.append(Unusable(row, fault.code, fault.text))
            else:
                batch.rows.append(row)
                batch.values.append(mended)
        return batch

    def _mended(self, cells: tuple[str, ...]) -> tuple[str, ...]:
        """A ragged record as the job wants it; what is kept of the record itself stays ragged."""
        short = self._width - len(cells)
        if short < 0 and self._dialect.cuts:
            return cells[: self._width]
        if short > 0 and self._dialect.pads and not self._was_no_record(cells):
            return (*cells, *[""] * short)
        return cells

    def _was_no_record(self, cells: tuple[str, ...]) -> bool:
        """A line whose quotes were broken stands whole in the first cell of an error file: it must not become a row."""
        ours = len(RESULT_COLUMNS)
        return self._dialect.is_result and (len(cells) < ours or cells[_CODE] in _UNSPLIT)

    def _bad_bytes(self, row: Row, lines: list[str]) -> _Fault | None:
        where = self._lines.where_undecodable(lines)
        return where and _Fault("bad_bytes", bad_bytes(self._lines, row.line + where[0], where[1]))

    def _bad_width(self, found: int) -> _Fault | None:
        if found == self._width:
            return None
        code = "extra_fields" if found > self._width else "missing_fields"
        header = "header" if self._dialect.has_header else "`columns`" if self._dialect.columns else "first record"
        return _Fault(code, f"Fields expected, as in the {header}: {self._width}; found: {found}.")


def _begin(lines: PhysicalLines, dialect: Dialect) -> _Splitter:
    """Pass the preamble, and never come to the footer."""
    lines.leave_out_last(dialect.skip_footer)
    for _ in range(dialect.skip_lines):
        lines.line()
    return _Splitter(lines, dialect)


def _header(file: InputFile, lines: PhysicalLines, dialect: Dialect) -> tuple[str, ...]:
    """The names of the columns, exactly as written; or names made for the first record."""
    split = _pass_header(lines, _begin(lines, dialect))
    if not dialect.has_header and dialect.columns:
        return dialect.columns
    header = "header" if dialect.has_header else "first record"
    if split is None:
        raise SourceError(f"{file.path}: is empty, it lacks even a {header}; {_export_again(dialect)}")
    if split.fault:
        raise SourceError(
            f"{file.path}: the {header} on line {lines.told(lines.taken)} has a quote that never closes, or text after "
            f"a closing quote; correct the {header}, or set `quote` or `escape` under [source]"
        )
    names = split.records[-1]
    if dialect.has_header and undecodable_at("".join(names)) is not None:
        raise SourceError(
            f"{file.path}: the header on line {lines.told(split.first_line)} is not written in {lines.encoding}; set "
            f"`encoding` under [source] to the encoding of the file, such as cp1251"
        )
    return names


def _export_again(dialect: Dialect) -> str:
    if dialect.skip_lines or dialect.skip_footer:
        return "correct `skip_lines` or `skip_footer` under [source], or export it again"
    return "export it again"


def _pass_header(lines: PhysicalLines, splitter: _Splitter) -> _Split | None:
    """Take blank lines and the header, and leave `lines` just behind it."""
    while split := splitter.split():
        for number, (record, begin, end) in enumerate(split.spans(), 1):
            if record:
                lines.give_back(split.lines[end:])
                del split.lines[end:], split.records[number:], split.ends[number:]
                return _Split(split.first_line + begin, split.lines, split.records, split.ends, None)
        if split.fault:
            return split
    return None
