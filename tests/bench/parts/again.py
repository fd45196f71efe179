"""A file whose rows are all accepted is run again: everything is read, known and held back."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from exports import export, job
from measure import Budget, Found, Row, alternately, count, ratios, reported
from ours import home, imports
from parts.single import ours as single_calls
from place import PYTHON, cores
from processes import NotMeasured, run
from seeding import accept_all
from servers import nginx

OF_READER, TIMES_SINGLE = 0.15, 10.0

_READER = """
import csv, json, time
began, rows = time.perf_counter(), 0
with open({path!r}, encoding="utf-8", newline="") as file:
    for record in csv.reader(file):
        rows += 1
print(json.dumps({{"rows": rows, "seconds": time.perf_counter() - began}}))
"""


def measure(budget: Budget) -> Found:
    """Ours, `csv.reader` alone on the same file, and our own single calls."""
    source = export(budget.sizes.again)
    with nginx(cores()[-1:]) as url, home() as folder:
        print(f"  filling a ledger with {budget.sizes.again:,} accepted rows", flush=True)
        accept_all(job(folder, source, url), folder / "ledger.db")
        figures, missing = alternately(
            budget.sizes.pairs,
            {
                "re-run": lambda: _again(folder, source, url, budget),
                "csv.reader": lambda: reader(source, budget),
                "single calls": lambda: single_calls(url, budget),
            },
        )
    if "re-run" not in figures:
        raise NotMeasured(missing["re-run"])
    return Found([_of_reader(figures, missing), _of_single(figures, missing)])


def reader(source: Path, budget: Budget) -> float:
    """Rows a second of the standard library's reader, doing nothing with them."""
    return reported(run([PYTHON, "-c", _READER.format(path=str(source))], limit_s=budget.limit_s(120)).out)


def _again(folder: Path, source: Path, url: str, budget: Budget) -> float:
    ledger = folder / "ledger.db"
    # The whole process: its start, and reading the file once more for its fingerprint, are part of it.
    return imports(folder, source, url, ledger=ledger, limit_s=budget.limit_s(180), expect="skipped").whole_rows_s


def _of_reader(figures: dict[str, list[float]], missing: dict[str, str]) -> Row:
    what, target = "re-run of accepted rows: rows/s against `csv.reader` alone", f"≥ {OF_READER:.0%}"
    mine = count(median(figures["re-run"]))
    if "csv.reader" not in figures:
        return Row("again", what, mine, target=target, note=missing["csv.reader"])
    share = ratios(figures, "re-run", "csv.reader")
    return Row("again", what, mine, count(median(figures["csv.reader"])), f"{share:.1%}", target, share >= OF_READER)


def _of_single(figures: dict[str, list[float]], missing: dict[str, str]) -> Row:
    what, target = "… against our single calls", f"≥ {TIMES_SINGLE:g}×"
    mine = count(median(figures["re-run"]))
    if "single calls" not in figures:
        return Row("again", what, mine, target=target, note=missing["single calls"])
    times = ratios(figures, "re-run", "single calls")
    theirs = count(median(figures["single calls"]))
    return Row("again", what, mine, theirs, f"{times:.1f}×", target, times >= TIMES_SINGLE)
