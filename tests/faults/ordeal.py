"""An ordeal: one job, one ledger, one sandbox; the command line killed again and again, and what must hold after it.

    effects     everybody who can be engaged is engaged exactly once (deduplication on), or at most once, and who is
                missing is listed in doubt (off, `hold`)
    ledger      sound after every kill (`PRAGMA integrity_check`), and it agrees with the result files
    files       of every run, however it died: each row that the ledger calls settled stands there once, and whole

The short form of `make faults` uses it from tests, the long form (`long_form.py`) until it is told to stop.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import QUICK_LIMITS, integrity, table, toml
from modes import SINGLE, Mode
from warm import WarmProcess, start_warm

from batchrunner.model import State
from batchrunner.sandbox import Handle

JOB = "welcome"
DEADLINE_S = 120.0
KILLING = Path(__file__).with_name("killing.py")

KINDS = ("success", "error", "in_doubt")
STATES = {"accepted": 1, "rejected": 2, "failed": 3, "in_doubt": 4}


@dataclass
class Counts:
    """What an ordeal adds up to."""

    kills: int = 0
    rows: int = 0
    effects: int = 0
    replays: int = 0
    doubts: int = 0
    lost: int = 0
    twice: int = 0
    by_point: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Another ordeal has ended."""
        for name in ("kills", "rows", "effects", "replays", "doubts", "lost", "twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_point.update(other.by_point)

    def __str__(self) -> str:
        return (
            f"kills {self.kills:,}  rows {self.rows:,}  effects {self.effects:,}  replays {self.replays:,}  "
            f"left in doubt {self.doubts:,}  lost {self.lost}  twice {self.twice}"
        )


TOTAL = Counts()
"""Of this process: printed at the end of a session."""


def crowd(
    count: int, prefix: str, *, rejected: int = 23, unusable: int = 17, poisoned: int = 0
) -> list[dict[str, str]]:
    """So many rows about so many people: every 17th without an address, every 23rd refused by the API."""
    rows = []
    for number in range(1, count + 1):
        refused = "+fail-435" if rejected and number % rejected == 0 else ""
        refused = "+poison-400" if poisoned and number % poisoned == 0 else refused
        address = f"{prefix}{number}{refused}@example.com"
        rows.append({"email": "" if unusable and number % unusable == 0 else address, "name": f'Name "{number}"\nx'})
    return rows


def can_be_engaged(row: dict[str, str]) -> bool:
    """Whether nothing is wrong with it."""
    return bool(row["email"]) and "+" not in row["email"]


@dataclass
class Child:
    """A command that runs, or has run."""

    process: WarmProcess
    out: Path
    err: Path

    @property
    def code(self) -> int | None:
        """None while it runs; negative when a signal has ended it."""
        return self.process.returncode

    def kill(self) -> None:
        """As the machine would."""
        self.process.kill()
        self.wait()

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        return self.process.poll()

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(DEADLINE_S)

    def told(self) -> str:
        """Everything it said."""
        return f"exit {self.code}\n--- stdout\n{self.out.read_text()}\n--- stderr\n{self.err.read_text()}"


@dataclass
class Ordeal:
    """One home with a job in it, and the platform it sends to."""

    home: Path
    sandbox: Handle
    mode: Mode = SINGLE
    prefix: str = "p"
    deduplicates: bool = True
    concurrency: int = 8
    counts: Counts = field(default_factory=Counts)
    rows: list[dict[str, str]] = field(default_factory=list)
    place: Path | None = None
    """Where ledger and run directories are, if not at home."""
    _number: int = 0

    @property
    def ledger(self) -> Path:
        """Of all runs here."""
        return (self.place or self.home) / "ledger.db"

    def give(self, rows: list[dict[str, str]]) -> None:
        """Write the job and its export."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.rows = rows
        with (self.home / "people.csv").open("w", encoding="utf-8", newline="") as file:
            written = csv.DictWriter(file, ["email", "name"])
            written.writeheader()
            written.writerows(rows)
        target = {"url": self.sandbox.url, "workflow_id": 12, "deduplicates": self.deduplicates}
        rules: dict[str, object] = {} if self.deduplicates else {"in_doubt": "hold"}
        tables = [
            table("source", {"path": "people.csv"}),
            table("target", {**target, **self.mode.target}),
            table("request", {"matching": "email", "email": "{email}"}),
            table("request.data", {"email": "{email}", "_fname": "{name}"}),
            table("rules", rules),
            table("limits", {**QUICK_LIMITS, "concurrency": self.concurrency, **self.mode.limits}),
            *(table(name, values) for name, values in self.mode.tables.items()),
        ]
        (self.home / "job.toml").write_text(f"name = {toml(JOB)}\n" + "\n".join(tables), encoding="utf-8")
        self.counts.rows += len(rows)

    # --- commands ------------------------------------------------------------------------------------

    def start(self, verb: str, *arguments: object, point: str | None = None) -> Child:
        """Start a command on the job."""
        self._number += 1
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        env = {**kept, "XDG_STATE_HOME": str((self.place or self.home) / "state"), "ALTCRAFT_TOKEN": self.sandbox.token}
        words = [*verb.split(), *map(str, arguments), "--ledger", str(self.ledger)]
        if words[0] != "ledger":
            words.insert(1, "job.toml")
        out, err = (self.home / f"child-{self._number}.{end}" for end in ("out", "err"))
        if "processes" in self.mode.limits:  # what they load takes most of a second, and is loaded here already
            point = ",".join(filter(None, ("sender.forked", point)))
        spoilt = (KILLING, point) if point else None
        return Child(start_warm(words, stdout=out, stderr=err, cwd=self.home, env=env, spoilt=spoilt), out, err)

    def die_at(
        self, point: str, verb: str = "run", *arguments: object, ends: Collection[int] = frozenset({0, 1, 5})
    ) -> bool:
        """Whether the command died there; otherwise it went through without coming by.

        Where a process that sends for it died, the command says so and is in order.
        """
        child = self.start(verb, *arguments, point=point)
        code = child.wait()
        if "sender." in point and code == 4:
            assert "a process that sends died" in child.told()
            self.killed(point)
            return True
        assert code == -9 or code in ends, child.told()
        if code == -9:
            self.killed(point.rpartition(",")[2].partition(":")[0])
        return code == -9

    def killed(self, point: str) -> None:
        """Note a kill, and look at the ledger as it was left."""
        self.counts.kills += 1
        self.counts.by_point[point] += 1
        assert self.integrity() == "ok"

    def integrity(self) -> str:
        """Of the ledger as it stands."""
        return integrity(self.ledger, self.home / "copy") if self.ledger.exists() else "ok"

    def go_through(self, verb: str = "run", *arguments: object) -> dict[str, Any]:
        """A plain run that nobody disturbs: its summary."""
        child = self.start(verb, *arguments, "--output", "json")
        code = child.wait()
        assert code in {0, 1, 5}, child.told()
        summary: dict[str, Any] = json.loads(child.out.read_text())
        ended = sum(summary[name] for name in (*STATES, "unusable")) + sum(summary["skipped"].values())
        assert summary["read"] == ended, child.told()
        return summary

    def say(self, verb: str, *arguments: object) -> str:
        """What a command says to people."""
        child = self.start(verb, *arguments)
        child.wait()
        return child.told()

    # --- what must hold ------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything, after a plain run has gone through."""
        self.check_effects()
        self.check_files()

    def check_effects(self) -> None:
        """Nothing twice, nothing lost."""
        seen = {address: times for address, times in self.engaged().items() if address.startswith(self.prefix)}
        wanted = {row["email"] for row in self.rows if can_be_engaged(row)}
        missing = wanted - seen.keys()
        doubtful = self.in_doubt()
        self.counts.effects += sum(seen.values())
        self.counts.twice += sum(times - 1 for times in seen.values())
        self.counts.lost += len(missing - doubtful)
        self.counts.doubts += len(doubtful)
        assert not [address for address, times in seen.items() if times > 1]
        assert not missing - doubtful
        assert seen.keys() <= wanted
        if self.deduplicates:
            assert not doubtful

    def engaged(self) -> dict[str, int]:
        """How often each address was engaged."""
        if not self.mode.by_profile:
            return self.sandbox.engagement_counts()
        addresses = {one["id"]: str(one["data"].get("email")) for one in self.sandbox.profiles(limit=1_000_000)}
        return Counter(addresses[one["profile_id"]] for one in self.sandbox.engagements(limit=1_000_000))

    def in_doubt(self) -> set[str]:
        """The addresses of rows that wait for a person, by what the ledger says of their numbers."""
        query = "SELECT row_number FROM entries WHERE state IN (0, 4) AND superseded_by IS NULL"
        with closing(sqlite3.connect(self.ledger)) as connection:
            numbers = [number for (number,) in connection.execute(query)]
        return {self.rows[number - 1]["email"] for number in numbers}

    def check_files(self) -> None:
        """Of every run that the ledger knows."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            runs = connection.execute("SELECT id, run_dir, totals, ended_ms FROM runs ORDER BY id").fetchall()
            for run, run_dir, totals, ended in runs:
                assert ended is not None
                query = "SELECT row_number, state FROM entries WHERE run_id = ?"
                settled = dict(connection.execute(query, (run,)).fetchall())
                self._check_directory(Path(run_dir), settled, json.loads(totals))

    def _check_directory(self, directory: Path, settled: dict[int, int], totals: dict[str, Any]) -> None:
        told: dict[int, str] = {}
        there = list(directory.glob("*.csv"))
        assert there or not settled  # a retry that had nothing to read has no files
        for kind in KINDS if there else ():
            for number, outcome in self._whole_rows(directory / f"{kind}.csv"):
                assert number not in told, f"row {number} stands twice in {directory}"
                told[number] = outcome
        unusable = {number for number, outcome in told.items() if outcome == "unusable"}
        assert len(unusable) == totals.get("unusable", 0), directory
        assert told.keys() - unusable == settled.keys(), directory
        assert json.loads((directory / "summary.json").read_text())["read"] == totals.get("read", 0)
        for number, state in settled.items():
            decided = state == State.RESEND or (told[number] == "in_doubt")  # a person may have spoken since
            assert decided or STATES[told[number]] == state, (directory, number, told[number], state)

    def _whole_rows(self, path: Path) -> list[tuple[int, str]]:
        raw = path.read_bytes()
        assert raw.endswith(b"\r\n"), path
        rows = list(csv.DictReader(raw.decode().splitlines(keepends=True), strict=True))
        found = []
        for row in rows:
            given = self.rows[int(row["_row"]) - 1]
            assert (row["email"], row["name"]) == (given["email"], given["name"]), path
            found.append((int(row["_row"]), row["_outcome"]))
        return found


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that comes; fail with a sentence when it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.002)


def add_up(parts: Sequence[Counts]) -> Counts:
    """The sum."""
    whole = Counts()
    for part in parts:
        whole.add(part)
    return whole
