"""The request as a tree of parts, each of which turns a whole chunk into a list: one value per row.

Leaves read columns, objects and arrays are put together by walking their members' lists side by side. Nothing looks
at the tree once per row. UNSET stands for "left out": msgspec leaves such fields out of what it encodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET

from batchrunner.mapping.conversions import canonical
from batchrunner.mapping.problems import Problem
from batchrunner.mapping.templates import Piece, Placeholder

if TYPE_CHECKING:  # pandas is a big import, and linting a mapping needs none of it
    from batchrunner.chunks import Chunk

Values = list[object]
Judge = Callable[[str], object]
"""A cell's text to the value it becomes, to UNSET, or to a Problem."""


class Sheet:
    """One chunk while it is mapped: its columns, and what was found wrong with its rows."""

    def __init__(self, chunk: Chunk) -> None:
        """Nothing is wrong yet."""
        self.chunk = chunk
        self.problems: dict[int, list[Problem]] = {}
        """By place in the chunk."""
        self._filled: dict[str, list[bool]] = {}
        self._converted: dict[ConvertedCell, Values] = {}

    def __len__(self) -> int:
        """Rows."""
        return len(self.chunk)

    def filled(self, columns: Sequence[str]) -> list[bool]:
        """For each row, whether any of these cells holds something."""
        if len(columns) == 1:
            return self._filled_one(columns[0])
        return list(map(any, zip(*map(self._filled_one, columns), strict=True)))

    def _filled_one(self, column: str) -> list[bool]:
        if column not in self._filled:
            self._filled[column] = [bool(text) and not text.isspace() for text in self.chunk.texts(column)]
        return self._filled[column]

    def converted(self, cell: ConvertedCell) -> Values:
        """The values of a cell, made once however often the request names it."""
        if cell not in self._converted:
            self._converted[cell] = self.without_problems(self.chunk.convert(cell.column, cell.judge))
        return self._converted[cell]

    def without_problems(self, values: Values) -> Values:
        """The values, once their Problems are noted against their rows."""
        if Problem not in set(map(type, values)):
            return values
        for place, value in enumerate(values):
            if isinstance(value, Problem):
                self.note(place, value)
                values[place] = UNSET
        return values

    def note(self, place: int, problem: Problem) -> None:
        """Remember what is wrong with a row."""
        self.problems.setdefault(place, []).append(problem)


class Part(Protocol):
    """A piece of the request."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads; none if it is constant."""
        ...

    def values(self, sheet: Sheet) -> Values:
        """One value per row, UNSET where it is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every row."""

    value: object
    columns: tuple[str, ...] = ()

    def values(self, sheet: Sheet) -> Values:
        """The value, encoded once."""
        return list(repeat(canonical(self.value), len(sheet)))


@dataclass(frozen=True, slots=True)
class TextCell:
    """A column whose texts go into the body as they are."""

    column: str
    blank: object
    """What an empty cell becomes: UNSET, None, a default, or a Problem."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def values(self, sheet: Sheet) -> Values:
        """The texts, untouched."""
        blank = self.blank
        texts = sheet.chunk.texts(self.column)
        return sheet.without_problems([text if text and not text.isspace() else blank for text in texts])


@dataclass(frozen=True, slots=True)
class ConvertedCell:
    """A column whose texts become something else, each distinct text once."""

    column: str
    judge: Judge

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def values(self, sheet: Sheet) -> Values:
        """What the judge made of the texts."""
        return sheet.converted(self)


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its placeholders filled in, and perhaps converted."""

    pieces: tuple[Piece, ...]
    judge: Judge

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the placeholders."""
        return tuple(piece.column for piece in self.pieces if isinstance(piece, Placeholder))

    def values(self, sheet: Sheet) -> Values:
        """What the judge made of the texts; a row whose placeholders are all empty has the empty text."""
        columns = [self._column(piece, sheet) for piece in self.pieces]
        texts = map("".join, zip(*columns, strict=True))
        whole = [text if filled else "" for text, filled in zip(texts, sheet.filled(self.columns), strict=True)]
        judged = {text: self.judge(text) for text in set(whole)}
        return sheet.without_problems([judged[text] for text in whole])

    @staticmethod
    def _column(piece: Piece, sheet: Sheet) -> Iterable[str]:
        if isinstance(piece, str):
            return [piece] * len(sheet)
        return ["" if text.isspace() else text for text in sheet.chunk.texts(piece.column)]


class Object:
    """An object of the body; its shape is a type made for it, the fastest thing msgspec encodes."""

    def __init__(self, members: dict[str, Part]) -> None:
        """Make the type, with its fields in the order of the canonical payload."""
        self._members = [members[name] for name in sorted(members)]
        self._make = shape_of_object(sorted(members))
        self._never_empty = any(isinstance(member, Constant) for member in self._members)
        self.columns = tuple(dict.fromkeys(column for member in self._members for column in member.columns))

    def values(self, sheet: Sheet) -> Values:
        """One object per row, left out where all its members are."""
        made = map(self._make, *[member.values(sheet) for member in self._members])
        if self._never_empty:
            return list(made)
        empty = self._make()
        return [UNSET if value == empty else value for value in made]


class Array:
    """An array of the body."""

    def __init__(self, items: Sequence[Part]) -> None:
        """Objects among the items are there only in rows that have something to say in them."""
        self._items = [Element(item) if isinstance(item, Object) else item for item in items]
        self.columns = tuple(dict.fromkeys(column for item in items for column in item.columns))

    def values(self, sheet: Sheet) -> Values:
        """One list per row, left out where all its items are."""
        items = [item.values(sheet) for item in self._items]
        return [[value for value in row if value is not UNSET] or UNSET for row in zip(*items, strict=True)]


class Element:
    """An object inside an array. Its constants and defaults alone do not keep it: a subscription needs an address."""

    def __init__(self, whole: Object) -> None:
        """Keep the object, which reads at least one column."""
        self._whole = whole
        self.columns = whole.columns

    def values(self, sheet: Sheet) -> Values:
        """The objects, left out where all their cells are empty."""
        wholes = self._whole.values(sheet)
        filled = sheet.filled(self.columns)
        return [whole if some else UNSET for whole, some in zip(wholes, filled, strict=True)]


def shape_of_object(names: Sequence[str]) -> type[msgspec.Struct]:
    """A type whose positional fields are encoded under these names, and left out when UNSET."""
    fields = [f"field_{number}" for number in range(len(names))]
    return msgspec.defstruct(
        "Object",
        [(field, object, UNSET) for field in fields],
        rename=dict(zip(fields, names, strict=True)),
        gc=False,  # they hold no cycles, and a chunk makes thousands
    )
