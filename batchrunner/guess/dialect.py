"""How a CSV export is written: what stands between cells and around them, and which lines are no records."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.guess.findings import Finding, Sure, percent

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LINES = 3_000
"""Enough to tell a dialect."""
MOST_PREAMBLE = 15
"""Lines in front of a header."""
_TOTALS = re.compile(
    r"\s*(total|totals|sum|grand total|rows?|records|end of|итого|всего|конец|записей)\b", re.IGNORECASE
)
_LITTLE_PREAMBLE = 2
"""A line in front of the header has at most one cell for so many cells of a record."""


@dataclass(frozen=True, slots=True)
class Records:
    """The start of a file, split one way."""

    cells: list[list[str]]
    """Records with anything in them."""
    ends: list[int]
    """The physical line that each ends on."""

    @property
    def widths(self) -> list[int]:
        """Cells of each record."""
        return [len(record) for record in self.cells]

    @property
    def usual_width(self) -> int:
        """Cells of most records."""
        return Counter(self.widths).most_common(1)[0][0] if self.cells else 0

    @property
    def fit(self) -> float:
        """How well this way of splitting fits: records of one width, and of many cells rather than of one."""
        if self.usual_width < 2:  # noqa: PLR2004  one cell is what any wrong delimiter gives
            return 0.0
        share = self.widths.count(self.usual_width) / len(self.cells)
        return share * share * math.log2(self.usual_width + 1)


@dataclass(frozen=True, slots=True)
class DialectGuess:
    """How the file is written, and its records, preamble and footer taken off."""

    delimiter: str
    quote: str
    escape: str | None
    skip_lines: int
    skip_footer: int
    records: list[list[str]]
    findings: list[Finding]


def guess_dialect(text: str, *, whole: bool) -> DialectGuess:
    """The dialect of the start of a file. `whole`: there is nothing behind it."""
    lines = list(io.StringIO(text, newline=""))  # as the reader counts them
    start = "".join(lines[:_LINES])
    ways = {(delimiter, quote): _split(start, delimiter, quote, None) for delimiter in DELIMITERS for quote in "\"'"}
    delimiter, quote, delimiting = _best(start, ways)
    escape, escaping = _escape(start, delimiter, quote)
    records = _split(start, delimiter, quote, escape)
    skip, preamble = _preamble(records)
    footer, totals = _footer(text, lines, delimiter, quote, escape) if whole else (0, None)
    kept = [cells for cells, end in zip(records.cells, records.ends, strict=True) if end > skip]
    if footer and len(lines) <= _LINES:
        kept = [
            cells for cells, end in zip(records.cells, records.ends, strict=True) if skip < end <= len(lines) - footer
        ]
    found = [finding for finding in (*delimiting, escaping, preamble, totals) if finding]
    return DialectGuess(delimiter, quote, escape, skip, footer, kept, found)


def _split(text: str, delimiter: str, quote: str, escape: str | None) -> Records:
    cells, ends = [], []
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, escapechar=escape, strict=False
    )
    try:
        for record in reader:
            if record and any(map(str.strip, record)):
                cells.append(record)
                ends.append(reader.line_num)
    except csv.Error:  # what has been read so far will do for a guess
        pass
    return Records(cells, ends)


def _best(text: str, ways: dict[tuple[str, str], Records]) -> tuple[str, str, list[Finding]]:
    ranked = sorted(DELIMITERS, key=lambda one: -ways[one, '"'].fit)
    delimiter = ranked[0]
    quote = '"'
    if _wrapped(text, "'", ranked[0]) > _wrapped(text, '"', ranked[0]):
        single = max(DELIMITERS, key=lambda one: ways[one, "'"].fit)
        if ways[single, "'"].fit >= ways[delimiter, '"'].fit:
            delimiter, quote = single, "'"
    chosen = ways[delimiter, quote]
    if not chosen.fit:
        return ",", '"', [Finding("delimiter", ",", "guess", "each line has one cell, whatever stands between cells")]
    second = max(records.fit for (other, _), records in ways.items() if other != delimiter)
    same = chosen.widths.count(chosen.usual_width)
    share = same / len(chosen.cells)
    sure: Sure = "sure" if share > 0.95 and second < 0.7 * chosen.fit else "likely" if share > 0.6 else "guess"  # noqa: PLR2004
    name = DELIMITERS[delimiter]
    why = f"by {name}, {percent(same, len(chosen.cells))} of the records have {chosen.usual_width} cells"
    evidence = tuple(
        f"by {name}: {ways[other, quote].usual_width} cells in most records, fit {ways[other, quote].fit:.2f}"
        for other, name in DELIMITERS.items()
    )
    found = [Finding("delimiter", delimiter, sure, why, evidence)]
    if quote != '"':
        found.append(Finding("quote", quote, "likely", "cells stand in apostrophes"))
    return delimiter, quote, found


def _wrapped(text: str, quote: str, delimiter: str) -> int:
    """Cells that begin and end with this quote."""
    between = re.escape(delimiter)
    return len(re.findall(rf"(?:^|{between}){quote}[^{quote}\r\n]*{quote}(?={between}|\r|\n|$)", text, re.MULTILINE))


def _escape(text: str, delimiter: str, quote: str) -> tuple[str | None, Finding | None]:
    """A backslash before a quote that does not end its cell is an escape; one at the end of a cell is a path."""
    inside = len(re.findall(rf"\\{quote}(?![{re.escape(delimiter)}\r\n]|$)", text))
    if not inside or f"{quote}" not in text:
        return None, None
    plain, escaped = (_split(text, delimiter, quote, escape) for escape in (None, "\\"))
    if escaped.fit < plain.fit:
        return None, None
    why = f"{inside} quotes inside of cells have a backslash in front of them"
    return "\\", Finding("escape", "\\", "likely", why)


def _preamble(records: Records) -> tuple[int, Finding | None]:
    """Lines in front of the first record that has as many cells as most have."""
    width = records.usual_width
    first = next((place for place, one in enumerate(records.widths) if one == width), 0)
    before = records.cells[:first]
    if not before or first > MOST_PREAMBLE or width < 2:  # noqa: PLR2004  nothing to tell a preamble by
        return 0, None
    if any(_said(cells) * _LITTLE_PREAMBLE > width for cells in before):
        return 0, None
    lines = records.ends[first - 1]
    return lines, Finding("skip_lines", lines, "likely", f"{lines} lines stand in front of the header")


def _said(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _footer(
    text: str, lines: Sequence[str], delimiter: str, quote: str, escape: str | None
) -> tuple[int, Finding | None]:
    """Lines at the end that sum up; they are recognised by what they say, never by being short alone."""
    records = _split(text, delimiter, quote, escape)
    count = sums_up(records.cells)
    if not count:
        return 0, None
    from_line = records.ends[-count - 1]
    skip = len(lines) - from_line
    return skip, Finding("skip_footer", skip, "likely", f"the last {skip} lines sum up, and are no record")


def sums_up(records: Sequence[Sequence[str]]) -> int:
    """How many of the last records sum up, as they say themselves."""
    usual = Counter(map(len, records)).most_common(1)[0][0] if records else 0
    count = 0
    for cells in reversed(records[2:]):
        said = next((cell for cell in cells if cell.strip()), "")
        if not _TOTALS.match(said) or _said(cells) * 2 > max(usual, 2):
            break
        count += 1
    return count
