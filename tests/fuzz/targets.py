"""What is fuzzed: a module for each, with seeds, pieces that spoil them, and `try_one`, which raises at a bug.

A case that was found once stands in `cases/NAME/`, and is tried again for ever.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"


@dataclass(frozen=True)
class Target:
    """Something that takes bytes from outside."""

    name: str
    seeds: Sequence[bytes]
    pieces: Sequence[bytes]
    try_one: Callable[[bytes], None]

    @property
    def cases(self) -> list[Path]:
        """What was found."""
        return sorted(path for path in (CASES / self.name).glob("*") if path.is_file())


NAMES = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def target(name: str) -> Target:
    """The target of a name."""
    module = importlib.import_module(f"fuzz_{name}")
    return Target(name, module.SEEDS, module.PIECES, module.try_one)
