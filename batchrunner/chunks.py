"""A chunk: some thousands of rows as columns. The only door to pandas.

Chunks are a way of travelling, not a unit of meaning: a column is converted once per distinct value, and a
profile of a column is one call, while every row keeps its own number, line and record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar

import msgspec
import numpy as np
import pandas as pd

from batchrunner.model import Row, Unusable
from batchrunner.nested import split_path, text_at

T = TypeVar("T")


class Chunk:
    """Rows of one source in file order, as a frame of strings, and the records that did not become rows."""

    def __init__(  # noqa: PLR0913  what a chunk is
        self,
        columns: Sequence[str],
        rows: Sequence[Row],
        cells: Sequence[Sequence[str]],
        broken: Sequence[Unusable] = (),
        position: int = 0,
        *,
        nested: bool = False,
    ) -> None:
        """Keep `cells[i]`, one string per column, beside `rows[i]`; `position` is bytes of the source consumed.

        In a `nested` chunk, cells may hold JSON, whose inner values go by names such as `contact.email`.
        """
        self.rows = rows
        self.broken = broken
        self.position = position
        self._nested = nested
        self._columns = columns
        self._cells = cells

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The cells. Made when it is first asked for: rows that are known already are never looked at."""
        columns, cells = self._columns, self._cells
        # One array for all cells: a third of the time that a Series per column takes.
        table = np.array(cells, dtype=object) if cells else np.empty((0, len(columns)), dtype=object)
        return pd.DataFrame(table, columns=list(columns), dtype=object, copy=False)

    def digest(self, recipe: bytes) -> bytes | None:
        """16 bytes over a recipe, the columns and every cell; None where a cell holds what is no text."""
        try:  # MessagePack counts what it holds, so no two different tables are written alike
            written = msgspec.msgpack.encode((recipe, self._nested, self._columns, self._cells))
        except UnicodeEncodeError:
            return None
        return blake2b(written, digest_size=16, person=b"batchrunner.rows").digest()

    def __len__(self) -> int:
        """Rows, without the broken records."""
        return len(self.rows)

    def texts(self, column: str) -> list[str]:
        """One column as the strings that were read; an absent column is all empty (JSONL rows may lack keys)."""
        if column not in self.frame.columns:
            return self._inner_texts(column)
        values: list[str] = self.frame[column].tolist()
        return values

    def convert(self, column: str, convert: Callable[[str], T]) -> list[T]:
        """Call `convert` once per distinct value of a column, and give the results back in row order."""
        values = self.frame[column] if column in self.frame.columns else np.array(self._inner_texts(column), object)
        codes, distinct = pd.factorize(values)
        converted = [convert(value) for value in distinct]
        return [converted[code] for code in codes.tolist()]

    def _inner_texts(self, column: str) -> list[str]:
        """What stands inside the cells of an outer column; nothing where there is none."""
        for outer, path in split_path(column) if self._nested else ():
            if outer in self.frame.columns:
                cells: list[str] = self.frame[outer].tolist()
                found = {cell: text_at(cell, path) for cell in set(cells)}
                return [found[cell] for cell in cells]
        return [""] * len(self.rows)

    def hashes(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """A number of 64 bits for each cell of a column that is not empty: equal texts, equal numbers, on any day."""
        texts = self.frame[column].to_numpy()
        return pd.util.hash_array(texts[texts != ""], categorize=False)
