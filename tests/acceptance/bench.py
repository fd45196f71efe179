"""A workbench for acceptance tests: job files, exports, and the real command line in a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warm import WarmProcess, can_start_warm, start_warm

from batchrunner.sandbox import DEFAULT_TOKEN, Handle

DEADLINE_S = 60.0
"""For anything awaited: generous, because nothing depends on how soon it comes."""

POLL_S = 0.01

ENDS = ("accepted", "rejected", "failed", "in_doubt", "unusable")

QUICK_LIMITS = {"concurrency": 16, "backoff": "5ms", "backoff_max": "20ms"}


# --- job files ---------------------------------------------------------------------------------


def toml(value: object) -> str:
    """A value as TOML writes it inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {toml(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def table(name: str, values: Mapping[str, object]) -> str:
    """One table of a TOML file."""
    return "\n".join([f"[{name}]", *(f"{key} = {toml(value)}" for key, value in values.items())]) + "\n"


# --- exports -----------------------------------------------------------------------------------


def people(count: int, start: int = 0) -> list[dict[str, str]]:
    """So many distinct people."""
    return [{"email": f"p{n}@example.com", "name": f"Name {n}"} for n in range(start, start + count)]


def named(*local_parts: str) -> list[dict[str, str]]:
    """People by the local parts of their addresses."""
    return [{"email": f"{part}@example.com", "name": f"Name of {n}"} for n, part in enumerate(local_parts)]


def rows_of(path: Path) -> list[dict[str, str]]:
    """The records of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """A CSV file with the columns of its first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


# --- the ledger --------------------------------------------------------------------------------


def integrity(ledger: Path, scratch: Path) -> str:
    """Of a copy: opening the ledger itself would tidy it up."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            shutil.copy(ledger.with_name(ledger.name + end), scratch)
    with closing(sqlite3.connect(scratch / ledger.name)) as connection:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    return str(answer)


# --- the command line --------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    def told(self) -> str:
        """Everything, for the message of a failing assertion."""
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass
class Started:
    """A command that is running."""

    process: subprocess.Popen[bytes] | WarmProcess
    out: Path
    err: Path

    def signal(self, number: int) -> None:
        """Send a signal to this very process."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """As the machine would: no warning."""
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stderr(self) -> str:
        """What it has said so far."""
        return self.err.read_text(encoding="utf-8")

    def end(self) -> Ended:
        """Wait for its end."""
        code = self.process.wait(DEADLINE_S)
        return Ended(code, self.out.read_text(encoding="utf-8"), self.stderr())


def _start_cold(
    arguments: Sequence[str], *, stdout: Path, stderr: Path, cwd: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with stdout.open("wb") as to_out, stderr.open("wb") as to_err:
        return subprocess.Popen(
            [sys.executable, "-m", "batchrunner", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
            cwd=cwd,
            env=env,
        )


@dataclass
class Bench:
    """A directory with a job, its exports and its memory, and a sandbox to send to."""

    home: Path
    sandbox: Handle
    token: str = DEFAULT_TOKEN
    environment: dict[str, str] = field(default_factory=dict)
    _started: list[Started] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """Where the program keeps its own files."""
        return self.home / "state" / "batchrunner"

    @property
    def ledger(self) -> Path:
        """The default ledger."""
        return self.state / "ledger.db"

    def job(
        self,
        file: str = "job.toml",
        *,
        name: str = "welcome",
        source: Mapping[str, object] | None = None,
        target: Mapping[str, object] | None = None,
        request: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        rules: Mapping[str, object] | None = None,
        limits: Mapping[str, object] | None = None,
    ) -> Path:
        """A job file: columns `email` and `name`, sent to the sandbox, unless told otherwise."""
        tables = [
            table("source", {"path": "people.csv", **(source or {})}),
            table("target", {"url": self.sandbox.url, "workflow_id": 12, **(target or {})}),
            table("request", {"matching": "email", "email": "{email}", **(request or {})}),
            table("request.data", {"email": "{email}", "_fname": "{name}"} if data is None else data),
            table("rules", rules or {}),
            table("limits", {**QUICK_LIMITS, **(limits or {})}),
        ]
        path = self.home / file
        path.write_text(f"name = {toml(name)}\n" + "\n".join(tables), encoding="utf-8")
        return path

    def csv(self, rows: Sequence[Mapping[str, str]], name: str = "people.csv") -> Path:
        """An export."""
        return write_rows(self.home / name, rows)

    def start(self, *arguments: object) -> Started:
        """Start a command and come back at once. It is ended with the test at the latest."""
        number = len(self._started)
        out, err = self.home / f"stdout-{number}", self.home / f"stderr-{number}"
        start = start_warm if can_start_warm(self.environment) else _start_cold
        process = start(
            list(map(str, arguments)), stdout=out, stderr=err, cwd=self.home, env=self.environment_of_commands()
        )
        started = Started(process, out, err)
        self._started.append(started)
        return started

    def cli(self, *arguments: object) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments).end()

    def run(self, *arguments: object, job: str = "job.toml") -> Ended:
        """`run` with a JSON summary whose rows are all accounted for."""
        return self._accounted(self.cli("run", job, *arguments, "--output", "json"))

    def retry(self, *arguments: object, job: str = "job.toml") -> Ended:
        """`retry` with a JSON summary whose rows are all accounted for."""
        return self._accounted(self.cli("retry", job, *arguments, "--output", "json"))

    def _accounted(self, ended: Ended) -> Ended:
        assert "read" in ended.json, ended.told()
        assert_accounted(ended.json)
        return ended

    def close(self) -> None:
        """End what a failed test has left running."""
        for started in self._started:
            if started.process.poll() is None:
                started.kill()

    def must_be_sound(self) -> None:
        """Whatever a test has done to a run, its ledger is what was written."""
        if self.ledger.exists():
            told = integrity(self.ledger, self.home / "looked-at")
            assert told == "ok", told

    def environment_of_commands(self) -> dict[str, str]:
        """What its commands find in their environment."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {
            **kept,
            "XDG_STATE_HOME": str(self.home / "state"),
            "ALTCRAFT_TOKEN": self.token,
            "COLUMNS": "110",
            **self.environment,
        }

    # --- what the other side saw -----------------------------------------------------------------

    def effects(self) -> Counter[str]:
        """How often each address was engaged."""
        return Counter(self.sandbox.engagement_counts())

    def request_ids(self) -> dict[str, list[str]]:
        """The Request-IDs that came for each address, in order of arrival."""
        found: dict[str, list[str]] = {}
        for request in self.sandbox.requests(limit=1_000):
            headers = {name.lower(): value for name, value in request["headers"].items()}
            found.setdefault(json.loads(request["body"])["email"], []).append(headers["request-id"])
        return found


# --- what must always hold ---------------------------------------------------------------------


def assert_accounted(summary: Mapping[str, Any]) -> None:
    """Rows read = accepted + rejected + failed + in doubt + unusable + skipped."""
    ended = sum(summary[name] for name in ENDS) + sum(summary["skipped"].values())
    assert summary["read"] == ended, summary


def counts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The outcomes that occurred, and why rows were held back, without the zeros."""
    found = {name: summary[name] for name in ENDS if summary[name]}
    return {**found, **({"skipped": summary["skipped"]} if summary["skipped"] else {})}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail with a sentence when it does not come true."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(POLL_S)


def result_rows(summary: Mapping[str, Any], kind: str) -> list[dict[str, str]]:
    """The records of one result file of a run."""
    return rows_of(Path(summary["run_dir"]) / f"{kind}.csv")


def once_each(rows: Iterable[Mapping[str, str]]) -> Counter[str]:
    """What the other side must have seen when every row had its effect exactly once."""
    return Counter({row["email"]: 1 for row in rows})


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Signals that ask for a stop, and how the program then ends."""
