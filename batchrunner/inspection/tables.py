"""An inspection for a terminal, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batchrunner.inspection.findings import Inspection
from batchrunner.inspection.profile import LENGTHS, ColumnProfile
from batchrunner.report import repair_values

_WIDEST = 28
_HEAD = ("column", "filled", "distinct", "looks like", "problems")


def inspection_text(found: Inspection) -> str:
    """The table by column, the damage, and the judgement."""
    rows = [_row(found, column) for column in found.columns]
    lines = ["", *_table([_HEAD, *rows])] if rows else []
    if found.columns.left_out:
        lines.append(f"  … and further columns, which only some of the rows have ({found.columns.left_out} times)")
    if found.repairs:
        lines += ["", *(one.sentence for one in found.repairs)]
    return "\n".join([*lines, *([""] if lines else []), judgement(found)])


def _row(found: Inspection, column: ColumnProfile) -> tuple[str, ...]:
    return (
        printable(column.name),
        share(column.filled, column.rows),
        distinct(column),
        ", ".join(column.examples[:1]),
        ", ".join(found.problems_of(column)) or "-",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [[_cut(cell) if place < len(row) - 1 else cell for place, cell in enumerate(row)] for row in rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_HEAD) - 1)]
    return [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in cells
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def printable(text: str) -> str:
    """A name without what would move a cursor, end a line or turn the direction of writing."""
    return "".join(character if character.isprintable() else "?" for character in text)


def share(part: int, whole: int) -> str:
    """A share as people write it; never 100 % or 0 % where that is not exact."""
    if not whole or not part:
        return "0 %"
    return "100 %" if part == whole else f"{min(99.9, max(0.1, 100 * part / whole)):.1f} %"


def distinct(column: ColumnProfile) -> str:
    """How many different texts, and whether that was counted."""
    return f"{'' if column.is_exact else '~'}{column.distinct}"


def judgement(found: Inspection) -> str:
    """One sentence."""
    why = ", ".join(f"{code} ({count})" for code, count in found.codes.most_common())
    left_out = f"{found.filtered} are left out by `when`, " if found.filtered else ""
    unusable = f"{found.unusable} are unusable{': ' if why else ''}{why}"
    return f"{found.job}: {found.usable} rows can be sent, {left_out}{unusable}"


def inspection_values(found: Inspection) -> dict[str, Any]:
    """The counts of a check; the unusable rows themselves are told one by one."""
    return {
        "job": found.job,
        "sources": list(found.sources),
        "read": found.read,
        "usable": found.usable,
        "filtered": found.filtered,
        "unusable": found.unusable,
        "codes": dict(found.codes),
        "columns": [_column_values(found, column) for column in found.columns],
        "columns_left_out": found.columns.left_out,
        "repairs": repair_values(found.repairs),
    }


def _column_values(found: Inspection, column: ColumnProfile) -> dict[str, Any]:
    return {
        "column": column.name,
        "rows": column.rows,
        "filled": column.filled,
        "distinct": column.distinct,
        "distinct_exact": column.is_exact,
        "looks_like": column.examples,
        "lengths": {str(least): count for least, count in zip(LENGTHS, column.lengths, strict=True) if count},
        "problems": {code: count for (name, code), count in found.problems.items() if name == column.name},
    }
