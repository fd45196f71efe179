"""What a command costs before it does anything."""

from __future__ import annotations

from statistics import median

from measure import Budget, Found, Row
from ours import batchrunner, home

MOST_S = {"--help": 0.25, "status": 0.4}
TIMES = 7


def measure(budget: Budget) -> Found:
    """CPU seconds, user and system, of the whole process."""
    rows = []
    with home() as folder:
        for command, most_s in MOST_S.items():
            costs = [batchrunner(folder, command, limit_s=budget.limit_s(30)).cpu_s for _ in range(TIMES)]
            cost_s = median(costs)
            print(f"    {command}: {cost_s:.3f} s", flush=True)
            what = f"start-up of `batchrunner {command}` (CPU)"
            rows.append(Row("startup", what, f"{cost_s:.2f} s", target=f"≤ {most_s:g} s", met=cost_s <= most_s))
    return Found(rows)
