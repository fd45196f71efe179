"""Servers that take 20 or 50 ms: how much of connections ÷ latency is used."""

from __future__ import annotations

from collections.abc import Mapping
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
            rows, share = _point(budget, url, ms, connections)
        found.rows += rows
        shares |= share
    return Found(found.rows, [Bars("Share of connections ÷ latency", "%", shares)])


OURS, TWO, WRK = "batchrunner", "batchrunner, two processes", "wrk"


def _point(budget: Budget, url: str, ms: int, connections: int) -> tuple[list[Row], dict[str, float]]:
    could = connections / ms * 1000
    seconds = budget.sizes.seconds
    # Twice as long as wrk: our clock also counts the first chunk of the file and the last answers.
    rows = round(could * 2 * seconds)
    figures, missing = alternately(
        budget.sizes.fewer,
        {
            OURS: lambda: _ours(url, rows, connections, budget) / could,
            WRK: lambda: wrk(url, seconds, budget.limit_s(60), connections) / could,
        },
    )
    once, failed = alternately(1, {TWO: lambda: _ours(url, rows, connections, budget, processes=2) / could})
    figures, missing = figures | once, missing | failed
    called = f"{ms} ms × {connections} connections"
    told = [
        _row(f"{called}: share of connections ÷ latency", OURS, figures, missing),
        _row("… `--processes 2`", TWO, figures, missing),
    ]
    return told, {f"{ms} ms × {connections}, {one}": median(found) * 100 for one, found in figures.items()}


def _row(what: str, one: str, figures: Mapping[str, list[float]], missing: Mapping[str, str]) -> Row:
    target = f"≥ {TARGET:.0%}, or within {NEAR_WRK * 100:.0f} points of wrk"
    if one not in figures:
        return Row("latency", what, "–", target=target, note=missing[one])
    mine = median(figures[one])
    if WRK not in figures:
        return Row("latency", what, f"{mine:.1%}", target=target, met=mine >= TARGET, note=missing[WRK])
    theirs = median(figures[WRK])
    met = mine >= TARGET or mine >= theirs - NEAR_WRK
    return Row("latency", what, f"{mine:.1%}", f"{theirs:.1%}", f"{mine / theirs:.2f}", target, met)


def _ours(url: str, rows: int, connections: int, budget: Budget, processes: int = 1) -> float:
    with home() as folder:
        source, limit_s = export(-(-rows // 50_000) * 50_000), budget.limit_s(120)
        run = imports(folder, source, url, concurrency=connections, limit=rows, limit_s=limit_s, processes=processes)
        return run.rows_s
