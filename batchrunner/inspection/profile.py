"""Columns of a file in numbers, in flat memory however long the file is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrunner.mapping.problems import shape

if TYPE_CHECKING:  # see `ports`
    import numpy as np

    from batchrunner.chunks import Chunk

SKETCH = 16_384
"""Different texts of a column that are counted exactly; of more, their number is estimated to within 2 %."""
MOST_COLUMNS = 300
"""JSON objects may have a key of their own in each row: further columns are not looked at."""
LENGTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Lower bounds of the lengths that are counted together; the last one has no upper bound."""
_SHAPES_FROM = 2_000
_SHAPES = 3
_EVERY_HASH = 2.0**64


@dataclass(slots=True)
class ColumnProfile:
    """One column, as far as it has been read."""

    name: str
    rows: int = 0
    filled: int = 0
    lengths: list[int] = field(default_factory=lambda: [0] * len(LENGTHS))
    """Of its filled cells: how many are as long as `LENGTHS` says."""
    _shapes: Counter[str] = field(default_factory=Counter)
    _shaped: int = 0
    _smallest: np.ndarray[tuple[int], np.dtype[np.uint64]] | None = None

    @property
    def distinct(self) -> int:
        """Different texts; an estimate where there are very many."""
        if self._smallest is None:
            return 0
        if self.is_exact:
            return len(self._smallest)
        # The k-th smallest of n evenly spread numbers lies at about k/n of the way.
        return round((SKETCH - 1) / (float(self._smallest[-1]) / _EVERY_HASH))

    @property
    def is_exact(self) -> bool:
        """Whether `distinct` was counted."""
        return self._smallest is None or len(self._smallest) < SKETCH

    @property
    def examples(self) -> list[str]:
        """The commonest shapes of its texts: values are personal data, their shapes are not."""
        return [one for one, _ in self._shapes.most_common(_SHAPES)]

    def add(self, chunk: Chunk) -> None:
        """Look at one more chunk."""
        import numpy as np  # noqa: PLC0415  comes with pandas, which runs do without

        texts = [text for text in map(str.strip, chunk.texts(self.name)) if text]
        self.rows += len(chunk)
        self.filled += len(texts)
        if not texts:
            return
        places = np.searchsorted(np.array(LENGTHS), np.fromiter(map(len, texts), dtype=np.int64), side="right") - 1
        for place, count in enumerate(np.bincount(places, minlength=len(LENGTHS)).tolist()):
            self.lengths[place] += count
        self._add_hashes(chunk.hashes(self.name))
        more = texts[: _SHAPES_FROM - self._shaped]
        self._shapes.update(map(shape, more))
        self._shaped += len(more)

    def _add_hashes(self, hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
        import numpy as np  # noqa: PLC0415  see above

        known = self._smallest
        if known is None:
            self._smallest = np.unique(hashes)[:SKETCH]
            return
        if len(known) == SKETCH:
            hashes = hashes[hashes < known[-1]]
        if len(hashes):
            self._smallest = np.union1d(known, hashes)[:SKETCH]


class Profiler:
    """All columns of all sources; columns of the same name are one."""

    def __init__(self) -> None:
        """Nothing has been read."""
        self._columns: dict[str, ColumnProfile] = {}
        self._rows = 0
        self.left_out = 0
        """Columns beyond the most that are looked at."""

    def __iter__(self) -> Iterator[ColumnProfile]:
        """In order of appearance."""
        return iter(self._columns.values())

    def add(self, chunk: Chunk) -> None:
        """Look at one more chunk."""
        if not len(chunk):
            return
        for name in map(str, chunk.frame.columns):
            if name not in self._columns and len(self._columns) == MOST_COLUMNS:
                self.left_out += 1
                continue
            if name not in self._columns:
                self._columns[name] = ColumnProfile(name)
            self._columns[name].add(chunk)
        self._rows += len(chunk)
        for column in self._columns.values():
            column.rows = self._rows  # a row that lacks a key has an empty cell there
