"""Copies of result files for spreadsheets, in which no cell can be taken for a formula.

The result files themselves stay as they came, byte for byte, because they are fed back. A cell that a stranger filled
in (`=HYPERLINK(…)`, `@SUM(…)`, `+cmd|…`) runs when a spreadsheet opens it; in a copy it stands behind an apostrophe.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from batchrunner.results.files import file_names, saying
from batchrunner.results.mending import read_text
from batchrunner.results.writers import KINDS, Shape

COPY = ".spreadsheet.csv"

_STARTS = re.compile(r"[\s\x00-\x1f]*[=+\-@|%\uff1d\uff0b\uff0d\uff20]")
"""What spreadsheets begin a formula or a command with, full-width forms included, also behind white space."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
"""A phone number or an amount is harmless, and is wanted as it is."""


def harmless(cell: str) -> str:
    """The cell, with an apostrophe before it where it would not be a plain text or number."""
    return f"'{cell}" if _STARTS.match(cell) and not _NUMBER.fullmatch(cell) else cell


def spreadsheet_copies(directory: Path, shapes: Sequence[Shape]) -> list[Path]:
    """Write a copy of each CSV result file, in UTF-8, and name them. Raises ResultError."""
    made = {}
    with saying(directory):
        for shape, name in zip(shapes, file_names(shapes), strict=True):
            for kind in KINDS if shape.columns is not None else ():
                path = directory / f"{kind}{name}"
                made[path] = _copy(path, shape)
    return list(made.values())


def _copy(path: Path, shape: Shape) -> Path:
    copy = path.with_name(path.name.removesuffix(".csv") + COPY)
    descriptor = os.open(copy, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with (
        read_text(path, shape) as source,
        # With a byte-order mark, or Excel takes UTF-8 for the code page of the machine.
        os.fdopen(descriptor, "w", encoding="utf-8-sig", errors="replace", newline="") as target,
    ):
        if shape.bom:
            source.read(1)
        written = csv.writer(target, delimiter=shape.delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        for cells in csv.reader(source, delimiter=shape.delimiter, quotechar=shape.quote):
            written.writerow(map(harmless, cells))
    return copy
