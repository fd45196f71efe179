"""One chunk while it is mapped: its columns, its rows that take part, and what was found wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, TypeVar

from batchrunner.mapping.damage import Fault
from batchrunner.mapping.problems import Problem
from batchrunner.mapping.repairs import PLACES_KEPT, Became, Notebook, TextMender, problem_of

if TYPE_CHECKING:  # pandas is a big import, and linting a mapping needs none of it
    from batchrunner.chunks import Chunk
    from batchrunner.model import Row

T = TypeVar("T")


class Sheet:
    """The columns of a chunk, narrowed to the rows that are to be sent. Places count those rows, from 0."""

    def __init__(
        self,
        chunk: Chunk,
        keep: Sequence[bool] | None = None,
        mender: TextMender | None = None,
        notebook: Notebook | None = None,
    ) -> None:
        """Nothing is wrong yet. Without `keep`, all rows take part; without a `mender`, texts are as they were read.

        Damage is written down in the `notebook`, if there is one.
        """
        self._chunk = chunk
        self._mender = mender
        self._notebook = notebook
        self._keep = keep
        self.rows: Sequence[Row] = chunk.rows if keep is None else list(compress(chunk.rows, keep))
        self.problems: dict[int, list[Problem]] = {}
        """By place."""
        self._texts: dict[str, list[str]] = {}
        self._filled: dict[str, list[bool]] = {}
        self._made: dict[object, Any] = {}
        self._told: dict[tuple[str, Fault], set[int]] = {}
        """Places of damage that is written down: a cell may be converted in several places of the request."""

    def __len__(self) -> int:
        """Rows that take part."""
        return len(self.rows)

    def texts(self, column: str) -> list[str]:
        """A column as it was read, with the damage repaired that any text can have."""
        if column not in self._texts:
            texts = self._chunk.texts(column)
            texts = texts if self._keep is None else list(compress(texts, self._keep))
            if self._mender:
                texts = self._mender.column(texts, lambda *damage: self._note_text(column, *damage))
            self._texts[column] = texts
        return self._texts[column]

    def _note_text(self, column: str, places: Sequence[int], fault: Fault, became: Became) -> None:
        self.note_damage(column, places, fault, became)
        if became == "unusable":
            for place in places:
                self.note(place, problem_of(column, fault, "damaged"))

    def note_damage(self, column: str, places: Sequence[int], fault: Fault, became: Became) -> None:
        """Write down what became of the damaged cells of some rows."""
        if self._notebook is None:
            return
        told = self._told.setdefault((column, fault), set())
        if new := [place for place in places if place not in told]:
            told.update(new)
            first = [self.rows[place] for place in new[:PLACES_KEPT]]
            self._notebook.note(column, fault, first, became, len(new))

    def filled(self, column: str) -> list[bool]:
        """For each row, whether the cell holds more than white space."""
        if column not in self._filled:
            self._filled[column] = filled(self.texts(column))
        return self._filled[column]

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, made once per sheet for equal keys."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found

    def without_problems(self, values: list[Any], instead: object) -> list[Any]:
        """The values with something in the places of Problems, which are noted against their rows."""
        if Problem not in set(map(type, values)):
            return values
        kept = list(values)
        for place in [place for place, value in enumerate(values) if type(value) is Problem]:
            self.note(place, values[place])
            kept[place] = instead
        return kept

    def note(self, place: int, problem: Problem) -> None:
        """Remember what is wrong with a row."""
        self.problems.setdefault(place, []).append(problem)


def filled(texts: Sequence[str]) -> list[bool]:
    """For each text, whether it holds more than white space."""
    return list(map(bool, map(str.strip, texts)))


def any_filled(columns: Sequence[Sequence[bool]], rows: int) -> list[bool]:
    """For each row, whether it is filled in one of these columns."""
    if not columns:
        return [False] * rows
    if len(columns) == 1 or all(columns[0]):
        return list(columns[0])
    return list(map(any, zip(*columns, strict=True)))
