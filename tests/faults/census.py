"""Every statement of the ledger, one after the other, for every command that writes to it: a process dies before each.

    python tests/faults/long_form.py --every-statement

The short form dies at some of them. Here each statement has a home of its own, made anew, so that none is passed over
because an earlier death has left less to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from modes import BATCHES, SINGLE, SPLIT, Mode
from ordeal import Counts, Ordeal, crowd

from batchrunner.sandbox import Handle

ROWS = 40


def nothing(_: Ordeal) -> None:
    """Before a first run."""


def refused(one: Ordeal) -> None:
    """A run whose rows were refused, which is over."""
    one.sandbox.change(fail=["435:100"])
    one.go_through()
    one.sandbox.change(fail=[])


def died(one: Ordeal) -> None:
    """A run that died with rows under way."""
    assert one.die_at("committed:2")


def gone_through(one: Ordeal) -> None:
    """A run that is over."""
    one.go_through()


def grown(one: Ordeal) -> None:
    """A run that is over, and a file that has more rows since."""
    one.go_through()
    one.give([*one.rows, *crowd(ROWS, f"{one.prefix}new")])


def again(one: Ordeal) -> None:
    """The command once more, and then a plain run: everybody once."""
    one.go_through()
    one.check()


def retried(one: Ordeal) -> None:
    """As often as it takes."""
    one.go_through("retry")
    one.go_through("retry")
    one.check()


def purged(one: Ordeal) -> None:
    """What was accepted is held back all the same."""
    assert one.go_through()["accepted"] == 0
    one.check_effects()


def decided(one: Ordeal) -> None:
    """Where nothing deduplicates, a person's decision may be a second message: only the files are asked."""
    one.go_through()
    one.check_files()


@dataclass(frozen=True)
class Scene:
    """A command, what was before it, and what must hold when it died."""

    name: str
    verb: str
    words: tuple[str, ...] = ()
    mode: Mode = SINGLE
    before: Callable[[Ordeal], None] = nothing
    after: Callable[[Ordeal], None] = again
    point: str = "before_statement"
    also: str = ""
    deduplicates: bool = True


SCENES = (
    Scene("run", "run"),
    Scene("run, holding", "run", deduplicates=False),
    Scene("run, after each", "run", point="after_statement"),
    Scene("run in batches", "run", mode=BATCHES),
    Scene("run in two steps", "run", mode=SPLIT),
    Scene("run after a death", "run", before=died),
    Scene("run of a file that has grown", "run", before=grown),
    Scene("retry", "retry", before=refused, after=retried),
    Scene("retry in batches", "retry", mode=BATCHES, before=refused, after=retried),
    Scene("resolve", "resolve", ("--run", "last", "--as", "resend"), before=died, after=decided, deduplicates=False),
    Scene("purge", "purge", ("--older-than", "1d"), before=gone_through, after=purged, also="clock_forward:1,"),
)


def every_statement(sandbox: Handle, say: Callable[[str], None], whole: Counts) -> None:
    """All scenes, each statement of each."""
    for scene in SCENES:
        deaths = sum(1 for _ in deaths_of(scene, sandbox, whole))
        say(f"{scene.name}: a death at each of {deaths} statements")


def deaths_of(scene: Scene, sandbox: Handle, whole: Counts, *, step: int = 1) -> Iterator[int]:
    """The statements at which the command died, until it comes to its end."""
    at = 1
    while one_death(scene, sandbox, at, whole):
        yield at
        at += step


def one_death(scene: Scene, sandbox: Handle, at: int, whole: Counts) -> bool:
    """A home of its own; whether the command came so far."""
    home = Path(mkdtemp(prefix="batchrunner-census-"))
    sandbox.reset()
    one = Ordeal(home / "home", sandbox, scene.mode, "c", deduplicates=scene.deduplicates, concurrency=2)
    rejected = 0 if scene.before is refused else 23
    one.give(crowd(ROWS, "c", rejected=rejected, poisoned=scene.mode.poisoned if rejected else 0))
    scene.before(one)
    came = one.die_at(f"{scene.also}{scene.point}:{at}", scene.verb, *scene.words)
    if came:
        scene.after(one)
    one.counts.replays = sandbox.stats()["replays"]
    whole.add(one.counts)
    shutil.rmtree(home)
    return came
