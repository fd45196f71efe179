"""A chunk: some thousands of rows as columns. The only door to pandas.

Chunks are a way of travelling, not a unit of meaning: columns are converted as a whole, and a profile of a
column is one call of pandas, while every row keeps its own number, line and record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from batchrunner.model import Row, Unusable
from batchrunner.nested import split_path, text_at

if TYPE_CHECKING:  # a run needs columns only, and pandas takes a third of the time in which it starts
    import numpy as np
    import pandas as pd


class Chunk:
    """Rows of one source in file order, as columns of strings, and the records that did not become rows."""

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
        """The cells, for whoever looks at what is in a column."""
        import numpy as np  # noqa: PLC0415  see the top
        import pandas as pd  # noqa: PLC0415  see the top

        columns, cells = self._columns, self._cells
        # One array for all cells: a third of the time that a Series per column takes.
        table = np.array(cells, dtype=object) if cells else np.empty((0, len(columns)), dtype=object)
        return pd.DataFrame(table, columns=list(columns), dtype=object, copy=False)

    @cached_property
    def _by_name(self) -> dict[str, Sequence[str]]:
        # Turned when it is first asked for: rows that are known already are never looked at.
        turned = zip(*self._cells, strict=True) if self._cells else [()] * len(self._columns)
        return dict(zip(self._columns, turned, strict=True))

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

    def parts(self, most: int) -> Iterator[Chunk]:
        """The same rows as chunks of no more rows than that. One with broken records, which have no place, is one."""
        if self.broken or len(self.rows) <= most:
            yield self
            return
        for start in range(0, len(self.rows), most):
            end = start + most
            rows, cells = self.rows[start:end], self._cells[start:end]
            yield Chunk(self._columns, rows, cells, position=self.position, nested=self._nested)

    def texts(self, column: str) -> list[str]:
        """One column as the strings that were read; an absent column is all empty (JSONL rows may lack keys)."""
        found = self._by_name.get(column)
        return self._inner_texts(column) if found is None else list(found)

    def _inner_texts(self, column: str) -> list[str]:
        """What stands inside the cells of an outer column; nothing where there is none."""
        for outer, path in split_path(column) if self._nested else ():
            if (cells := self._by_name.get(outer)) is not None:
                found = {cell: text_at(cell, path) for cell in set(cells)}
                return [found[cell] for cell in cells]
        return [""] * len(self.rows)

    def hashes(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """A number of 64 bits for each cell of a column that is not empty: equal texts, equal numbers, on any day."""
        import pandas as pd  # noqa: PLC0415  see the top

        texts = self.frame[column].to_numpy()
        return pd.util.hash_array(texts[texts != ""], categorize=False)
