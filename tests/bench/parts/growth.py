"""Files of 10,000 to 5,000,000 rows: memory and the cost of a row stay the same.

By batch calls, for five million single calls alone would take most of the time of the whole bench. What grows with a
file (reading, mapping, keys, the gate, the ledger, result files) is the same for both; the smaller files also go by
single calls.
"""

from __future__ import annotations

from exports import export
from measure import Bars, Budget, Found, Row, count
from ours import Run, home, imports
from place import cores
from processes import NotMeasured
from servers import nginx, of_batches

FLAT = 0.10
MOST_MB = 250
ROWS_S_AT_LEAST = 8_000
"""Only to tell whether the largest file fits into the time that is left."""
EXPORTED_S = 150_000
"""Rows of a file that are made in a second."""
SMALLEST_FOR_MEMORY = 100_000


def measure(budget: Budget) -> Found:
    """Each size into a new ledger; those that there is no time for are named."""
    runs: dict[int, Run] = {}
    missing: dict[int, str] = {}
    singly = _singly(budget)  # first, for the largest file takes all the time that is left
    with of_batches(cores()[-1:]) as url:
        for wanted in budget.sizes.growth:
            rows = _that_fit(wanted, budget, runs)
            if rows < wanted:
                missing[wanted] = f"there was time for {rows:,}"
            if rows in runs:
                continue
            try:
                runs[rows] = _once(url, rows, budget, runs)
                one = runs[rows]
                print(
                    f"    {rows:,} rows: {one.cpu_us:.1f} µs, {one.done.peak_mb:.0f} MB, {one.rows_s:,.0f}/s",
                    flush=True,
                )
            except NotMeasured as error:
                missing[rows] = str(error)
                print(f"    {rows:,} rows: not measured: {error}", flush=True)
    return Found([singly, *_rows(runs, missing)], _charts(runs), [_table(runs)])


def _singly(budget: Budget) -> Row:
    """One of the smaller files and half of it, by single calls."""
    more = budget.sizes.growth[1]
    few = more // 2
    what = f"peak memory, single calls: {more:,} rows against {few:,}"
    try:
        with nginx(cores()[-1:]) as url:
            peaks = []
            for rows in (few, more):
                with home() as folder:
                    peaks.append(imports(folder, export(rows), url, limit_s=budget.limit_s(120)).done.peak_mb)
    except NotMeasured as error:
        return Row("growth", what, "–", note=str(error))
    small, large = peaks
    print(f"    singly: {large:.0f} MB against {small:.0f} MB", flush=True)
    met = large <= MOST_MB and large / small - 1 <= FLAT
    target = f"flat within {FLAT:.0%}, ≤ {MOST_MB} MB"
    return Row("growth", what, f"{large:.0f} MB", f"{small:.0f} MB", f"{large / small - 1:+.0%}", target, met)


def _that_fit(wanted: int, budget: Budget, before: dict[int, Run]) -> int:
    """As many rows as there is time for, in steps of half a million; what was measured already, if not even that."""
    if not before:
        return wanted
    last = before[max(before)].rows_s  # the larger a run, the less its beginning weighs
    fit = int((budget.left_s - 15) / (1.15 / last + 1 / EXPORTED_S))
    return wanted if fit >= wanted else max(fit // 500_000 * 500_000, *before)


def _once(url: str, rows: int, budget: Budget, before: dict[int, Run]) -> Run:
    last = before[max(before)].rows_s if before else ROWS_S_AT_LEAST
    budget.need(rows / last * 1.15 + rows / EXPORTED_S, f"a file of {rows:,} rows")
    # A short run is one sample of a noisy machine: take the best of a few.
    times = 3 if rows < SMALLEST_FOR_MEMORY else 1
    runs = []
    for _ in range(times):
        with home() as folder:
            runs.append(imports(folder, export(rows), url, limit_s=budget.limit_s(900), profile=True, batches=True))
    return sorted(runs, key=lambda run: run.cpu_us)[len(runs) // 2]


def _rows(runs: dict[int, Run], missing: dict[int, str]) -> list[Row]:
    note = "; ".join(f"{rows:,} rows: {why}" for rows, why in missing.items())
    sizes = [rows for rows in runs if rows >= SMALLEST_FOR_MEMORY] or list(runs)
    if not sizes:
        return [Row("growth", "peak memory and cost per row", "–", note=note)]
    peaks = [runs[rows].done.peak_mb for rows in sizes]
    costs = [run.cpu_us for run in runs.values()]
    spread, rise = max(peaks) / min(peaks) - 1, max(costs) / min(costs) - 1
    told = " / ".join(f"{rows:,}" for rows in sizes)
    return [
        Row(
            "growth", f"peak memory at {told} rows, batch calls", " / ".join(f"{peak:.0f} MB" for peak in peaks), "–",
            f"+{spread:.0%}", f"flat within {FLAT:.0%}, ≤ {MOST_MB} MB", spread <= FLAT and max(peaks) <= MOST_MB, note,
        ),
        Row(
            "growth", "cost per row (CPU µs) at " + " / ".join(f"{rows:,}" for rows in runs) + " rows, batch calls",
            " / ".join(f"{cost:.0f}" for cost in costs), "–", f"+{rise:.0%}",
            f"flat within {FLAT:.0%}", rise <= FLAT, note,
        ),
    ]  # fmt: skip


def _charts(runs: dict[int, Run]) -> list[Bars]:
    return [Bars("Peak memory by rows of the file", "MB", {f"{n:,} rows": run.done.peak_mb for n, run in runs.items()})]


def _table(runs: dict[int, Run]) -> tuple[str, list[str], list[list[str]]]:
    cells = [
        [f"{rows:,}", count(run.rows_s), f"{run.cpu_us:.0f}", f"{run.done.peak_mb:.0f}"] for rows, run in runs.items()
    ]
    return "Growth", ["rows", "rows/s", "CPU µs a row", "peak MB"], cells
