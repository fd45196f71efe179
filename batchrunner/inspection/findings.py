"""What is known of a file when all of it has been judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batchrunner.inspection.profile import ColumnProfile, Profiler
from batchrunner.mapping import Found

PARTS = 60
"""Of the file, for which it is told how many of their rows are unusable."""


@dataclass(slots=True)
class Inspection:
    """Counts of a whole check; rows themselves are not kept."""

    job: str
    sources: tuple[str, ...]
    size_bytes: int
    usable: int = 0
    filtered: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    """Of unusable rows."""
    columns: Profiler = field(default_factory=Profiler)
    repairs: list[Found] = field(default_factory=list)
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of columns, with their codes: a row may have several."""
    parts: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(PARTS)])
    """Rows, and unusable rows, of each part of the file."""

    @property
    def unusable(self) -> int:
        """Rows that cannot be sent."""
        return self.codes.total()

    @property
    def read(self) -> int:
        """All rows."""
        return self.usable + self.filtered + self.unusable

    def count(self, position: int, code: str | None, *, filtered: bool = False) -> None:
        """Count one row, read when so many bytes had been; `code` is why it is unusable."""
        part = self.parts[min(PARTS - 1, position * PARTS // max(1, self.size_bytes))]
        part[0] += 1
        if code is not None:
            part[1] += 1
            self.codes[code] += 1
        elif filtered:
            self.filtered += 1
        else:
            self.usable += 1

    def found(self, repairs: Iterable[Found], problems: Mapping[tuple[str, str], int]) -> None:
        """Take over what one source's mapper has met."""
        self.repairs += repairs
        self.problems.update(problems)

    def problems_of(self, column: ColumnProfile) -> list[str]:
        """What is wrong in a column, the commonest first."""
        bad = Counter({code: count for (name, code), count in self.problems.items() if name == column.name})
        words = [f"{code} ({count})" for code, count in bad.most_common()]
        for one in self.repairs:
            if one.column != column.name:
                continue
            counts = {became: count for became, count in one.counts.items() if count and became != "unusable"}
            words += [f"{one.fault} {became} ({count})" for became, count in counts.items()]
        return words
