"""Ways of sending, as ordeals know them: one call a row, many rows a call, two calls a row, by processes of their own.

A new way of sending is one more line of `MODES`: what its job file says, and the points of a row's life that only it
has (`killing._points`). Every ordeal that takes a mode, and the long form, then go through it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mode:
    """One way of sending."""

    name: str
    target: Mapping[str, object] = field(default_factory=dict)
    """More keys of `[target]`."""
    tables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """More tables of the job file."""
    limits: Mapping[str, object] = field(default_factory=dict)
    """More keys of `[limits]`."""
    points: tuple[str, ...] = ()
    """Where a process can die, beyond the points that every way of sending has."""
    elsewhere: tuple[str, ...] = ()
    """Points that the run's own process does not come by."""
    by_profile: bool = False
    """Who is engaged is named by a profile id."""
    poisoned: int = 0
    """Every so manieth row makes the platform refuse all that go with it."""


SINGLE = Mode("single")

BATCHES = Mode(
    "batches",
    target={"endpoint": "workflows/import_and_start_batch"},
    tables={"batch": {"size": 6}},
    points=("shape_noted:1", "packed:1", "packed:3", "halved:1", "halved:3", "onward:1", "onward:3",
            "halves_claimed:1", "halves_claimed:3", "half_sent:1", "half_sent:4"),
    poisoned=29,
)  # fmt: skip

SPLIT = Mode("split", target={"mode": "split", "db_id": 3}, by_profile=True)
"""Its moments have tests of their own: `test_kill_split`."""

PROCESSES = Mode(
    "processes",
    limits={"processes": 3},
    points=("sender.sent:1", "sender.sent:9", "sender.answered:1", "sender.answered:9"),
    elsewhere=("sent", "answered"),
)
"""The run's own process dies, or one of those that send for it."""

MODES = (SINGLE, BATCHES, SPLIT, PROCESSES)
