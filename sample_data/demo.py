"""The demonstration: the sample export is sent to a stand-in for the platform, twice.

Usage: python sample_data/demo.py [DIRECTORY]

Exits with 1 and a sentence if anybody was engaged twice, or anything else is not as promised.
"""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from batchrunner.cli.exits import Exit
from batchrunner.sandbox import Handle, Settings, running

ROOT = Path(__file__).resolve().parents[1]
JOB = "sample_data/crm-contacts.toml"
SLOWLY = Settings(latency_s=0.02, jitter_s=0.02)
"""About as slow as a platform nearby: time to see the bar."""


class BrokenPromiseError(Exception):
    """What was seen is not what batchrunner promises."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the platform has seen so far."""

    requests: int
    engagements: int
    most_for_one: int


def main(folder: Path) -> None:
    """Run twice, and compare what the platform saw. Raises BrokenPromiseError."""
    clear(folder)
    with running(SLOWLY) as sandbox:
        say(f"A stand-in for the platform listens on {sandbox.url}.")

        heading("1. Send an export that has the faults real ones have (sample_data/README.md lists them)")
        batchrunner(sandbox, folder, "first", expect=Exit.IN_DOUBT)
        before = look(sandbox)
        result_files(folder / "first")

        heading("2. Run the same command again: only the row in doubt is asked for again, under its Request-ID")
        batchrunner(sandbox, folder, "second", expect=Exit.SOME_BAD)
        after = look(sandbox)

        heading("3. Ask the platform whom it engaged")
        compare(before, after)


# --- deeds -------------------------------------------------------------------------------------


def clear(folder: Path) -> None:
    """Nothing is left of an earlier demonstration."""
    for name in ("first", "second"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("ledger.db*"):
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def batchrunner(sandbox: Handle, folder: Path, name: str, *, expect: Exit) -> None:
    """Show the command, and run it with its bar and summary on this terminal."""
    where = ["--ledger", shown(folder / "ledger.db"), "--run-dir", shown(folder / name)]
    command = ["run", JOB, "--url", sandbox.url, *where]
    say(f"$ {shlex.join(['batchrunner', *command])}")
    code = subprocess.run(
        [sys.executable, "-m", "batchrunner", *command], cwd=ROOT, env=environment(sandbox), check=False
    ).returncode
    say(f"  exit code     {code}: {Exit(code).meaning}" if code in list(Exit) else f"  exit code     {code}")
    if code != expect:
        raise BrokenPromiseError(f"batchrunner ended with exit code {code}, not {expect.value}")


def environment(sandbox: Handle) -> dict[str, str]:
    """This one with the token in it, and without proxies: the stand-in is on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "ALTCRAFT_TOKEN": sandbox.token}


def look(sandbox: Handle) -> Seen:
    """Ask the stand-in. One address in two spellings is one person."""
    people: Counter[str] = Counter()
    for address, times in sandbox.engagement_counts().items():
        people[address.casefold()] += times
    return Seen(sandbox.stats()["requests"], people.total(), max(people.values(), default=0))


def compare(before: Seen, after: Seen) -> None:
    """Say what was seen, and hold it against the promise."""
    say(f"  requests:    {before.requests} before, {after.requests} after")
    counted = f"{before.engagements} before, {after.engagements} after"
    say(f"  engagements: {counted}; most for one person: {after.most_for_one}")
    if after.engagements != before.engagements:
        raise BrokenPromiseError(f"the second run engaged {after.engagements - before.engagements} people again")
    if after.most_for_one != 1:
        raise BrokenPromiseError(f"somebody was engaged {after.most_for_one} times")
    say("\nEvery row is accounted for, and nobody got a message twice.")


# --- words -------------------------------------------------------------------------------------


def result_files(folder: Path) -> None:
    """Where the result files are, and how many rows they have."""
    say("")
    for path in sorted(folder.iterdir()):
        say(f"  {shown(path):<36}{rows_in(path)}".rstrip())


def rows_in(path: Path) -> str:
    """How many rows a result file holds."""
    if path.suffix != ".csv":
        return ""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return f"{sum(1 for _ in csv.reader(file)) - 1:>6} rows"


def shown(path: Path) -> str:
    """A path as one would type it here."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def heading(text: str) -> None:
    """A line with air around it."""
    say(f"\n{text}\n")


def say(text: str) -> None:
    """A line that stands before whatever a command says next."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build" / "demo")
    except BrokenPromiseError as error:
        sys.exit(f"\ndemo: the promise does not hold: {error}")
    except KeyboardInterrupt:
        sys.exit(Exit.SIGINT)
