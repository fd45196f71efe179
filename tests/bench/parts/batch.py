"""Calls that carry 500 rows each: against reading the same file, and against our own single calls."""

from __future__ import annotations

from statistics import median

from exports import export
from measure import Budget, Found, Row, alternately, count, ratios
from ours import home, imports
from parts.again import reader
from parts.single import ours as single_calls
from place import cores
from processes import NotMeasured
from servers import nginx, of_batches

OF_READER, TIMES_SINGLE = 0.07, 5.0
IN_FLIGHT = 4
"""Requests: with 500 rows in each there is work enough for every core."""


def measure(budget: Budget) -> Found:
    """Ours in batches, `csv.reader` alone on the same file, and our own single calls."""
    with of_batches(cores()[-1:]) as url, nginx(cores()[-1:]) as single_url:
        figures, missing = alternately(
            budget.sizes.pairs,
            {
                "batches": lambda: _batches(url, budget),
                "csv.reader": lambda: reader(export(budget.sizes.rows), budget),
                "single calls": lambda: single_calls(single_url, budget),
            },
        )
    if "batches" not in figures:
        raise NotMeasured(missing["batches"])
    mine = count(median(figures["batches"]))
    return Found([
        _row("batch calls, 500 rows a request, against `csv.reader` alone", mine, figures, "csv.reader", missing),
        _row("… against our single calls", mine, figures, "single calls", missing),
    ])  # fmt: skip


def _batches(url: str, budget: Budget) -> float:
    with home() as folder:
        source = export(budget.sizes.rows)
        return imports(folder, source, url, concurrency=IN_FLIGHT, limit_s=budget.limit_s(180), batches=True).rows_s


def _row(what: str, mine: str, figures: dict[str, list[float]], peer: str, missing: dict[str, str]) -> Row:
    target = f"≥ {OF_READER:.0%}" if peer == "csv.reader" else f"≥ {TIMES_SINGLE:g}×"
    if peer not in figures:
        return Row("batch", what, mine, target=target, note=missing[peer])
    ratio = ratios(figures, "batches", peer)
    met = ratio >= (OF_READER if peer == "csv.reader" else TIMES_SINGLE)
    shown = f"{ratio:.1%}" if peer == "csv.reader" else f"{ratio:.1f}×"
    return Row("batch", what, mine, count(median(figures[peer])), shown, target, met)
