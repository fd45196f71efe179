"""Where the CPU time of a row goes."""

from __future__ import annotations

from exports import export
from measure import Bars, Budget, Found
from ours import home, imports
from place import cores
from servers import nginx


def measure(budget: Budget) -> Found:
    """A profiled run against a server that answers at once."""
    with nginx(cores()[-1:]) as url, home() as folder:
        run = imports(folder, export(budget.sizes.rows), url, limit_s=budget.limit_s(180), profile=True)
    stages = run.stages
    whole = sum(stages.values())
    for name, us in stages.items():
        print(f"    {name:8} {us:6.1f} µs  {us / whole:4.0%}", flush=True)
    print(f"    {'all':8} {whole:6.1f} µs a row", flush=True)
    cells = [[name, f"{us:.1f}", f"{us / whole:.0%}"] for name, us in stages.items()]
    table = ("CPU time of a row by stage", ["stage", "µs a row", "share"], [*cells, ["all", f"{whole:.1f}", "100%"]])
    return Found([], [Bars("CPU time of a row by stage", "µs", stages)], [table])
