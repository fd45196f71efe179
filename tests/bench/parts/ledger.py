"""Large ledgers: bytes a row, what the gate and a commit cost there, and what that does to a run."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from exports import export
from measure import Budget, Found, Row, alternately, ratios
from ours import home, imports
from place import cores
from processes import NotMeasured
from seeding import NOW_MS, random_rows
from servers import nginx

from batchrunner.ledger import SqlLedger
from batchrunner.model import Accepted, Claim, Key, Request, RequestId, RunId, Settled, Source, Totals
from batchrunner.model import Row as SourceRow

MOST_BYTES = 110
GATE_TIMES, EXCHANGE_TIMES, SLOWER = 2.0, 3.0, 0.10

QUESTION = 1_000
"""Keys the gate asks for at once, half of them known: as a run does."""
QUESTIONS = 30
COMMIT = 64
"""Rows that one commit settles and claims: as a run with 64 connections does."""
COMMITS = 400

SEED_US = 40
"""A row takes about so long to seed; only to tell whether the largest ledger fits into the time that is left."""


@dataclass(frozen=True)
class Cost:
    """Of a ledger of one size."""

    bytes_a_row: float
    gate_us: float
    """CPU and waiting, a key."""
    exchange_us: float
    """CPU and waiting, a row claimed and settled."""


def measure(budget: Budget) -> Found:
    """One ledger that grows, looked at on the way; at its largest, runs with it and with an empty one."""
    costs: dict[int, Cost] = {}
    found, note = Found(), ""
    with home() as folder:
        path = folder / "ledger.db"
        held = 0
        for rows in budget.sizes.ledger:
            try:
                budget.need((rows - held) * SEED_US / 1e6 + 30, f"a ledger of {rows:,} rows")
                with SqlLedger(path) as ledger:
                    random_rows(ledger, rows - held, f"seed-{rows}")
                    costs[rows] = _cost(ledger, path, rows)
                held = rows + COMMIT * COMMITS
                one = costs[rows]
                shown = (
                    f"{one.bytes_a_row:.1f} bytes, gate {one.gate_us:.2f} µs, claim and settle {one.exchange_us:.1f} µs"
                )
                print(f"    {rows:,} rows: {shown}", flush=True)
            except NotMeasured as error:
                note = str(error)
                print(f"    {rows:,} rows: not measured: {error}", flush=True)
        if not costs:
            raise NotMeasured(note)
        found.rows += _rows(costs, note)
        found.rows.append(_run_with(path, max(costs), budget))
    cells = [[f"{n:,}", f"{c.bytes_a_row:.0f}", f"{c.gate_us:.2f}", f"{c.exchange_us:.1f}"] for n, c in costs.items()]
    head = ["rows", "bytes a row", "gate, µs a key", f"claim and settle, µs a row ({COMMIT} a commit)"]
    found.tables.append(("Large ledgers", head, cells))
    return found


def _cost(ledger: SqlLedger, path: Path, rows: int) -> Cost:
    ledger.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size / rows
    run = ledger.begin_run(
        job="cost", name=os.urandom(6).hex(), verb="run", now_ms=NOW_MS,
        read=[Source("/cost", os.urandom(16).hex(), 0)], mapping="cost", run_dir="/nowhere",
    )  # fmt: skip
    gate_us = _gate_us(ledger, rows)
    return Cost(size, gate_us, _exchange_us(ledger, run))


def _gate_us(ledger: SqlLedger, rows: int) -> float:
    sample = ledger.connection.exec_driver_sql(
        "SELECT key FROM entries WHERE run_id = (SELECT max(run_id) FROM entries) AND row_number IN "
        f"({','.join(str(random.randrange(1, rows)) for _ in range(QUESTION * QUESTIONS // 2))})"
    )
    known = [Key(key) for (key,) in sample]
    per_question = max(1, len(known) // QUESTIONS)
    questions = [
        [*known[at : at + per_question], *(Key(os.urandom(16)) for _ in range(QUESTION - per_question))]
        for at in range(0, per_question * QUESTIONS, per_question)
    ]
    return _median_us([lambda asked=asked: ledger.standing(asked) for asked in questions], QUESTION)  # type: ignore[misc]


def _exchange_us(ledger: SqlLedger, run: RunId) -> float:
    batches = [_claims(number * COMMIT) for number in range(COMMITS + 1)]
    settled: list[Settled] = []
    steps: list[Callable[[], object]] = []
    for batch in batches:
        steps.append(lambda ends=settled, claims=batch: ledger.exchange(run, ends, claims, Totals()))  # type: ignore[misc]
        settled = [Settled(claim, Accepted("5f4b7c8d9e0a1b2c3d4e5f60"), 1, 1) for claim in batch]
    found = _mean_us(steps[1:], COMMIT)
    ledger.exchange(run, settled, [], Totals())
    ledger.end_run(run, totals=Totals(), ending="finished", exit_code=0, now_ms=NOW_MS)
    return found


def _claims(first: int) -> list[Claim]:
    return [
        Claim(1, Request(Key(os.urandom(16)), SourceRow(n, n + 1, ()), b"{}"), RequestId(_uuid()), NOW_MS)
        for n in range(first + 1, first + COMMIT + 1)
    ]


def _uuid() -> str:
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _median_us(steps: list[Callable[[], object]], each: int) -> float:
    return median(map(_seconds, steps)) / each * 1e6


def _mean_us(steps: list[Callable[[], object]], each: int) -> float:
    """The mean, for now and then a commit also checkpoints, which is part of the price."""
    return sum(map(_seconds, steps)) / len(steps) / each * 1e6


def _seconds(step: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    step()
    return time.perf_counter() - began_s


# --- rows of the table -------------------------------------------------------------------------------


def _rows(costs: dict[int, Cost], note: str) -> list[Row]:
    first = next(iter(costs))
    larger = [rows for rows in costs if rows != first] or [first]
    told = " / ".join(f"{rows:,}" for rows in larger)
    sizes = [costs[rows].bytes_a_row for rows in larger]
    gate = [costs[rows].gate_us / costs[first].gate_us for rows in larger]
    exchange = [costs[rows].exchange_us / costs[first].exchange_us for rows in larger]
    return [
        Row("ledger", f"ledger of {told} rows: bytes a row", " / ".join(f"{size:.0f}" for size in sizes),
            target=f"≤ {MOST_BYTES}", met=max(sizes) <= MOST_BYTES, note=note),
        Row("ledger", f"… gate, against {first:,} rows", " / ".join(f"{costs[n].gate_us:.1f} µs" for n in larger),
            f"{costs[first].gate_us:.1f} µs", " / ".join(f"{times:.1f}×" for times in gate), f"≤ {GATE_TIMES:g}×",
            max(gate) <= GATE_TIMES, note),
        Row("ledger", f"… claim and settle, against {first:,} rows",
            " / ".join(f"{costs[n].exchange_us:.0f} µs" for n in larger), f"{costs[first].exchange_us:.0f} µs",
            " / ".join(f"{times:.1f}×" for times in exchange), f"≤ {EXCHANGE_TIMES:g}×",
            max(exchange) <= EXCHANGE_TIMES, note),
    ]  # fmt: skip


def _run_with(full: Path, rows: int, budget: Budget) -> Row:
    """A run into the full ledger, and the same into an empty one, in turn."""
    number = iter(range(1_000))

    def once(ledger: Path | None) -> float:
        with home() as folder:
            name = f"bench-{next(number)}"  # another job: none of its rows is known
            return imports(
                folder, export(budget.sizes.rows), url, ledger=ledger, name=name, limit_s=budget.limit_s(180)
            ).rows_s

    what, target = f"a run into a ledger of {rows:,} rows, against an empty one", f"≤ {SLOWER:.0%} slower"
    with nginx(cores()[-1:]) as url:
        figures, missing = alternately(budget.sizes.fewer, {"full": lambda: once(full), "empty": lambda: once(None)})
    if missing:
        return Row("ledger", what, "–", target=target, note="; ".join(missing.values()))
    slower = 1 - ratios(figures, "full", "empty")
    mine, theirs = (f"{median(figures[name]):,.0f}" for name in ("full", "empty"))
    return Row("ledger", what, mine, theirs, f"{-slower:+.0%}", target, slower <= SLOWER)
