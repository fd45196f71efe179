"""Servers that take 20 or 50 ms: how much of connections ÷ latency is used."""

from __future__ import annotations

from statistics import median

from exports import export
from measure import Bars, Budget, Found, Row, alternately
from ours import home, imports
from parts.single import wrk
from place import cores
from servers import slow

TARGET = 0.95
NEAR_WRK = 0.03
POINTS = tuple((ms, connections) for ms in (20, 50) for connections in (16, 64, 256))


def measure(budget: Budget) -> Found:
    """Each point: ours and wrk in turn."""
    found, shares = Found(), {}
    for ms, connections in POINTS:
        print(f"  {ms} ms × {connections}", flush=True)
        with slow(ms, cores=cores()[-1:]) as url:
            row, share = _point(budget, url, ms, connections)
        found.rows.append(row)
        shares |= share
    return Found(found.rows, [Bars("Share of connections ÷ latency", "%", shares)])


def _point(budget: Budget, url: str, ms: int, connections: int) -> tuple[Row, dict[str, float]]:
    could = connections / ms * 1000
    seconds = budget.sizes.seconds
    # Twice as long as wrk: our clock also counts the first chunk of the file and the last answers.
    rows = round(could * 2 * seconds)
    figures, missing = alternately(
        budget.sizes.fewer,
        {
            "batchrunner": lambda: _ours(url, rows, connections, budget) / could,
            "wrk": lambda: wrk(url, seconds, budget.limit_s(60), connections) / could,
        },
    )
    what = f"{ms} ms × {connections} connections: share of connections ÷ latency"
    target = f"≥ {TARGET:.0%}, or within {NEAR_WRK * 100:.0f} points of wrk"
    name = f"{ms} ms × {connections}"
    if "batchrunner" not in figures:
        return Row("latency", what, "–", target=target, note=missing["batchrunner"]), {}
    mine, theirs = median(figures["batchrunner"]), median(figures.get("wrk", [float("inf")]))
    met = mine >= TARGET or mine >= theirs - NEAR_WRK
    shares = {f"{name}, batchrunner": mine * 100} | ({} if "wrk" in missing else {f"{name}, wrk": theirs * 100})
    if "wrk" in missing:
        return Row("latency", what, f"{mine:.1%}", target=target, met=mine >= TARGET, note=missing["wrk"]), shares
    return Row("latency", what, f"{mine:.1%}", f"{theirs:.1%}", f"{mine / theirs:.2f}", target, met), shares


def _ours(url: str, rows: int, connections: int, budget: Budget) -> float:
    with home() as folder:
        source = export(-(-rows // 50_000) * 50_000)
        return imports(folder, source, url, concurrency=connections, limit=rows, limit_s=budget.limit_s(120)).rows_s
