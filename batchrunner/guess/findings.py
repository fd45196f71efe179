"""What was found out about an export, and how sure that is: every guess carries its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Sure = Literal["sure", "likely", "guess"]
"""`sure`: nothing speaks against it. `likely`: most of what was seen speaks for it. `guess`: a person should look."""

RANK: dict[Sure, int] = {"guess": 0, "likely": 1, "sure": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out about how the file is written."""

    key: str
    """The key of the job file that says it."""
    value: object
    sure: Sure
    why: str
    evidence: tuple[str, ...] = field(default=())
    """What `--explain` adds: counts, never values."""


def less_sure(one: Sure, other: Sure) -> Sure:
    """The weaker of two."""
    return min(one, other, key=RANK.__getitem__)


def percent(part: int, whole: int) -> str:
    """A share as people write it; never 100 % where something is missing."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    if part < whole and share > 99:  # noqa: PLR2004  would be rounded up to all of them
        return "99 %"
    return f"{share:.0f} %"
