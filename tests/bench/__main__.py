"""`make bench`: everything that the table promises, measured on this machine against what people use.

    python tests/bench [--quick] [--only single,memory] [--budget SECONDS]

Results are written after each part, so that a run that is ended leaves what it has found. Whatever cannot be installed
or measured costs its own rows and nothing else. Only loopback addresses are used, on free ports, and everything that
is started is ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import reporting
import tools
from place import BUILD, ROOT

PARTS = {
    "startup": 60,
    "stages": 90,
    "single": 300,
    "latency": 300,
    "again": 240,
    "batch": 240,
    "auto": 240,
    "processes": 180,
    "ledger": 480,
    "growth": 1100,
}
"""Seconds that a part may take, in the order in which they are measured: what takes longest comes last."""

ALSO = {"memory": "growth", "rerun": "again", "peers": "single", "profile": "stages"}
"""Other names that a part may be asked for by."""

LEAST_S = 10
BUDGET_S = 1650
"""Under half an hour, with what is installed first. The largest file of `growth` takes what is left."""


def main() -> int:
    """Install, measure, write."""
    asked = _arguments()
    folder = BUILD / "quick" if asked.quick else ROOT / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with _scratch():
        wrong = tools.install()
        until_s = time.monotonic() + asked.budget
        results = reporting.Results(folder, quick=asked.quick)
        for name in asked.only:
            left_s = until_s - time.monotonic()
            print(f"\n{name} ({left_s:.0f} s left)", flush=True)
            told = _part(name, "quick" if asked.quick else "full", min(PARTS[name], left_s))
            if told["wrong"]:
                print(f"  not measured: {told['wrong']}", flush=True)
            results.add(name, told)
    print("\n" + results.as_text())
    for name, why in wrong.items():
        print(f"not installed: {name}: {why}")
    print(f"\nwritten to {results.page}")
    return 0


def _part(name: str, sizes: str, seconds: float) -> dict[str, object]:
    """Never raises for what a part does."""
    if seconds < LEAST_S:
        return {"found": None, "wrong": "the time for the whole bench was up"}
    result = Path(os.environ["BENCH_SCRATCH"]) / f"{name}.json"
    command = [sys.executable, str(Path(__file__).with_name("part.py")), name, sizes, str(seconds), str(result)]
    process = subprocess.Popen(command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end(process)
    except KeyboardInterrupt:
        _end(process)
        raise
    with contextlib.suppress(OSError, ValueError):
        told: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
        return told
    return {"found": None, "wrong": f"it ended with {process.returncode} and left no result"}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)  # it ends what it has started
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    """A folder for everything that is only of use while we run: on the disk of the project, not in memory."""
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=BUILD))
    os.environ["BENCH_SCRATCH"] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure batchrunner against what people use.")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that everything works")
    parser.add_argument("--only", default="", help=f"parts, with commas between them: {', '.join(PARTS)}")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds for everything")
    asked = parser.parse_args()
    names = [ALSO.get(name, name) for name in asked.only.split(",") if name]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join([*PARTS, *ALSO])}")
    asked.only = [name for name in PARTS if name in names or not names]
    return asked


if __name__ == "__main__":
    sys.exit(main())
