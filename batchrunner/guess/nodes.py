"""What stands for a cell in the job file: its text, a word of it, what it is converted to."""

from __future__ import annotations

from typing import Any


def cell(column: str, conversion: str, **options: object) -> dict[str, Any]:
    """A converted cell."""
    return {"column": column, "as": conversion, **options}


def text_of(column: str) -> Any:  # noqa: ANN401  a node of the job file
    """The text of a column, without white space at its ends."""
    return f"{{{column}|trim}}" if _nameable(column) else {"column": column}


def without_apostrophes(column: str) -> Any:  # noqa: ANN401  a node of the job file
    """The text of a column without the signs that say to a spreadsheet: this is a text."""
    return f"""{{{column}|trim|replace:"'",''}}""" if _nameable(column) else {"column": column}


def first_word(column: str) -> Any:  # noqa: ANN401  a node of the job file
    """The first word of a column."""
    return f"{{{column}|first_word}}" if _nameable(column) else {"column": column}


def last_word(column: str) -> Any:  # noqa: ANN401  a node of the job file
    """The last word of a column."""
    return f"{{{column}|last_word}}" if _nameable(column) else {"column": column}


def _nameable(column: str) -> bool:
    return not set(column) & set("{}|") and column == column.strip() and bool(column)
