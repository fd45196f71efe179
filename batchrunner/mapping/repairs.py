"""Repairs of a run: which cells were damaged, what became of them, and where the first of them stand.

Texts are looked at a column at a time: a clean column costs a few searches in one long text, not a look at each cell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from batchrunner.config import RepairTable
from batchrunner.mapping.damage import (
    FAULTS,
    INVISIBLE,
    NULLS,
    Fault,
    Mended,
    encoded_twice,
    formula,
    nbsp_anywhere,
    nbsp_at_ends,
    null_text,
)
from batchrunner.mapping.distinct import mostly_distinct
from batchrunner.mapping.problems import Problem
from batchrunner.model import Row

Became = Literal["repaired", "unusable", "kept"]
PLACES_KEPT = 5
"""Lines of damaged cells that are told."""


@dataclass(slots=True)
class Found:
    """The cells of one column with one damage."""

    source: str
    column: str
    fault: Fault
    counts: dict[Became, int] = field(default_factory=lambda: dict.fromkeys(get_args(Became), 0))
    lines: list[int] = field(default_factory=list)
    """Of the first of them."""
    rows: list[int] = field(default_factory=list)
    """Of the same: an array may stand on one line."""

    @property
    def cells(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def sentence(self) -> str:
        """For a person."""
        became = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        what, places = ("line", self.lines) if len(set(self.lines)) == len(self.lines) else ("row", self.rows)
        noun = "cell" if self.cells == 1 else "cells"
        told = ", ".join(map(str, places)) + ("…" if self.cells > len(places) else "")
        where = f"{what}{'' if self.cells == 1 else 's'} {told}"
        return f"column '{self.column}': {self.cells} {noun} with {FAULTS[self.fault]} ({where}): {became}"


class Repairs:
    """What was found in the sources of a run."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._found: dict[tuple[str, str, Fault], Found] = {}
        self.problems: Counter[tuple[str, str]] = Counter()
        """Cells of a column that made their rows unusable, by column and code."""

    def __iter__(self) -> Iterator[Found]:
        """By source and column, in order of appearance."""
        return iter(self._found.values())

    def cells(self) -> int:
        """How many are damaged, or made their rows unusable."""
        return sum(found.cells for found in self) + self.problems.total()

    def clear(self) -> None:
        """Forget: rows that were only rehearsed come again."""
        self._found.clear()
        self.problems.clear()

    def note(self, found_in: tuple[str, str, Fault], rows: Sequence[Row], became: Became, cells: int) -> None:
        """Count so many cells of a source and column, of which the first are in these rows."""
        found = self._found.get(found_in)
        if found is None:
            found = self._found[found_in] = Found(*found_in)
        found.counts[became] += cells
        told = rows[: PLACES_KEPT - len(found.lines)]
        found.lines += [row.line for row in told]
        found.rows += [row.number for row in told]


@dataclass(frozen=True, slots=True)
class Notebook:
    """Where one source's damage is written down."""

    repairs: Repairs
    source: str

    def note(self, column: str, fault: Fault, rows: Sequence[Row], became: Became, cells: int) -> None:
        """Count so many cells, of which the first are in these rows."""
        self.repairs.note((self.source, column, fault), rows, became, cells)


def problem_of(column: str, fault: Fault, code: str) -> Problem:
    """Why a row with such a cell cannot be sent."""
    text = (
        f"column '{column}' holds {FAULTS[fault]}, which is not repaired; correct it, or set `{fault}` under [repair]"
    )
    return Problem(code, text, (column,))


# --- texts -------------------------------------------------------------------------------------

_TWICE = "ÐÑÃÂÅÄ°µѕЅ"
"""What UTF-8 read as cp1252 begins with; what it holds nearly always, read as cp1251: a, o, e and n of Russian."""


class TextMender:
    """Looks at the texts of columns, whatever they are converted to."""

    def __init__(self, table: RepairTable, own_words: frozenset[str]) -> None:
        """`own_words` are texts that the job itself speaks of, as in a map: they mean what it says."""
        self._nulls = NULLS - own_words
        tests: list[tuple[Callable[[str], Mended | None], str]] = [
            (self._null, table.null_text),
            (formula, table.formula),
            (encoded_twice, table.encoded_twice),
            (nbsp_anywhere if table.nbsp == "space" else nbsp_at_ends, table.nbsp),
        ]
        self._tests = tests

    def _null(self, text: str) -> Mended | None:
        return null_text(text) if text.strip() in self._nulls else None

    def column(self, texts: list[str], note: Callable[[Sequence[int], Fault, Became], None]) -> list[str]:
        """The texts, repaired where they were damaged; `note` is told the places of each damage."""
        if not _suspicious(texts):
            return texts
        mended = list(texts)
        met: dict[tuple[Fault, Became], list[int]] = {}
        known: dict[str, tuple[str, list[tuple[Fault, Became]]]] = {}
        for place, text in enumerate(texts):
            if not _SIGN.search(text):
                continue
            if text not in known:
                known[text] = self._one(text)
            plain, damage = known[text]
            if damage:
                mended[place] = plain
                for one in damage:
                    met.setdefault(one, []).append(place)
        for (fault, became), places in met.items():
            note(places, fault, became)
        return mended

    def _one(self, text: str) -> tuple[str, list[tuple[Fault, Became]]]:
        damage: list[tuple[Fault, Became]] = []
        for test, policy in self._tests:
            found = test(text)
            if found is None:
                continue
            if policy == "keep":
                damage.append((found.fault, "kept"))
            elif policy == "unusable" or found.text is None:
                damage.append((found.fault, "unusable"))
            else:
                damage.append((found.fault, "repaired"))
                text = found.text
        return text, damage


_SIGN = re.compile(rf"[{INVISIBLE}{_TWICE}]|^\s*[=#]|NULL|NaN|\\N|<NA>|[(<\[]null[)>\]]")
"""Something in a text that each damage has."""


def _suspicious(texts: Sequence[str]) -> bool:
    """Whether one of them may be damaged, by a few searches for single signs in all of them together."""
    whole = " ".join(texts if mostly_distinct(texts) else set(texts))
    if "N" in whole and any(sign in whole for sign in ("NULL", "\\N", "NaN", "<NA>")):
        return True
    if "null" in whole and any(sign in whole for sign in ("null)", "null>", "null]")):
        return True
    if ("=" in whole or "#" in whole) and any(text.lstrip()[:1] in ("=", "#") for text in texts if text):
        return True
    if whole.isascii():
        return False
    # Line breaks are not printable either, and are no damage.
    if not whole.isprintable() and any(sign in whole for sign in INVISIBLE):
        return True
    return any(sign in whole for sign in _TWICE)
