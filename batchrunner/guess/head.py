"""The start of an export: its first megabytes, unpacked, however large the file is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchrunner.sources.files import InputFile

HEAD_BYTES = 4 << 20
"""Read at most: some ten thousand rows, enough to see a 13th of a month in any column of dates."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the start of an export."""

    name: str
    """Of the file, or of the first file in an archive: its ending says something."""
    data: bytes
    whole: bool
    """There is nothing behind it."""
    bom_encoding: str | None = None
    """What its byte-order mark says."""


def head_of_file(path: Path) -> Head:
    """The start of a file on this machine; of a compressed one, of what is in it. Raises SourceError."""
    file = InputFile.open(path, "utf-8")
    part = file.parts[0]
    with part.open(path) as lines:
        data = lines.read(HEAD_BYTES + 1)
        if not data and lines.fault:
            raise lines.fault
    return Head(
        name=file.data_names[0],
        data=data[:HEAD_BYTES],
        whole=len(data) <= HEAD_BYTES and len(file.parts) == 1,
        bom_encoding=part.encoding if part.bom_bytes else None,
    )
