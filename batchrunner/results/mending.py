"""Result files made whole: after a crash they may lack rows that the ledger calls settled, and end in half a line.

What stands there whole is kept as it is, with every text of the API; rows that are missing are told again from the
ledger. New files are written beside the old ones and take their places when they are on disk: a mending that is itself
killed changes nothing, or is found half done and goes on.
"""

from __future__ import annotations

import codecs
import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TextIO

import msgspec

from batchrunner.model import Outcome, Row, Unusable
from batchrunner.private import private_folder
from batchrunner.results.files import AS_IT_CAME, create, file_names, saying
from batchrunner.results.writers import (
    COLUMNS,
    KINDS,
    Mark,
    Shape,
    Writer,
    members_of,
    told,
    without_ours,
    writer,
)

_OUTCOME = COLUMNS.index("_outcome")
_PART = ".part"

Line = tuple[str, Mark, str]
"""A whole record of a result file: its text, its mark, and the outcome it tells."""


class Mending:
    """The result files of one run, read for what they hold, and completed."""

    def __init__(self, directory: Path, shapes: Sequence[Shape]) -> None:
        """Copy what is whole, made anew where there is nothing. Raises ResultError."""
        self.directory = directory
        self.added = 0
        self.told: Counter[str] = Counter()
        """Rows that stand in the files, by outcome."""
        self._open = ExitStack()
        self._known: Counter[int] = Counter()
        self._parts: list[Path] = []
        names = file_names(shapes)
        self._shapes = dict(enumerate(shapes, start=1))
        with saying(directory):
            private_folder(directory)
            made: dict[str, dict[str, Writer]] = {}
            for shape, name in zip(shapes, names, strict=True):
                if name not in made:
                    made[name] = {kind: self._copied(directory / f"{kind}{name}", shape) for kind in KINDS}
        self._of_source = {number: made[name] for number, name in enumerate(names, start=1)}

    def __enter__(self) -> Self:
        """The mending itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no half-made file behind; after `finish` there is none."""
        self._open.close()
        for part in self._parts:
            part.unlink(missing_ok=True)

    def add(self, source_no: int, row: Row, end: Outcome | Unusable) -> bool:
        """Write a row unless it stands in one of the files already. Whether it was missing. Raises ResultError."""
        kind, ending = told(end)
        at, shape = self._of_source[source_no][kind], self._shapes[source_no]
        mark = self._hash(shape, at.mark(shape, row))
        if self._known[mark]:
            self._known[mark] -= 1
            return False
        with saying(self.directory):
            at.write(shape, row, ending)
        self.told[ending.outcome] += 1
        self.added += 1
        return True

    def finish(self) -> None:
        """Put the new files in the places of the old ones, durably. Raises ResultError."""
        with saying(self.directory):
            for writers in self._of_source.values():
                for one in writers.values():
                    one.file.flush()
                    os.fsync(one.file.fileno())
            self._open.close()
            for part in self._parts:
                part.replace(part.with_name(part.name.removesuffix(_PART)))
            self._parts.clear()

    # --- what stands there already -------------------------------------------------------------------

    def _copied(self, path: Path, shape: Shape) -> Writer:
        part = path.with_name(path.name + _PART)
        part.unlink(missing_ok=True)  # of a mending that was killed
        self._parts.append(part)
        made = writer(self._open.enter_context(create(part, shape)), shape)
        made.begin(shape)
        if path.exists():
            for text, mark, outcome in whole_lines(path, shape):
                made.file.write(text)
                self._known[self._hash(shape, mark)] += 1
                self.told[outcome] += 1
        return made

    @staticmethod
    def _hash(shape: Shape, mark: Mark) -> int:
        """A mark in eight bytes: there may be millions. Cells are compared as they are encoded in the file."""
        *place, record = mark
        theirs = record if isinstance(record, bytes) else "\x1f".join(record).encode(shape.encoding, AS_IT_CAME)
        return hash((*place, theirs))


def whole_lines(path: Path, shape: Shape) -> Iterator[Line]:
    """The records of a result file that were written to their end, without the header."""
    with read_text(path, shape) as file:
        yield from _csv_lines(file, shape) if shape.columns is not None else _jsonl_lines(file)


def read_text(path: Path, shape: Shape) -> TextIO:
    """A result file as text, its lines as they are."""
    return path.open(encoding=shape.encoding, errors=_HALF, newline="\n")


def _csv_lines(file: TextIO, shape: Shape) -> Iterator[Line]:
    lines: list[str] = []

    def noted() -> Iterator[str]:
        for line in file:
            if not line.endswith("\r\n") and not line.endswith("\n"):
                return  # nothing of ours ends so: it is half a line
            lines.append(line)
            yield line

    csv.field_size_limit(sys.maxsize)
    records = csv.reader(noted(), delimiter=shape.delimiter, quotechar=shape.quote, strict=True)
    first = True
    while True:
        try:
            cells = next(records, None)
        except csv.Error:  # the file ends inside a quoted cell
            return
        if cells is None:
            return
        text = "".join(lines)
        lines.clear()
        if not first and len(cells) >= len(COLUMNS) and text.endswith("\r\n"):
            yield text, (cells[0], cells[1], cells[2], cells[len(COLUMNS) :]), cells[_OUTCOME]
        first = False


def _jsonl_lines(file: TextIO) -> Iterator[Line]:
    for line in file:
        members = members_of(line.removeprefix("\ufeff"))
        if members is None or not line.endswith("\n") or not members.keys() >= set(COLUMNS):
            return  # half a line, which can only be the last
        said = msgspec.convert({name: msgspec.json.decode(members[name]) for name in COLUMNS}, dict[str, str | int])
        place = str(said["_row"]), str(said["_line"]), str(said["_source"])
        yield line, (*place, msgspec.json.encode(without_ours(members))), str(said["_outcome"])


def _half(error: UnicodeError) -> tuple[str, int]:
    """Bytes that could not be decoded stay what they are; in UTF-16 and 32 they can only be the half of a letter."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return "\N{REPLACEMENT CHARACTER}", error.end
    bad = error.object[error.start : error.end]
    return "".join(chr(byte) if byte < _FIRST_HIGH else chr(0xDC00 + byte) for byte in bad), error.end


_FIRST_HIGH = 0x80
_HALF = "batchrunner-half-a-letter"
codecs.register_error(_HALF, _half)
