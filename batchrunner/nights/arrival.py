"""Which files have arrived: complete, and not loaded before. Decisions over what is seen, and the waiting for them.

seen -> complete (its marker is there, nobody has touched it for a while) -> new (the ledger does not know it)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from batchrunner.clock import Clock, unix_ms
from batchrunner.config import ArrivalTable, DayTime
from batchrunner.errors import MissingFile, Reason

CLOCKS_DIFFER_MS = 60_000
"""File systems of other hosts have clocks of their own: a file that is older by this needs no watching."""

LOOK_EVERY_S = 5.0
"""While a file is waited for."""

WRITTEN_FOR_AT_MOST = 20
"""Times `stable_for` that a file is watched being written, where there is no deadline."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file at one moment."""

    path: Path
    size_bytes: int
    modified_ns: int
    touched_ns: int
    """The later of its times: of its content, and of its name and rights, which programs that copy cannot set back."""
    marked: bool = True
    """Its done marker is there, and not older than the file."""

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What changes when somebody writes to it."""
        return self.size_bytes, self.modified_ns, self.touched_ns

    def is_unchanged(self) -> bool:
        """Whether the file of that name is still this one."""
        now = sighting(self.path, None)
        return now is not None and (now.size_bytes, now.modified_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What there is for a run to do."""

    fresh: Sequence[Sighting]
    """To be loaded, oldest first."""
    done: Sequence[Sighting]
    """Complete files whose content was loaded before: they have no place where exports arrive."""
    came: bool
    """Something came tonight, if only a repeat."""


class Memory(Protocol):
    """What the ledger knows of files."""

    @property
    def newest_ns(self) -> int | None:
        """When the newest file that was loaded had been written; None before there was one."""
        ...

    def is_old(self, one: Sighting) -> bool:
        """Whether this very file was loaded, and nobody has written to it since. Costs little."""
        ...

    def has_content(self, one: Sighting) -> bool:
        """Whether its content was loaded, under whatever name. Reads the file."""
        ...


def sighting(path: Path, marker: str | None) -> Sighting | None:
    """A file as it is now, if it is there."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # the latter for a name that no file can have
        return None
    marked = marker is None or any(_marks(one, status.st_mtime_ns) for one in markers(path, marker))
    return Sighting(path, status.st_size, status.st_mtime_ns, max(status.st_mtime_ns, status.st_ctime_ns), marked)


def sightings(paths: Sequence[Path], marker: str | None) -> list[Sighting]:
    """Files as they are now, without those that are markers themselves."""
    found = [one for path in paths if not is_marker(path, marker) and (one := sighting(path, marker))]
    return sorted(found, key=lambda one: (one.modified_ns, one.path.name))


def is_marker(path: Path, marker: str | None) -> bool:
    """Whether a file only says that another one is complete."""
    return marker is not None and (path.name.endswith(marker) if marker.startswith(".") else path.name == marker)


def markers(path: Path, marker: str) -> tuple[Path, ...]:
    """Where the marker of a file may be: `.done` stands behind its name or in place of its ending."""
    if not marker.startswith("."):
        return (path.with_name(marker),)
    return path.with_name(path.name + marker), path.with_suffix(marker)


def _marks(marker: Path, written_ns: int) -> bool:
    """Yesterday's marker says nothing about a file that is being written over."""
    try:
        return marker.stat().st_mtime_ns >= written_ns
    except OSError:
        return False


@dataclass(slots=True)
class _Steadiness:
    """Since when each file has looked the same."""

    stable_for: timedelta
    _since: dict[Path, tuple[tuple[int, int, int], float]] = field(default_factory=dict)

    def holds(self, one: Sighting, elapsed_s: float, now_ms: int) -> bool:
        """Whether nobody has written to it for long enough."""
        if not self.stable_for:
            return True
        untouched_ms = now_ms - one.touched_ns // 1_000_000
        if untouched_ms >= self.stable_for / timedelta(milliseconds=1) + CLOCKS_DIFFER_MS:
            return True
        stamp, since_s = self._since.get(one.path, (None, elapsed_s))
        if stamp != one.stamp:
            self._since[one.path] = one.stamp, elapsed_s
            return False
        return elapsed_s - since_s >= self.stable_for.total_seconds()


def deadline_ms(at: DayTime | None, now: datetime) -> int | None:
    """The moment of a deadline: the next such time, or the last one where that is nearer, for it is over then."""
    if at is None:
        return None
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    # Time zones of wall clocks: a day is not always 24 hours, so days are added before moments are compared.
    near = [unix_ms(today + timedelta(days=days)) for days in (-1, 0, 1)]
    return min(near, key=lambda moment: abs(moment - unix_ms(now)))


class Arrivals:
    """The files that arrive for one job, and what is known of them."""

    def __init__(self, table: ArrivalTable, look: Callable[[], Sequence[Sighting]], memory: Memory, what: str) -> None:
        """`look` sees all files there are; `what` is what is waited for, for sentences.

        With `take = "newest"`, files older than the newest that was loaded are never loaded: it has replaced them.
        """
        self._table = table
        self._look = look
        self._memory = memory
        self._what = what
        self._steadiness = _Steadiness(table.stable_for)
        self._unfinished: Sequence[Sighting] = ()

    def await_them(
        self, clock: Clock, wait: Callable[[float], None], now: datetime, waiting: Callable[[str], None]
    ) -> Arrived:
        """What has arrived, as soon as it has. Raises MissingFile when the deadline passes first.

        Without a deadline it is looked once, and longer only for a file that is being written.
        """
        until_ms = deadline_ms(self._table.deadline, now)
        patient_s = self._table.stable_for.total_seconds() * WRITTEN_FOR_AT_MOST
        begun_s = clock.elapsed_s()
        said = False
        while True:
            arrived = self.now(clock)
            if arrived.came:
                return arrived
            if until_ms is not None:
                left_s = (until_ms - clock.now_ms()) / 1000
            else:
                left_s = patient_s - (clock.elapsed_s() - begun_s) if self._being_written() else 0
            if left_s <= 0:
                return self._without(arrived)
            if not said:
                waiting(self._waiting_for(until_ms, now))
                said = True
            wait(min(left_s, self._look_every_s()))

    def now(self, clock: Clock) -> Arrived:
        """What has arrived, without waiting."""
        seen = self._look()
        elapsed_s, now_ms = clock.elapsed_s(), clock.now_ms()
        ready = [one for one in seen if one.marked and self._steadiness.holds(one, elapsed_s, now_ms)]
        if self._table.take == "all":
            self._unfinished = [one for one in seen if one not in ready]
            return self._judged(ready)
        return self._newest(seen, ready)

    def _newest(self, seen: Sequence[Sighting], ready: Sequence[Sighting]) -> Arrived:
        """The newest file, once it is complete: an older one is not loaded because the newer is not there yet."""
        after = self._memory.newest_ns or 0
        newest = [one for one in seen if one.modified_ns > after][-1:]
        self._unfinished = [one for one in newest if one not in ready]
        if newest:
            return self._judged([one for one in newest if one in ready])
        return Arrived((), [one for one in ready if self._memory.is_old(one)], came=False)

    def _judged(self, ready: Sequence[Sighting]) -> Arrived:
        untouched = [one for one in ready if self._memory.is_old(one)]
        repeats = [one for one in ready if one not in untouched and self._memory.has_content(one)]
        fresh = [one for one in ready if one not in untouched and one not in repeats]
        return Arrived(fresh, [*untouched, *repeats], came=bool(fresh or repeats))

    def _without(self, arrived: Arrived) -> Arrived:
        """Nothing came: wrong where something was expected, or is not complete; else there is nothing to do."""
        if self._unfinished:
            names = ", ".join(one.path.name for one in self._unfinished)
            why = "is still being written"
            if not all(one.marked for one in self._unfinished):
                why = f"has no marker {self._table.done_marker} that is newer than the file"
            raise MissingFile(
                f"{self._what}: {names} {why}; nothing was sent; let the export finish, then run again",
                Reason.UNFINISHED_FILE,
            )
        if self._table.deadline is not None or self._memory.newest_ns is None:
            by = f" by {self._table.deadline}" if self._table.deadline else ""
            new = "" if self._memory.newest_ns is None else "new "
            raise MissingFile(
                f"{self._what}: no {new}file has arrived{by}; nothing was sent; see why the export is late (or check "
                "`path` under [source]), then run again"
            )
        return arrived

    def _being_written(self) -> bool:
        return any(one.marked for one in self._unfinished)

    def _look_every_s(self) -> float:
        stable_s = self._table.stable_for.total_seconds()
        return min(LOOK_EVERY_S, max(stable_s / 3, 0.1)) if stable_s else LOOK_EVERY_S

    def _waiting_for(self, until_ms: int | None, now: datetime) -> str:
        until = "" if until_ms is None else f" until {datetime.fromtimestamp(until_ms / 1000, now.tzinfo):%H:%M}"
        files = ", ".join(one.path.name for one in self._unfinished)
        return f"waiting{until} for {f'{files} to be complete' if files else self._what}"
