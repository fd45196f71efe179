"""An export as a sample, whatever it is: text, packed text, a workbook, Parquet; here, piped into us, or elsewhere."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from batchrunner.addresses import Address
from batchrunner.errors import SourceError
from batchrunner.guess.head import HEAD_BYTES, Head, head_of_file
from batchrunner.guess.sampling import Sample, sample_of
from batchrunner.guess.tables import sample_of_table
from batchrunner.remote import fetch, start_of
from batchrunner.sources import is_whole_only, table_kind
from batchrunner.sources.packed import packing_of

_PIECE = 1 << 20
_MOST_COPIED = 1 << 30
"""Of a pipe, or from another machine. What is larger belongs into a file before anybody looks at it."""


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


def sample_of_address(address: Address) -> Sample:
    """The start of a file on another machine, of which no more is fetched, unless only the whole can be read.

    Raises SourceError.
    """
    start = start_of(address, HEAD_BYTES + 1)
    is_cut = len(start) > HEAD_BYTES
    with tempfile.TemporaryDirectory(prefix="batchrunner-") as folder:
        path = Path(folder) / (address.name or "export")
        path.write_bytes(start)
        try:
            if is_cut and not _tells_by_its_start(start):
                fetch(address, path, watch=lambda came, _: _must_be_small(came, address.shown))
                is_cut = False
            if not is_cut:
                return sample_of_file(path)
            return sample_of(replace(head_of_file(path), whole=False))
        except SourceError as error:
            raise SourceError(str(error).replace(str(path), address.shown)) from None


def _tells_by_its_start(start: bytes) -> bool:
    """Text, and text that is packed as a stream, which is read as far as it goes."""
    return not is_whole_only(start) or packing_of(start) not in (None, "zip")


def _must_be_small(came: int, name: str) -> None:
    if came > _MOST_COPIED:
        raise SourceError(
            f"{name}: is larger than {_MOST_COPIED >> 30} GB, and of a kind that can only be read whole; save it to a "
            "file and name that"
        )


def _copy(start: bytes, stream: BinaryIO, path: Path, name: str) -> None:
    with path.open("wb") as file:
        piece = start
        while piece:
            file.write(piece)
            _must_be_small(file.tell(), name)
            piece = stream.read(_PIECE)
