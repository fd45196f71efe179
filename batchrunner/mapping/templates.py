"""Texts with {Column} placeholders, which may have defaults and filters; `{{` and `}}` stand for the braces themselves.

{First name}   {First name|trim|title}   {First name|friend}   {First name|'dear friend'}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.mapping.filters import NO_FILTERS, Chain, parse_chain

_FILTERS = r"""(?:\|(?:[^{}|'"]++|'[^']*+'|"[^"]*+")*+)*+"""
PLACEHOLDER = rf"\{{([^{{}}|]++)({_FILTERS})\}}"
"""One placeholder: the column, then its filters with their bars. Quotes among the filters may hold anything."""

_PIECE = re.compile(rf"(\{{\{{)|(\}}\}})|{PLACEHOLDER}|([^{{}}]+)|(.)", re.DOTALL)
_OPEN_QUOTE = re.compile(r"""\{[^{}|]++\|(?:[^{}'"]++|'[^']*+'|"[^"]*+")*+['"]""")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Stands for the cell of a column, after its filters."""

    column: str
    chain: Chain = NO_FILTERS


Piece = str | Placeholder


def parse_template(text: str) -> tuple[Piece, ...]:
    """The literal texts and placeholders of a template, in order. Raises ValueError with what is wrong."""
    pieces: list[Piece] = []
    for found in _PIECE.finditer(text):
        opened, closed, column, filters, literal, stray = found.groups()
        if stray:
            raise ValueError(_complaint(stray, text[found.start() :]))
        if column:
            pieces.append(placeholder(column, filters))
            continue
        words = "{" if opened else "}" if closed else literal
        if pieces and isinstance(pieces[-1], str):
            words = f"{pieces.pop()}{words}"
        pieces.append(words)
    return tuple(pieces)


def placeholder(column: str, filters: str) -> Placeholder:
    """A placeholder from its column and its filters as they are written. Raises ValueError."""
    # Without filters the name is taken as it stands, blanks included; with them, blanks before the bar are layout.
    return Placeholder(column.strip(), parse_chain(filters)) if filters else Placeholder(column)


def columns_of(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The columns of the placeholders, in order."""
    return tuple(piece.column for piece in pieces if isinstance(piece, Placeholder))


def _complaint(stray: str, rest: str) -> str:
    if stray == "}":
        return "has a '}' without its '{'; write '}}' for the brace itself"
    if _OPEN_QUOTE.match(rest):
        return "has a quote among the filters that never closes; write it as in {Column|'friend'}"
    return "has a '{' that opens no {Column}; write '{{' for the brace itself"
