"""What is wrong with a cell, said without saying the cell: values are personal data, their shape is not."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_SHOWN = 40
"""Characters of a shape: enough to recognise a date or a number, too few to fill a log."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot become a request: a code to count by, and a sentence for a person."""

    code: str
    text: str
    columns: tuple[str, ...] = ()
    """Whose cells are to blame."""


def shape(value: str) -> str:
    """The look of a value: digits become 9, letters a or A, the rest stays; cut at 40 characters."""
    shown = "".join(map(_shape_of, value[:_SHOWN]))
    return f"{shown}…" if len(value) > _SHOWN else shown


def _shape_of(character: str) -> str:
    match unicodedata.category(character):
        case "Lu" | "Lt":
            return "A"
        case "Ll" | "Lm" | "Lo" | "Mn" | "Mc" | "Me":
            return "a"
        case "Nd" | "Nl" | "No":
            return "9"
        case "Cc" | "Cs" | "Co" | "Cn" | "Cf" | "Zl" | "Zp":  # would break a line, a terminal or an encoder
            return "?"
        case _:
            return character


def is_blank(text: str) -> bool:
    """Whether a cell counts as empty: no characters, or only white space (a no-break space is white space)."""
    return not text or text.isspace()
