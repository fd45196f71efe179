"""The request as a tree of parts, each of which turns a whole chunk into pieces of JSON: one per row.

Leaves read columns and are encoded a column at a time; objects and arrays join their members' pieces row by row. The
outermost object's pieces are the payloads. UNSET among values stands for "left out", as the empty piece does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

from msgspec import UNSET

from batchrunner.mapping.cells import EMPTY, Judge
from batchrunner.mapping.conversions import canonical
from batchrunner.mapping.damage import Fault
from batchrunner.mapping.fragments import pieces, text_pieces
from batchrunner.mapping.origins import Origin
from batchrunner.mapping.problems import Problem
from batchrunner.mapping.repairs import Became
from batchrunner.mapping.sheet import Sheet, any_filled

Values = list[object]

_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Part(Protocol):
    """A piece of the request."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads; none if it is constant."""
        ...

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """One piece of JSON per row between head and tail, empty where the part is left out."""
        ...

    def filled(self, sheet: Sheet) -> list[bool]:
        """For each row, whether the row itself has something to say here, not only a constant or a default."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every row."""

    value: object
    columns: tuple[str, ...] = ()

    @property
    def encoded(self) -> bytes:
        """The value as it stands in each payload."""
        return bytes(canonical(self.value))

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """The value, encoded once."""
        return list(repeat(head + self.encoded + tail, len(sheet)))

    def filled(self, sheet: Sheet) -> list[bool]:
        """Never."""
        return [False] * len(sheet)


class Leaf(Protocol):
    """A part that has values of its own, by which a profile can be looked up."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        ...

    def values(self, sheet: Sheet) -> Values:
        """One value per row, UNSET where it is left out."""
        ...


class TextCell:
    """A cell whose texts go into the body as they are."""

    def __init__(self, origin: Origin, blank: object) -> None:
        """`blank` is what an empty cell becomes: UNSET, None, a default, or a Problem."""
        self._origin = origin
        self._blank = blank
        self.columns = origin.columns

    def values(self, sheet: Sheet) -> Values:
        """The texts, untouched."""
        return sheet.once((self, "values"), lambda: self._values(sheet))

    def _values(self, sheet: Sheet) -> Values:
        texts = sheet.once((self, "texts"), lambda: self._origin.texts(sheet))
        if self._is_full(texts, sheet):
            return list(texts)
        blank = self._blank
        return sheet.without_problems([text if text and not text.isspace() else blank for text in texts], UNSET)

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """The texts as JSON."""
        texts = sheet.once((self, "texts"), lambda: self._origin.texts(sheet))
        if self._is_full(texts, sheet):
            return text_pieces(texts, head, tail, bad_text(self.columns, sheet))
        return pieces(self.values(sheet), head, tail, bad_text(self.columns, sheet))

    def _is_full(self, texts: Sequence[str], sheet: Sheet) -> bool:
        """Whether none of its cells is empty: asked once for all places that the texts go to."""
        return sheet.once(("full", self._origin), lambda: all(map(str.strip, texts)))

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where the cell is not empty."""
        return self._origin.filled(sheet)


class ConvertedCell:
    """A cell whose texts become something else, each distinct text once where texts repeat."""

    def __init__(self, origin: Origin, judge: Judge, blank: object) -> None:
        """`blank` is what an empty cell becomes: UNSET, None, a default, or a Problem."""
        self._origin = origin
        self._judge = judge
        self._blank = blank
        self.columns = origin.columns

    def values(self, sheet: Sheet) -> Values:
        """What the judge made of the texts."""
        return sheet.once((self, "values"), lambda: self._values(sheet))

    def _values(self, sheet: Sheet) -> Values:
        # Cells that differ in nothing but what empty ones become share their conversion.
        found = sheet.once((self._origin, self._judge), lambda: self._judged(sheet))
        if EMPTY in found:
            found = [self._blank if value is EMPTY else value for value in found]
        return sheet.without_problems(found, UNSET)

    def _judged(self, sheet: Sheet) -> Values:
        texts = self._origin.texts(sheet)
        values = self._judge.column(texts)
        rescue, column = self._judge.rescue, self.columns[0]
        if rescue is None:
            return values
        return rescue.column(texts, values, column, lambda *damage: self._note_damage(sheet, *damage))

    def _note_damage(self, sheet: Sheet, places: Sequence[int], fault: Fault, became: Became) -> None:
        """Against the column that the value came from: of several, the first that is filled."""
        rest = places
        for column in self.columns[:-1]:
            some = sheet.filled(column)
            sheet.note_damage(column, [place for place in rest if some[place]], fault, became)
            rest = [place for place in rest if not some[place]]
        sheet.note_damage(self.columns[-1], rest, fault, became)

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """The values as JSON."""
        return pieces(self.values(sheet), head, tail, bad_text(self.columns, sheet))

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where the cell is neither empty nor left out by what it holds."""
        values = self.values(sheet)
        own = self._origin.filled(sheet)
        return [some and value is not UNSET for some, value in zip(own, values, strict=True)]


class Gathered:
    """A list of what several cells hold: distinct, without empty ones."""

    def __init__(self, cells: Sequence[ConvertedCell], blank: object, *, flat: bool) -> None:
        """`blank` is what stands for no item at all; with `flat`, each cell gives a list of items itself."""
        self._cells = cells
        self._blank = blank
        self._flat = flat
        self.columns = tuple(dict.fromkeys(column for cell in cells for column in cell.columns))

    def values(self, sheet: Sheet) -> Values:
        """One list per row."""
        return sheet.once((self, "values"), lambda: self._values(sheet))

    def _values(self, sheet: Sheet) -> Values:
        rows = zip(*[cell.values(sheet) for cell in self._cells], strict=True)
        return sheet.without_problems([self._list(row) for row in rows], UNSET)

    def _list(self, row: Sequence[object]) -> object:
        held = [value for value in row if value is not UNSET]
        if self._flat:
            held = [item for items in held if isinstance(items, list) for item in items]
        distinct: list[tuple[type, object]] = []  # 1 and true are equal to Python, and not to the platform
        for item in held:
            if (type(item), item) not in distinct:
                distinct.append((type(item), item))
        return [item for _, item in distinct] or self._blank

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """The lists as JSON."""
        return pieces(self.values(sheet), head, tail, bad_text(self.columns, sheet))

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where one of the cells is filled."""
        return any_filled([cell.filled(sheet) for cell in self._cells], len(sheet))


class Tags:
    """A list as the platform searches for tags: one text, `tag-1, tag-2`."""

    def __init__(self, cell: ConvertedCell | Gathered) -> None:
        """`cell` gives lists of texts."""
        self._cell = cell
        self.columns = cell.columns

    def values(self, sheet: Sheet) -> Values:
        """One text per row."""
        return sheet.once((self, "values"), lambda: [_tags(value) for value in self._cell.values(sheet)])

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """The texts as JSON."""
        return pieces(self.values(sheet), head, tail, bad_text(self.columns, sheet))

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where there are tags."""
        return self._cell.filled(sheet)


def _tags(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


Strip = bytes | list[bytes]
"""A column of pieces; one piece alone stands for a column that is the same in every row."""


class Object:
    """An object of the body, its fields in the order of the canonical payload."""

    def __init__(self, members: dict[str, Part]) -> None:
        """Encode the names once."""
        self._members = [(_name(name), members[name]) for name in sorted(members)]
        self._never_empty = any(isinstance(member, Constant) for _, member in self._members)
        self.columns = tuple(dict.fromkeys(column for _, member in self._members for column in member.columns))

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """One object per row, left out where all its members are."""
        return joined(self.strips(sheet, head, tail), sheet)

    def strips(self, sheet: Sheet, head: bytes, tail: bytes) -> list[Strip]:
        """Columns that make the objects when they are joined row by row; an outer object takes them as its own."""
        begin, end = head + b"{", b"}" + tail
        last = self._strips_of(*self._members[-1], sheet, end)
        if all(map(all, [strip for strip in last if not isinstance(strip, bytes)])):  # no comma is left over
            return [begin, *self._all_but_the_last(sheet), *last]
        rows = zip(joined(self._all_but_the_last(sheet), sheet), joined(last, sheet), strict=True)
        empty = begin + end if self._never_empty else b""
        return [[begin + rest + one if one else begin + rest[:-1] + end if rest else empty for rest, one in rows]]

    def _all_but_the_last(self, sheet: Sheet) -> list[Strip]:
        return [strip for name, member in self._members[:-1] for strip in self._strips_of(name, member, sheet, b",")]

    @staticmethod
    def _strips_of(name: bytes, member: Part, sheet: Sheet, tail: bytes) -> list[Strip]:
        match member:
            case Constant():
                return [name + member.encoded + tail]
            case Object() | Array():
                return member.strips(sheet, name, tail)
        return [member.pieces(sheet, name, tail)]

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where one of the members is filled."""
        return any_filled([member.filled(sheet) for _, member in self._members if member.columns], len(sheet))


def joined(strips: Sequence[Strip], sheet: Sheet) -> list[bytes]:
    """The pieces of each row as one; constants that stand side by side are joined beforehand."""
    columns: list[list[bytes]] = []
    constant = b""
    for strip in strips:
        if isinstance(strip, bytes):
            constant += strip
            continue
        if constant:
            columns.append([constant] * len(sheet))
            constant = b""
        columns.append(strip)
    if constant:
        columns.append([constant] * len(sheet))
    if len(columns) < 2:  # noqa: PLR2004  nothing to join
        return columns[0] if columns else [b""] * len(sheet)
    return list(map(b"".join, zip(*columns, strict=True)))


def _name(name: str) -> bytes:
    return bytes(canonical(name)) + b":"


class Array:
    """An array of the body. Objects in it are there only in rows that have something to say in them."""

    def __init__(self, items: Sequence[Part]) -> None:
        """Keep the items in order."""
        self._items = items
        self.columns = tuple(dict.fromkeys(column for item in items for column in item.columns))

    def pieces(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """One list per row, left out where all its items are."""
        return joined(self.strips(sheet, head, tail), sheet)

    def strips(self, sheet: Sheet, head: bytes, tail: bytes) -> list[Strip]:
        """Columns that make the lists when they are joined row by row, as those of an object."""
        if len(self._items) > 1:
            return [self._lists(sheet, head, tail)]
        [item], head, tail = self._items, head + b"[", b"]" + tail
        if isinstance(item, Object) and all(item.filled(sheet)):
            return item.strips(sheet, head, tail)
        return [self._item(item, sheet, head, tail)]

    def _lists(self, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        items = [self._item(item, sheet, b"", b",") for item in self._items]
        inner = map(b"".join, zip(*items, strict=True))
        return [b"%b[%b]%b" % (head, text[:-1], tail) if text else b"" for text in inner]

    @staticmethod
    def _item(item: Part, sheet: Sheet, head: bytes, tail: bytes) -> list[bytes]:
        """An object's constants and defaults alone do not keep it: a subscription needs an address."""
        made = item.pieces(sheet, head, tail)
        if not isinstance(item, Object):
            return made
        filled = item.filled(sheet)
        return made if all(filled) else [one if some else b"" for one, some in zip(made, filled, strict=True)]

    def filled(self, sheet: Sheet) -> list[bool]:
        """Where one of the items is filled."""
        return any_filled([item.filled(sheet) for item in self._items if item.columns], len(sheet))


def bad_text(columns: Sequence[str], sheet: Sheet) -> Callable[[int], None]:
    """Notes against a row that its text cannot be sent, and because of which column."""

    def note(place: int) -> None:
        for column in columns:
            if _SURROGATE.search(sheet.texts(column)[place]):
                sheet.note(place, Problem("bad_text", f"column '{column}' holds bytes that are not text", (column,)))

    return note
