"""`concurrency = "auto"` on a server whose best concurrency changes during the run, against fixed numbers."""

from __future__ import annotations

from statistics import median

from exports import export
from measure import Bars, Budget, Found, Row, alternately, count
from ours import home, timed
from place import cores
from servers import slow

KNEES = (24, 96, 12)
"""The best concurrency, one after the other. Beyond it, this server becomes slower with the square."""
ANSWER_MS = 20
FIXED = (12, 24, 48, 96, 192)
NEAR = 0.9
ROWS = 200_000
"""More than there is time for: the time ends a run, not the file."""


def measure(budget: Budget) -> Found:
    """Each fixed number and `auto`, for the same time, with every knee for a third of it."""
    seconds = budget.sizes.phase_s * len(KNEES)
    runs = {str(n): (lambda n=n: _accepted_s(n, seconds, budget)) for n in (*FIXED, "auto")}
    figures, missing = alternately(1, runs)
    told = " → ".join(map(str, KNEES))
    what, target = f"concurrency auto, best concurrency {told}, against the best fixed one", f"≥ {NEAR:.0%}"
    fixed = {name: median(found) for name, found in figures.items() if name != "auto"}
    if "auto" not in figures or not fixed:
        return Found([Row("auto", what, "–", target=target, note="; ".join(missing.values()))])
    best = max(fixed, key=lambda name: fixed[name])
    mine = median(figures["auto"])
    share = mine / fixed[best]
    row = Row("auto", what, count(mine), f"{count(fixed[best])} ({best})", f"{share:.0%}", target, share >= NEAR)
    return Found([row], [Bars("Rows a second while the best concurrency changes", "rows/s", fixed | {"auto": mine})])


def _accepted_s(concurrency: object, seconds: float, budget: Budget) -> float:
    """Rows accepted a second."""
    knees = ",".join(map(str, KNEES))
    # A server for each run: its phases begin with the first request.
    with slow(ANSWER_MS, knees, budget.sizes.phase_s, cores=cores()[-1:]) as url, home() as folder:
        run = timed(folder, export(ROWS), url, concurrency, seconds + 1, budget.limit_s(seconds + 60))
        return float(run.summary["accepted"] / run.summary["duration_s"])
