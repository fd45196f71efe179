"""Figures from alternating runs, and the time that is left for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from place import Sizes
from processes import NotMeasured


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    part: str
    what: str
    ours: str
    peer: str = "–"
    ratio: str = "–"
    target: str = "–"
    met: bool | None = None
    """None: there is nothing to be met, or it was not measured."""
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """What a chart shows: some names and a figure for each."""

    title: str
    unit: str
    figures: Mapping[str, float]
    log: bool = False


@dataclass
class Found:
    """Everything that a part has found out."""

    rows: list[Row] = field(default_factory=list)
    charts: list[Bars] = field(default_factory=list)
    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)
    """Title, head and cells of tables beside the main one."""

    def as_json(self) -> object:
        """For the file in which results gather."""
        return asdict(self)


class Budget:
    """The time that is left for the whole bench."""

    def __init__(self, seconds: float, sizes: Sizes) -> None:
        """From now."""
        self._until_s = time.monotonic() + seconds
        self.sizes = sizes

    @property
    def left_s(self) -> float:
        """Seconds."""
        return self._until_s - time.monotonic()

    def limit_s(self, most: float) -> float:
        """A time-out for one step. Raises NotMeasured when the time is up."""
        if self.left_s < 5:
            raise NotMeasured("the time for the whole bench was up")
        return min(most, self.left_s)

    def need(self, seconds: float, why: str) -> None:
        """Raises NotMeasured when there is less left."""
        if self.left_s < seconds:
            raise NotMeasured(f"{why} would take about {seconds:.0f} s, and {self.left_s:.0f} s were left")


def alternately(rounds: int, runs: Mapping[str, Callable[[], float]]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Call each of `runs` in turn, `rounds` times; gives the figures of each, and why some have none."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for name, once in runs.items():
            if name in missing:
                continue
            try:
                figures[name].append(once())
            except (NotMeasured, OSError, ValueError, KeyError) as error:
                missing[name] = f"{type(error).__name__}: {error}" if not isinstance(error, NotMeasured) else str(error)
            shown = f"{figures[name][-1]:,.1f}" if name not in missing else f"not measured: {missing[name]}"
            print(f"    {name}: {shown}", flush=True)
    return {name: found for name, found in figures.items() if found}, missing


def ratios(figures: Mapping[str, Sequence[float]], ours: str, theirs: str) -> float:
    """The median over the rounds of ours ÷ theirs: what drifts together drops out."""
    pairs = zip(figures[ours], figures[theirs], strict=False)
    return median(mine / other for mine, other in pairs)


def reported(text: str) -> float:
    """Rows a second, from what a peer prints at its end."""
    last = json.loads(text.strip().splitlines()[-1])
    if not last["rows"]:
        raise NotMeasured("it sent nothing")
    return last["rows"] / last["seconds"]  # type: ignore[no-any-return]


def count(number: float) -> str:
    """A figure as people read it."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def size_mb(path: Path) -> float:
    """Megabytes of a file."""
    return path.stat().st_size / 1e6
