"""Where the text of a cell comes from: a column, a template, or the first of several columns that is not empty.

The text of an empty cell is the empty text. `filled` says which rows have something of their own to say there: a
default does not count, so that it cannot keep a subscription without an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batchrunner.mapping.distinct import each_once
from batchrunner.mapping.problems import Problem, shape
from batchrunner.mapping.sheet import Sheet, any_filled, filled
from batchrunner.mapping.templates import Piece, Placeholder, columns_of


class Origin(Protocol):
    """Where the text of a cell comes from."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        ...

    def texts(self, sheet: Sheet) -> list[str]:
        """One text per row."""
        ...

    def filled(self, sheet: Sheet) -> list[bool]:
        """For each row, whether it has something of its own to say."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as it was read."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def texts(self, sheet: Sheet) -> list[str]:
        """Its texts."""
        return sheet.texts(self.column)

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where it holds more than white space."""
        return sheet.filled(self.column)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with its placeholders filled in."""

    pieces: tuple[Piece, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the placeholders."""
        return columns_of(self.pieces)

    def texts(self, sheet: Sheet) -> list[str]:
        """The whole texts; a row whose placeholders are all empty has the empty text."""
        parts = [
            [piece] * len(sheet) if isinstance(piece, str) else self._filtered(piece, sheet) for piece in self.pieces
        ]
        whole = list(map("".join, zip(*parts, strict=True)))
        said = [filled(part) for piece, part in zip(self.pieces, parts, strict=True) if isinstance(piece, Placeholder)]
        some = any_filled(said, len(sheet))
        return whole if all(some) else [text if one else "" for text, one in zip(whole, some, strict=True)]

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where a placeholder has something to say without its default."""
        return any_filled([self._own(one, sheet) for one in self.pieces if isinstance(one, Placeholder)], len(sheet))

    @staticmethod
    def _filtered(one: Placeholder, sheet: Sheet) -> list[str]:
        if one.chain:
            return sheet.once(one, lambda: _after_filters(one, sheet))
        texts = sheet.texts(one.column)
        if all(sheet.filled(one.column)):
            return texts
        return [text if some else "" for text, some in zip(texts, sheet.filled(one.column), strict=True)]

    @staticmethod
    def _own(one: Placeholder, sheet: Sheet) -> list[bool]:
        bare = Placeholder(one.column, one.chain.without_defaults)
        return filled(Template._filtered(bare, sheet)) if bare.chain else sheet.filled(one.column)


def _after_filters(one: Placeholder, sheet: Sheet) -> list[str]:
    def apply(text: str) -> str | Problem:
        try:
            return one.chain.apply(text)
        except ValueError as error:
            return Problem("bad_date", f"column '{one.column}': '{shape(text)}' {error}", (one.column,))

    return sheet.without_problems(each_once(sheet.texts(one.column), apply), "")


@dataclass(frozen=True, slots=True)
class Pick:
    """The first of several columns that is not empty."""

    columns: tuple[str, ...]

    def texts(self, sheet: Sheet) -> list[str]:
        """The picked texts."""
        picked = sheet.texts(self.columns[-1])
        for column in reversed(self.columns[:-1]):
            better = zip(sheet.texts(column), sheet.filled(column), picked, strict=True)
            picked = [text if some else rest for text, some, rest in better]
        return picked

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where one of them holds more than white space."""
        return any_filled([sheet.filled(column) for column in self.columns], len(sheet))
