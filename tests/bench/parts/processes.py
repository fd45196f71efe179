"""Whether a second process would pay: two whole runs side by side, against one run of the same rows.

No `--processes 2` could be faster than two runs that share nothing. Two that share one ledger, as it would have to be
kept, show what the one writer costs.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from exports import export
from measure import Budget, Found, Row, alternately, count, ratios
from ours import home, imports
from place import cores
from processes import NotMeasured
from servers import nginx

PAYS = 1.5
"""Twice the processes, twice the memory and a second thing that may break: for less than this they are not worth it."""


def measure(budget: Budget) -> Found:
    """One, two, and two with one ledger, in turn."""
    rows = budget.sizes.rows
    for each in (rows, rows // 2):  # now, for two runs would write one file at once
        export(each)
    with nginx(cores()[-1:]) as url:
        figures, missing = alternately(
            1,
            {
                "one process": lambda: _rows_s([rows], url, budget, shared=False),
                "two, a ledger each": lambda: _rows_s([rows // 2] * 2, url, budget, shared=False),
                "two, one ledger": lambda: _rows_s([rows // 2] * 2, url, budget, shared=True),
            },
        )
    found = []
    for name in ("two, a ledger each", "two, one ledger"):
        if name in figures and "one process" in figures:
            times = ratios(figures, name, "one process")
            mine, theirs = count(median(figures[name])), count(median(figures["one process"]))
            what = f"{name}: rows/s against one process"
            found.append(Row("processes", what, mine, theirs, f"{times:.2f}×", f"pays from {PAYS:g}×"))
    if not found:
        raise NotMeasured("; ".join(missing.values()))
    return Found(found)


def _rows_s(parts: list[int], url: str, budget: Budget, *, shared: bool) -> float:
    """Rows a second of all together, whole processes."""
    with home() as folder:
        ledger = folder / "ledger.db" if shared else None
        places = [folder / str(number) for number in range(len(parts))]
        for place in places:
            place.mkdir()
        began_s = time.perf_counter()
        with ThreadPoolExecutor(len(parts)) as pool:
            done = [pool.submit(_run, at, rows, url, ledger, budget) for at, rows in zip(places, parts, strict=True)]
            rows = sum(one.result() for one in done)
        return rows / (time.perf_counter() - began_s)


def _run(folder: Path, rows: int, url: str, ledger: Path | None, budget: Budget) -> int:
    return imports(
        folder, export(rows), url, ledger=ledger, name=f"bench-{folder.name}", limit_s=budget.limit_s(180)
    ).rows
