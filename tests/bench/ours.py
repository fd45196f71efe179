"""Our own runs, through the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exports import job
from place import BATCHRUNNER
from processes import Done, NotMeasured, run


@dataclass(frozen=True)
class Run:
    """What a run did and cost."""

    summary: dict[str, Any]
    done: Done

    @property
    def rows(self) -> int:
        """Rows read."""
        read: int = self.summary["read"]
        return read

    @property
    def rows_s(self) -> float:
        """Rows a second by the run's own clock: from the first row read to the last outcome told."""
        return self.rows / float(self.summary["duration_s"])

    @property
    def whole_rows_s(self) -> float:
        """Rows a second of the whole process: start, fingerprint, end."""
        return self.rows / self.done.wall_s

    @property
    def stages(self) -> dict[str, float]:
        """CPU microseconds a row by stage, as `--profile` tells them: without the start of the process."""
        stages: dict[str, float] = self.summary["profile"]["stages"]
        return stages

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a row, all stages together."""
        return sum(self.stages.values())


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A new folder for a job, its ledger and its results. Gone with the block."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["BENCH_SCRATCH"]))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def batchrunner(folder: Path, *arguments: object, limit_s: float, stop_after_s: float | None = None) -> Done:
    """Any command, with a state of its own."""
    env = {"XDG_STATE_HOME": str(folder / "state"), "ALTCRAFT_TOKEN": "bench"}
    may_fail = stop_after_s is not None  # it says by its exit code that it was stopped
    command = [BATCHRUNNER, *arguments]
    return run(command, limit_s=limit_s, cwd=folder, env=env, may_fail=may_fail, stop_after_s=stop_after_s)


def timed(folder: Path, source: Path, url: str, concurrency: object, seconds: float, limit_s: float) -> Run:
    """Import as much of an export as the time allows."""
    path = job(folder, source, url, concurrency, "concurrency_max = 256")
    done = batchrunner(folder, "run", path, "--output", "json", limit_s=limit_s, stop_after_s=seconds)
    return Run(json.loads(done.out), done)


def imports(
    folder: Path,
    source: Path,
    url: str,
    *,
    concurrency: object = 64,
    limit: int | None = None,
    ledger: Path | None = None,
    name: str = "bench",
    limit_s: float = 300,
    profile: bool = False,
    expect: str = "accepted",
    batches: bool = False,
    processes: int = 1,
) -> Run:
    """Import an export. Raises NotMeasured unless every row ended as expected."""
    path = job(folder, source, url, concurrency, name=name, batches=batches)
    extra = [*(["--limit", limit] if limit else []), *(["--profile"] if profile else [])]
    extra += ["--ledger", ledger] if ledger else []
    extra += ["--processes", processes] if processes > 1 else []
    done = batchrunner(folder, "run", path, "--output", "json", *extra, limit_s=limit_s)
    summary = json.loads(done.out)
    ended = summary["skipped"].get("accepted", 0) if expect == "skipped" else summary[expect]
    if ended != summary["read"] or not summary["balanced"]:
        raise NotMeasured(f"of {summary['read']} rows only {ended} ended as {expect}")
    return Run(summary, done)
