"""Where the bench keeps things, and how much it does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BENCH_BUILD") or ROOT / "build" / "bench")
PYTHON = ROOT / ".venv" / "bin" / "python"
BATCHRUNNER = ROOT / ".venv" / "bin" / "batchrunner"
PEERS_PYTHON = BUILD / "peers" / "bin" / "python"


@dataclass(frozen=True)
class Sizes:
    """How much is measured: enough for figures, or enough to see that everything works."""

    rows: int
    """Of a run against a server that answers at once."""
    seconds: float
    """Of a run against a server that takes its time, and of `wrk`."""
    pairs: int
    """Alternating: ours, theirs, ours, theirs..."""
    fewer: int
    """The same, where there is much to measure."""
    again: int
    """Rows of a file that are all accepted."""
    growth: tuple[int, ...]
    """Rows of files that the same job imports into a new ledger each."""
    ledger: tuple[int, ...]
    """Rows in a ledger; the first is what the others are compared with."""
    slow_peers_s: float
    """How long a peer that does some hundred rows a second is looked at."""
    phase_s: float
    """Until the best concurrency changes."""


FULL = Sizes(
    rows=60_000,
    seconds=3.0,
    pairs=3,
    fewer=2,
    again=500_000,
    growth=(10_000, 100_000, 1_000_000, 5_000_000),
    ledger=(100_000, 1_000_000, 10_000_000),
    slow_peers_s=3.0,
    phase_s=5.0,
)
QUICK = Sizes(
    rows=10_000,
    seconds=1.0,
    pairs=1,
    fewer=1,
    again=50_000,
    growth=(5_000, 20_000),
    ledger=(20_000, 100_000),
    slow_peers_s=1.0,
    phase_s=3.0,
)


def cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))
