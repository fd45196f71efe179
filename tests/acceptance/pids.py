"""Processes of this machine, by what /proc says of them."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")

HAS_PROC = (PROC / "self/stat").exists()


def children(parent: int) -> list[int]:
    """The processes that one has started."""
    pids = [int(place.name) for place in PROC.iterdir() if place.name.isdecimal()]
    return [pid for pid in pids if (stat := status_of(pid)) and int(stat[1]) == parent]


def lives(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    stat = status_of(pid)
    return bool(stat) and stat[0] != "Z"


def status_of(pid: int) -> list[str]:
    """Its state, its parent and more; nothing when it is gone."""
    try:
        return (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
