"""Texts with {Column} placeholders; `{{` and `}}` stand for the braces themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(r"(\{\{)|(\}\})|\{([^{}]+)\}|([^{}]+)|(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Stands for the cell of a column."""

    column: str


Piece = str | Placeholder


def parse_template(text: str) -> tuple[Piece, ...]:
    """The literal texts and placeholders of a template, in order. Raises ValueError with what is wrong."""
    pieces: list[Piece] = []
    for opened, closed, column, literal, stray in _PIECE.findall(text):
        if stray:
            raise ValueError(_complaint(stray))
        if column:
            pieces.append(Placeholder(column))
            continue
        words = "{" if opened else "}" if closed else literal
        if pieces and isinstance(pieces[-1], str):
            words = f"{pieces.pop()}{words}"
        pieces.append(words)
    return tuple(pieces)


def _complaint(stray: str) -> str:
    if stray == "{":
        return "has a '{' that opens no {Column}; write '{{' for the brace itself"
    return "has a '}' without its '{'; write '}}' for the brace itself"
