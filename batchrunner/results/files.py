"""Result files: what became of each row, written as the run goes, in the shape of the source.

`success`, `error` and `in_doubt` hold the source's own columns untouched behind columns of ours, so that `error.csv`,
corrected or not, can be given to `run` as a source. Ours come first: a record with too many or too few cells stays
exactly as broken as it was.
"""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

import msgspec

from batchrunner.errors import ResultError, UsageError
from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Rejected, Row, Settled, Unusable, Value
from batchrunner.ports import RESULT_COLUMNS
from batchrunner.private import private_folder

COLUMNS = RESULT_COLUMNS
"""Ours. `_row`, `_line` and `_source` (a fingerprint) keep pointing at the export, however often a file is fed back."""

BUFFER_BYTES = 1 << 18
"""A commit's rows go out in one piece: each piece gives the interpreter away, and it has to be waited for again."""

SUCCESS, ERROR, IN_DOUBT = KINDS = "success", "error", "in_doubt"
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_SURROGATES = re.compile("[\ud800-\udfff]")
"""Stand for bytes that could not be decoded (see `sources.lines`)."""


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


class ResultFiles:
    """The result files of one run, in a directory that only its owner can read."""

    def __init__(self, directory: Path, shapes: Sequence[Shape]) -> None:
        """Make the directory and empty files with their headers. Raises UsageError, ResultError."""
        self.directory = directory
        self.whole = True
        """Every row that was given is in its file."""
        self._open: list[TextIO] = []
        with saying(directory):
            _make_private(directory)
            names = file_names(shapes)
            made: dict[str, dict[str, Writer]] = {}
            for shape, name in zip(shapes, names, strict=True):
                if name not in made:
                    made[name] = {kind: self._writer(kind, name, shape) for kind in KINDS}
        self._of_source = {number: made[name] for number, name in enumerate(names, start=1)}
        self._shape_of = dict(enumerate(shapes, start=1))

    def __enter__(self) -> Self:
        """The files themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        for file in self._open:
            # Every row was flushed when it was written; what cannot be written now was told then.
            with suppress(OSError):
                file.close()

    def settled(self, ends: Sequence[Settled]) -> None:
        """Write rows whose outcome is durable. Raises ResultError."""
        with self._writing():
            for end in ends:
                kind, ending = told(end.outcome)
                self._write(end.claim.source_no, kind, end.claim.request.row, ending)
            self._flush()

    def unusable(self, ends: Iterable[tuple[int, Unusable]]) -> None:
        """Write rows that never became requests. Raises ResultError."""
        with self._writing():
            for source_no, end in ends:
                kind, ending = told(end)
                self._write(source_no, kind, end.row, ending)
            self._flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with saying(self.directory):
                yield
        except ResultError:
            self.whole = False
            raise

    def _write(self, source_no: int, kind: str, row: Row, ending: Ending) -> None:
        self._of_source[source_no][kind].write(self._shape_of[source_no], row, ending)

    def _flush(self) -> None:
        for file in self._open:
            file.flush()

    def _writer(self, kind: str, name: str, shape: Shape) -> Writer:
        file = create(self.directory / f"{kind}{name}", shape)
        self._open.append(file)
        made = writer(file, shape)
        made.begin(shape)
        return made


def create(path: Path, shape: Shape) -> TextIO:
    """A new file that only its owner can read, for text in the encoding of the source."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    return os.fdopen(descriptor, "w", BUFFER_BYTES, encoding=shape.encoding, errors=AS_IT_CAME, newline="")


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


class _CsvWriter(Writer):
    def __init__(self, file: TextIO, shape: Shape) -> None:
        self.file = file
        columns = shape.columns or ()
        # With this line end the writer also quotes a cell that holds a lone CR, which would be read back as one.
        self._writer = csv.writer(file, delimiter=shape.delimiter, quotechar=shape.quote, lineterminator="\r\n")
        self._kept = [place for place, name in enumerate(columns) if name not in COLUMNS]
        self._origin = _origin_places(columns)
        self._all = len(self._kept) == len(columns)
        self._width = len(columns)
        self._ours_in_front = tuple(columns[: len(COLUMNS)]) == COLUMNS

    def begin(self, shape: Shape) -> None:
        super().begin(shape)
        header = shape.header or shape.columns or ()
        self._writer.writerow([*COLUMNS, *(header[place] for place in self._kept)])

    def write(self, shape: Shape, row: Row, ending: Ending) -> None:
        number, line, source, theirs = self._placed(shape, row)
        said = ending.outcome, ending.profile_id, ending.code, ending.text
        self._writer.writerow((number, line, source, *said, *theirs))

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


def file_names(shapes: Sequence[Shape]) -> list[str]:
    """Ends of file names: sources of one shape share files, another shape gets files of its own."""
    known: dict[tuple[Any, ...], str] = {}
    names = []
    for shape in shapes:
        look = (shape.columns, shape.header, shape.delimiter, shape.quote, shape.encoding, shape.bom)
        number = len(known) + 1
        names.append(known.setdefault(look, shape.suffix if number == 1 else f"-{number}{shape.suffix}"))
    return names


def _as_it_came(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes that could not be decoded go back as they came; what the encoding lacks (an answer's text) is escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if "\udc80" <= first <= "\udcff" and not error.encoding.startswith(("utf-16", "utf-32")):
        return bytes([ord(first) - 0xDC00]), error.start + 1
    # As JSON escapes it: beyond the basic plane, as two halves.
    halves = first.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{halves[at : at + 4]}" for at in range(0, len(halves), 4)), error.start + 1


AS_IT_CAME = "batchrunner-as-it-came"
codecs.register_error(AS_IT_CAME, _as_it_came)


def _make_private(directory: Path) -> None:
    private_folder(directory)
    if any(directory.glob("success*")) or (directory / "summary.json").exists():
        raise UsageError(f"{directory}: holds the results of an earlier run; name another directory with --run-dir")


class saying:  # noqa: N801  reads as a statement
    """Turn what the file system raises into a ResultError that names the directory and the next step."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError | ValueError) and not isinstance(error, UnicodeError):
            reason = getattr(error, "strerror", None) or str(error)
            raise ResultError(
                f"result files in {self._directory} cannot be written ({reason}); make room or name another directory "
                "with --run-dir, then run again: the ledger knows what was sent"
            ) from error


def write_private(path: Path, text: str) -> None:
    """Write a whole small JSON file that only its owner can read, at once or not at all."""
    beside = path.with_name(path.name + ".part")
    with saying(path.parent):
        descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        # The name of a source may hold bytes that are no text; JSON reads what escapes them.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
