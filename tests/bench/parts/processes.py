"""More than one process for one run: what `--processes 2` and `3` carry, against one process, on one ledger."""

from __future__ import annotations

from statistics import median

from measure import Budget, Found, Row, alternately, count, ratios
from parts.single import ours
from place import cores
from processes import NotMeasured
from servers import nginx

PAYS = 1.5
"""Twice the processes, more memory and a second thing that may break: less than this is hardly worth it."""

ONE = "one process"
MORE = {"--processes 2": 2, "--processes 3": 3}


def measure(budget: Budget) -> Found:
    """In turn. Three share two cores here: with their server, that is one too many."""
    with nginx(cores()[-1:]) as url:
        runs = {ONE: lambda: ours(url, budget)}
        runs |= {name: lambda number=number: ours(url, budget, number) for name, number in MORE.items()}
        figures, missing = alternately(budget.sizes.fewer, runs)
    if ONE not in figures:
        raise NotMeasured(missing[ONE])
    found = []
    for name in MORE:
        what, target = f"{name}: rows/s against one process", f"pays from {PAYS:g}×"
        if name not in figures:
            found.append(Row("processes", what, "–", target=target, note=missing[name]))
            continue
        mine, theirs = count(median(figures[name])), count(median(figures[ONE]))
        found.append(Row("processes", what, mine, theirs, f"{ratios(figures, name, ONE):.2f}×", target))
    return Found(found)
