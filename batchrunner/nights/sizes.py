"""Is tonight's file suddenly small? Decisions only: the caller counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from batchrunner.errors import Reason, RefusedFile

NIGHTS = 7
"""Whose median tonight's file is held against: one strange night among them changes little."""


def usual_rows(last: Sequence[int]) -> int | None:
    """The records of an ordinary night, from those of the last ones, newest first; None before there was one.

    Last night's if they were fewer: a file that a person has let pass is the new measure.
    """
    return min(round(median(last[:NIGHTS])), last[0]) if last else None


def fewest_rows(min_rows: int, shrink_percent: float | None, last: Sequence[int]) -> int:
    """As many records as a file must have: who counts may stop there."""
    usual = usual_rows(last)
    if shrink_percent is None or usual is None:
        return min_rows
    return max(min_rows, math.ceil(usual * (100 - shrink_percent) / 100))


def too_small(
    name: str, rows: int, min_rows: int, shrink_percent: float | None, last: Sequence[int]
) -> RefusedFile | None:
    """Why a file of so many records is not to be sent, if it is not."""
    if rows < min_rows:
        said = "is empty" if not rows else f"has {rows} records"
        return RefusedFile(f"{name}: {said}, fewer than min_rows = {min_rows} under [arrival]", Reason.TOO_FEW_ROWS)
    if rows < fewest_rows(min_rows, shrink_percent, last):
        return RefusedFile(
            f"{name}: has {rows} records, where the last nights had about {usual_rows(last)}: it has shrunk by more "
            f"than shrink_alert = {shrink_percent:g}% under [arrival]",
            Reason.SHRUNK_FILE,
        )
    return None
