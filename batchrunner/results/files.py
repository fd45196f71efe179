"""Result files: what became of each row, written as the run goes, in the shape of the source.

`success`, `error` and `in_doubt` hold the source's own columns untouched behind columns of ours, so that `error.csv`,
corrected or not, can be given to `run` as a source. Ours come first: a record with too many or too few cells stays
exactly as broken as it was.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Self, TextIO

from batchrunner.errors import ResultError, UsageError
from batchrunner.model import Accepted, Row, Settled, Unusable
from batchrunner.private import private_folder
from batchrunner.results.writers import KINDS, SUCCESS, Ending, Shape, Writer, told, writer

BUFFER_BYTES = 1 << 18
"""A commit's rows go out in one piece: each piece gives the interpreter away, and it has to be waited for again."""


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
            accepted = [end for end in ends if isinstance(end.outcome, Accepted)]
            for source_no, those in groupby(accepted, key=_source_no):
                self._accepted(source_no, list(those))
            for end in ends if len(accepted) < len(ends) else ():
                if not isinstance(end.outcome, Accepted):
                    kind, ending = told(end.outcome)
                    self._write(end.claim.source_no, kind, end.claim.request.row, ending)
            self._flush()

    def _accepted(self, source_no: int, ends: Sequence[Settled]) -> None:
        rows = [end.claim.request.row for end in ends]
        profile_ids = [end.outcome.profile_id or "" for end in ends if isinstance(end.outcome, Accepted)]
        self._of_source[source_no][SUCCESS].accepted(self._shape_of[source_no], rows, profile_ids)

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


_source_no = attrgetter("claim.source_no")


def create(path: Path, shape: Shape) -> TextIO:
    """A new file that only its owner can read, for text in the encoding of the source."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    return os.fdopen(descriptor, "w", BUFFER_BYTES, encoding=shape.encoding, errors=AS_IT_CAME, newline="")


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
