"""The long form of `make faults`: one ordeal after the other until it is told to stop (Ctrl-C), counting.

    python tests/faults/long_form.py [--for SECONDS] [--rows N] [--kills N] [--seed TEXT] [--every-statement]

Each ordeal is an export of its own that is killed some times, at points of a row's life, at statements of the ledger,
or from outside at any moment, and then completed by plain runs and checked whole (`ordeal`). Every other one goes to a
platform that does not deduplicate; they take turns in the ways of sending (`modes`). It ends at the first thing that
does not hold, and keeps what led there.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import mkdtemp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "acceptance"))

from census import every_statement
from modes import MODES, SINGLE
from ordeal import Counts, Ordeal, crowd, until

from batchrunner.sandbox import Handle, Settings, running

POINTS = (
    "begun", "read", "judged", "claimed", "sent", "answered", "collected", "committed", "unusable_committed",
    "half_a_line", "written", "run_over", "run_ended", "before_summary", "half_a_summary", "buried", "mended",
    "half_mended", "mended_summary", "before_statement", "after_statement",
)  # fmt: skip

SELDOM = {"begun", "read", "judged", "run_over", "run_ended", "before_summary", "half_a_summary", "buried", "mended",
          "shape_noted"}  # fmt: skip
"""Reached once a run, so that a number above one would kill nobody."""

TELL_EVERY_S = 30.0


def main() -> None:
    """Until told to stop."""
    words = argparse.ArgumentParser(description="Kill the command line again and again, and count.")
    words.add_argument("--for", dest="seconds", type=float, default=float("inf"))
    words.add_argument("--rows", type=int, default=2_000, help="of one ordeal")
    words.add_argument("--kills", type=int, default=4, help="of one ordeal")
    words.add_argument("--seed", default=f"{time.time():.0f}")
    words.add_argument("--every-statement", action="store_true", help="first a death at each statement of the ledger")
    asked = words.parse_args()
    say(f"seed {asked.seed}")
    whole, began = Counts(), time.monotonic()
    random = Random(asked.seed)
    try:
        with running(Settings(latency_s=0.002, jitter_s=0.006)) as sandbox:
            if asked.every_statement:
                every_statement(sandbox, say, whole)
            ordeals = Ordeals(sandbox, random, whole, began)
            ordeals.go_on(asked)
    except KeyboardInterrupt:
        say("told to stop")
    finally:
        tell(whole, began)
        say(", ".join(f"{name} {count}" for name, count in sorted(whole.by_point.items())))


@dataclass
class Ordeals:
    """All of them."""

    sandbox: Handle
    random: Random
    whole: Counts
    began: float

    def go_on(self, asked: argparse.Namespace) -> None:
        """One after the other."""
        told, number = self.began, 0
        while time.monotonic() - self.began < asked.seconds:
            number += 1
            self.one(number, asked.rows, asked.kills)
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                tell(self.whole, self.began)

    def one(self, number: int, rows: int, kills: int) -> None:
        """An export of its own."""
        home = Path(mkdtemp(prefix="batchrunner-ordeal-"))
        self.sandbox.reset()
        mode, prefix, deduplicates = MODES[number // 2 % len(MODES)], f"o{number}-", number % 2 == 0
        concurrency = 32 if mode is SINGLE else 4
        one = Ordeal(home / "home", self.sandbox, mode, prefix, deduplicates=deduplicates, concurrency=concurrency)
        one.give(crowd(rows, prefix, poisoned=mode.poisoned))
        try:
            suffer(one, self.random, kills)
            one.check()
        except AssertionError:
            say(f"ordeal {number} does not hold; what it left is in {home}")
            raise
        finally:
            one.counts.replays = self.sandbox.stats()["replays"]
            self.whole.add(one.counts)
        shutil.rmtree(home)


def suffer(one: Ordeal, random: Random, kills: int) -> None:
    """Some kills, and the plain run that completes it."""
    for _ in range(kills):
        if random.random() < 0.4:
            kill_from_outside(one, random)
        else:
            name = random.choice((*POINTS, *one.mode.points)).partition(":")[0]
            one.die_at(f"{name}:{1 if name in SELDOM else random.randint(1, 24)}")
    one.go_through("run")


def kill_from_outside(one: Ordeal, random: Random) -> None:
    """At a moment that nobody has chosen: when so many more have had their effect."""
    wanted = one.sandbox.stats()["effects"] + random.randint(1, max(2, len(one.rows) // 3))
    child = one.start("run")
    until(lambda: child.poll() is not None or one.sandbox.stats()["effects"] >= wanted, "it had gone far enough")
    if child.poll() is None:
        child.kill()
        if child.code == -9:
            one.killed("outside")


def tell(whole: Counts, began: float) -> None:
    """Where it stands."""
    say(f"{time.monotonic() - began:8.0f} s  {whole}")


def say(text: str) -> None:
    """On stdout, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
