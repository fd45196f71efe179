"""An export as a sample, whatever it is: text, packed text, a workbook, Parquet; on the disk, or piped into us."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from batchrunner.errors import SourceError
from batchrunner.guess.head import HEAD_BYTES, Head, head_of_file
from batchrunner.guess.sampling import Sample, sample_of
from batchrunner.guess.tables import sample_of_table
from batchrunner.sources import is_whole_only, table_kind

_PIECE = 1 << 20
_MOST_COPIED = 1 << 30
"""Of a pipe. What is larger belongs into a file before anybody looks at it."""


def sample_of_file(path: Path) -> Sample:
    """The start of a file on this machine. Raises SourceError."""
    if kind := table_kind(path):
        return sample_of_table(path, kind)
    return sample_of(head_of_file(path))


def sample_of_stream(stream: BinaryIO, name: str) -> Sample:
    """The start of what is piped into us; the rest is left where it is, unless only the whole can be read.

    Workbooks, Parquet files and archives say at their end what is in them: they are copied first. Raises SourceError.
    """
    start = stream.read(HEAD_BYTES + 1)
    if not is_whole_only(start):
        return sample_of(Head(name, start[:HEAD_BYTES], whole=len(start) <= HEAD_BYTES))
    with tempfile.TemporaryDirectory(prefix="batchrunner-") as folder:
        path = Path(folder) / "piped"
        _copy(start, stream, path, name)
        try:
            return sample_of_file(path)
        except SourceError as error:
            raise SourceError(str(error).replace(str(path), name)) from None


def _copy(start: bytes, stream: BinaryIO, path: Path, name: str) -> None:
    with path.open("wb") as file:
        piece = start
        while piece:
            file.write(piece)
            if file.tell() > _MOST_COPIED:
                raise SourceError(
                    f"{name}: is larger than {_MOST_COPIED >> 30} GB, and of a kind that can only be read whole; save "
                    f"it to a file and name that"
                )
            piece = stream.read(_PIECE)
