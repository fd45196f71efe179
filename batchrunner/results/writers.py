"""Writers: rows as they stand in result files, one kind of file for tables and one for JSON Lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TextIO

import msgspec

from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Rejected, Row, Unusable, Value
from batchrunner.ports import RESULT_COLUMNS

COLUMNS = RESULT_COLUMNS
"""Ours. `_row`, `_line` and `_source` (a fingerprint) keep pointing at the export, however often a file is fed back."""

SUCCESS, ERROR, IN_DOUBT = KINDS = "success", "error", "in_doubt"
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_SURROGATES = re.compile("[\ud800-\udfff]")
"""Stand for bytes that could not be decoded (see `sources.lines`)."""

_END = "\r\n"
"""Of a line of a table. With this one, the writer also quotes a cell that holds a lone CR, which would be read back as
one."""


def _line(row: Row) -> str:
    return str(row.line)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the records of one source are written."""

    fingerprint: str
    columns: tuple[str, ...] | None
    """Of a CSV file; None for JSONL."""
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    bom: bool = False
    """The source begins with a byte-order mark, so that its encoding is known whatever the job says: so do ours."""
    header: tuple[str, ...] | None = None
    """Of a CSV file, as it is written there, when the columns go by other names: a name may be missing or repeated."""
    place: Callable[[Row], str] = _line
    """Where a row is, for a person: its line, or the member of a zip and the line there, or the element of an array."""

    @property
    def suffix(self) -> str:
        """Of the result files' names."""
        return ".jsonl" if self.columns is None else ".csv"


class Ending(Value, frozen=True):
    """What is said of a row in our columns."""

    outcome: str
    profile_id: str
    code: str
    text: str


def writer(file: TextIO, shape: Shape) -> Writer:
    """What writes rows of this shape."""
    return _CsvWriter(file, shape) if shape.columns is not None else _JsonlWriter(file)


Mark = tuple[str, str, str, Sequence[str] | bytes]
"""By what a row is known again in its file: `_row`, `_line`, `_source`, and the record as it stands there."""


class Writer:
    """Writes one kind of end for sources of one shape."""

    file: TextIO

    def begin(self, shape: Shape) -> None:
        """What stands in front of the first row."""
        if shape.bom:
            self.file.write("\ufeff")

    def mark(self, shape: Shape, row: Row) -> Mark:
        """By what the row would be known again, had it been written."""
        raise NotImplementedError

    def write(self, shape: Shape, row: Row, ending: Ending) -> None:
        """One row."""
        raise NotImplementedError

    def accepted(self, shape: Shape, rows: Sequence[Row], profile_ids: Sequence[str]) -> None:
        """Rows that were accepted, nearly all that there are: the very same as one by one."""
        for row, profile_id in zip(rows, profile_ids, strict=True):
            self.write(shape, row, Ending("accepted", profile_id, "", ""))


class _CsvWriter(Writer):
    def __init__(self, file: TextIO, shape: Shape) -> None:
        self.file = file
        columns = shape.columns or ()
        self._delimiter, self._quote = shape.delimiter, shape.quote
        self._special = (shape.delimiter, shape.quote, "\r", "\n")
        written = csv.writer(_Echo(), delimiter=shape.delimiter, quotechar=shape.quote, lineterminator=_END)
        self._line_of: Callable[[Sequence[object]], str] = written.writerow
        self._kept = [place for place, name in enumerate(columns) if name not in COLUMNS]
        self._origin = _origin_places(columns)
        self._all = len(self._kept) == len(columns)
        self._width = len(columns)
        self._ours_in_front = tuple(columns[: len(COLUMNS)]) == COLUMNS

    def begin(self, shape: Shape) -> None:
        super().begin(shape)
        header = shape.header or shape.columns or ()
        self.file.write(self._line_of([*COLUMNS, *(header[place] for place in self._kept)]))

    def write(self, shape: Shape, row: Row, ending: Ending) -> None:
        number, line, source, theirs = self._placed(shape, row)
        said = ending.outcome, ending.profile_id, ending.code, ending.text
        self.file.write(self._line_of((number, line, source, *said, *theirs)))

    def accepted(self, shape: Shape, rows: Sequence[Row], profile_ids: Sequence[str]) -> None:
        """Column by column, in a third of the time: most of them hold no cell that needs quotes."""
        records = [row.record for row in rows]
        if not self._all or set(map(type, records)) != {tuple} or len(set(map(len, records))) > 1:
            super().accepted(shape, rows, profile_ids)
            return
        ours = [str(row.number) for row in rows], list(map(shape.place, rows)), profile_ids
        said = self._delimiter.join([self._cell(shape.fingerprint), self._cell("accepted")])
        nothing = self._delimiter  # two empty cells
        number, place, profile_id = map(self._cells, ours)
        columns = (
            number,
            place,
            repeat(said),
            profile_id,
            repeat(nothing),
            *map(self._cells, zip(*records, strict=True)),
        )
        self.file.write(_END.join([*map(self._delimiter.join, zip(*columns, strict=False)), ""]))

    def _cells(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts of a column as cells."""
        whole, quote = "".join(texts), self._quote
        match [sign for sign in self._special if sign in whole]:
            case []:
                return texts
            case [sign] if sign != quote:  # as a comma in most of the texts of a column of comments
                return [f"{quote}{text}{quote}" if sign in text else text for text in texts]
        return list(map(self._cell, texts))

    def _cell(self, text: str) -> str:
        """What the writer makes of a text beside others."""
        if any(sign in text for sign in self._special):
            return f"{self._quote}{text.replace(self._quote, self._quote * 2)}{self._quote}"
        return text

    def mark(self, shape: Shape, row: Row) -> Mark:
        number, line, source, theirs = self._placed(shape, row)
        return str(number), str(line), source, theirs

    def _placed(self, shape: Shape, row: Row) -> tuple[int | str, int | str, str, Sequence[str]]:
        cells = () if isinstance(row.record, str) else row.record
        # A line that could not be split into cells is kept whole, as one cell.
        theirs = (row.record,) if isinstance(row.record, str) else self._theirs(row.record)
        return *self._from(shape, row, cells), theirs

    def _theirs(self, cells: Sequence[str]) -> Sequence[str]:
        if self._all:
            return cells
        beyond = cells[self._width :]
        return [*(cells[place] for place in self._kept if place < len(cells)), *beyond]

    def _from(self, shape: Shape, row: Row, cells: Sequence[str]) -> tuple[int | str, int | str, str]:
        # With cells missing or too many, only those in front are sure to stand under their names: ours do.
        if self._origin and (len(cells) == self._width or (self._ours_in_front and len(cells) >= len(COLUMNS))):
            number, line, source = (cells[place] for place in self._origin)
            if number.isdigit() and _FINGERPRINT.fullmatch(source):
                return number, line, source
        return row.number, shape.place(row), shape.fingerprint


class _Echo:
    """A file that gives back what is written to it."""

    @staticmethod
    def write(text: str) -> str:
        return text


def _origin_places(columns: Sequence[str]) -> tuple[int, int, int] | None:
    if not {"_row", "_line", "_source"} <= set(columns):
        return None
    return columns.index("_row"), columns.index("_line"), columns.index("_source")


class _JsonlWriter(Writer):
    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, shape: Shape, row: Row, ending: Ending) -> None:
        number, line, source, theirs = self._placed(shape, row)
        said = (number, line, source, ending.outcome, ending.profile_id, ending.code, ending.text)
        ours: dict[str, Any] = dict(zip(COLUMNS, said, strict=True))
        self.file.write(msgspec.json.encode({**ours, **theirs}).decode() + "\n")

    def mark(self, shape: Shape, row: Row) -> Mark:
        number, line, source, theirs = self._placed(shape, row)
        return str(number), str(line), source, msgspec.json.encode(theirs)

    def _placed(self, shape: Shape, row: Row) -> tuple[int, int | str, str, dict[str, Any]]:
        text = row.record if isinstance(row.record, str) else ""
        members = members_of(text)
        theirs = {"_record": _printable(text)} if members is None else without_ours(members)
        return *self._from(shape, row, members), theirs

    def _from(self, shape: Shape, row: Row, members: dict[str, msgspec.Raw] | None) -> tuple[int, int | str, str]:
        try:
            origin = msgspec.json.decode(msgspec.json.encode(members), type=_Origin)
        except msgspec.MsgspecError:
            place = shape.place(row)
            return row.number, row.line if place.isdigit() else place, shape.fingerprint
        return origin.number, origin.line, origin.source


class _Origin(msgspec.Struct):
    """Where a row that was fed back came from."""

    number: int = msgspec.field(name="_row")
    line: int | str = msgspec.field(name="_line")
    source: str = msgspec.field(name="_source")


def without_ours(members: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """The members that came from the source."""
    return {name: value for name, value in members.items() if name not in COLUMNS}


def members_of(text: str) -> dict[str, msgspec.Raw] | None:
    """The members of an object as they are written; None for anything else."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def _printable(text: str) -> str:
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def told(end: Outcome | Unusable) -> tuple[str, Ending]:
    """In which file a row stands, and what is said of it there."""
    match end:
        case Accepted(profile_id):
            return SUCCESS, Ending("accepted", profile_id or "", "", "")
        case Rejected(code, text):
            return ERROR, Ending("rejected", "", code, text)
        case Failed(code, text):
            return ERROR, Ending("failed", "", code, text)
        case InDoubt(code, text):
            return IN_DOUBT, Ending("in_doubt", "", code, text)
        case Unusable(_, code, text):
            return ERROR, Ending("unusable", "", code, text)
