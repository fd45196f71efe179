"""A chunk: some thousands of rows as columns. The only door to pandas.

Chunks are a way of travelling, not a unit of meaning: a column is converted once per distinct value, and a
profile of a column is one call, while every row keeps its own number, line and record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from batchrunner.model import Row, Unusable

T = TypeVar("T")


class Chunk:
    """Rows of one source in file order, as a frame of strings, and the records that did not become rows."""

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Row],
        cells: Sequence[Sequence[str]],
        broken: Sequence[Unusable] = (),
        position: int = 0,
    ) -> None:
        """Keep `cells[i]`, one string per column, beside `rows[i]`; `position` is bytes of the source consumed."""
        self.rows = rows
        self.broken = broken
        self.position = position
        # One array for all cells: a third of the time that a Series per column takes.
        table = np.array(cells, dtype=object) if cells else np.empty((0, len(columns)), dtype=object)
        self.frame = pd.DataFrame(table, columns=list(columns), dtype=object, copy=False)

    def __len__(self) -> int:
        """Rows, without the broken records."""
        return len(self.rows)

    def texts(self, column: str) -> list[str]:
        """One column as the strings that were read; an absent column is all empty (JSONL rows may lack keys)."""
        if column not in self.frame.columns:
            return [""] * len(self.rows)
        values: list[str] = self.frame[column].tolist()
        return values

    def convert(self, column: str, convert: Callable[[str], T]) -> list[T]:
        """Call `convert` once per distinct value of a column, and give the results back in row order."""
        if column not in self.frame.columns:
            return [convert("")] * len(self.rows)
        codes, distinct = pd.factorize(self.frame[column])
        converted = [convert(value) for value in distinct]
        return [converted[code] for code in codes.tolist()]
