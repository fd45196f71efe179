"""How a CSV file is written, as the job says; our own result files are written their own way, and known by sight."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.ports import RESULT_COLUMNS


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a file are told apart, and which of its lines are records."""

    delimiter: str
    quote: str
    escape: str | None = None
    has_header: bool = True
    columns: tuple[str, ...] | None = None
    """Names for a file without a header, when the job gives them."""
    skip_lines: int = 0
    skip_footer: int = 0
    pads: bool = False
    """Records with missing cells get empty ones."""
    cuts: bool = False
    """Of records with too many cells, those in front are taken."""
    is_result: bool = False
    """One of our own result files."""

    @classmethod
    def of(cls, path: Path, table: SourceTable) -> Dialect:
        """As the job says. Raises SourceError when its characters cannot be told from each other."""
        signs = [sign for sign in (table.delimiter, table.quote, table.escape) if sign]
        if len(set(signs)) < len(signs) or {"\r", "\n"} & set(signs):
            escape = f" and the escape {table.escape!r}" if table.escape else ""
            raise SourceError(
                f"{path}: the delimiter {table.delimiter!r} and the quote {table.quote!r}{escape} cannot be told from "
                f"each other or from line ends; change `delimiter`, `quote` or `escape` under [source]"
            )
        return cls(
            table.delimiter,
            table.quote,
            table.escape,
            table.header,
            table.columns,
            table.skip_lines,
            table.skip_footer,
            pads=table.missing_fields != "unusable",
            cuts=table.extra_fields == "ignore",
        )

    def for_file_that_begins(self, line: str) -> Dialect:
        """This dialect, or that of our result files, which have a header in front and nothing but records behind."""
        try:
            [cells] = csv.reader([line], delimiter=self.delimiter, quotechar=self.quote)
        except (csv.Error, ValueError):
            return self
        if tuple(cells[: len(RESULT_COLUMNS)]) != RESULT_COLUMNS:
            return self
        return replace(self, escape=None, has_header=True, columns=None, skip_lines=0, skip_footer=0, is_result=True)

    def names(self, header: Sequence[str]) -> tuple[str, ...]:
        """What the columns are called: as in the header, but each by a name of its own."""
        if not self.has_header:
            return self.columns or tuple(str(place) for place in range(1, len(header) + 1))
        ours = len(RESULT_COLUMNS) if self.is_result else 0
        return (*header[:ours], *distinct(header[ours:]))


def distinct(header: Sequence[str]) -> list[str]:
    """Repeated names are numbered, `Email (2)`, and missing ones made from the place, `column 3`."""
    taken = {name for name in header if name.strip()}
    given: set[str] = set()
    names = []
    for place, written in enumerate(header, 1):
        wanted = written if written.strip() else f"column {place}"
        name, count = wanted, 1
        # A name as it is written goes to the first column that bears it, and to no made-up one.
        while name in given or (name in taken and name != written):
            count += 1
            name = f"{wanted} ({count})"
        given.add(name)
        names.append(name)
    return names
