"""Which files have arrived: complete, new, in time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batchrunner.clock import unix_ms, zone
from batchrunner.config import ArrivalTable
from batchrunner.config.units import parse_day_time
from batchrunner.errors import MissingFile, Reason
from batchrunner.nights import Arrivals, Arrived, Sighting, finished, sightings
from batchrunner.nights.arrival import deadline_ms

MOSCOW = ZoneInfo("Europe/Moscow")
NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=MOSCOW)


@dataclass
class Memory:
    """What was loaded: files as they were, and contents."""

    newest_ns: int | None = None
    old: set[Sighting] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)

    def is_old(self, one: Sighting) -> bool:
        """By all that is seen of it."""
        return one in self.old

    def has_content(self, one: Sighting) -> bool:
        """By its text."""
        return one.path.read_text() in self.contents

    def load(self, files: Sequence[Sighting]) -> None:
        """As a run would note them."""
        self.old |= set(files)
        self.contents |= {one.path.read_text() for one in files}
        self.newest_ns = max([self.newest_ns or 0, *(one.modified_ns for one in files)])


@dataclass
class Night:
    """A folder, a clock that only waiting moves, and what happens at which second of it."""

    folder: Path
    memory: Memory = field(default_factory=Memory)
    now: datetime = NIGHT
    passed_s: float = 0.0
    events: dict[float, Callable[[], None]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def now_ms(self) -> int:
        """As the clock seam wants it."""
        return unix_ms(self.now) + round(self.passed_s * 1000)

    def elapsed_s(self) -> float:
        """As the clock seam wants it."""
        return self.passed_s

    def wait(self, seconds: float) -> None:
        """Time passes, and with it what is to happen."""
        self.passed_s += seconds
        for due in sorted(at for at in self.events if at <= self.passed_s):
            self.events.pop(due)()

    def file(self, name: str, text: str = "x", age_s: float = 3600) -> Path:
        """A file that was written so long ago, by the clock of this night."""
        path = self.folder / name
        path.write_text(text)
        at = self.now_ms() * 1_000_000 - round(age_s * 1e9)
        os.utime(path, ns=(at, at))
        return path

    def arrivals(self, pattern: str = "export-*.csv", **table: object) -> Arrivals:
        """The files of the folder, as the job waits for them."""
        wish = ArrivalTable.model_validate(table)

        def look() -> list[Sighting]:
            found = sightings(finished(self.folder.glob(pattern), wish.ignore), wish.done_marker)
            # The file system's own time of the last change is the real one; this night's clock is not.
            return [Sighting(s.path, s.size_bytes, s.modified_ns, s.modified_ns, s.marked) for s in found]

        return Arrivals(wish, look, self.memory, f"exports/{pattern}")

    def await_them(self, **table: object) -> Arrived:
        """What arrives."""
        return self.arrivals(**table).await_them(self, self.wait, self.now, self.said.append)  # type: ignore[arg-type]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Two o'clock, and nothing has come."""
    return Night(tmp_path)


def names(files: Sequence[Sighting]) -> list[str]:
    return [one.path.name for one in files]


# --- which ------------------------------------------------------------------------------------


def test_the_newest_file_is_taken(night: Night) -> None:
    """By when it was written, whatever it is called; older ones are left alone."""
    night.file("export-b.csv", age_s=9000)
    night.file("export-a.csv", "new", age_s=10)
    assert names(night.await_them().fresh) == ["export-a.csv"]


def test_all_files_that_were_not_loaded_are_taken_oldest_first(night: Night) -> None:
    """`take = "all"`: what was missed yesterday goes before tonight's."""
    first = night.file("export-z.csv", "1", age_s=9000)
    night.memory.load(sightings([first], None))
    night.memory.old = {Sighting(s.path, s.size_bytes, s.modified_ns, s.modified_ns) for s in night.memory.old}
    night.file("export-b.csv", "3", age_s=100)
    night.file("export-c.csv", "2", age_s=5000)
    arrived = night.await_them(take="all")
    assert names(arrived.fresh) == ["export-c.csv", "export-b.csv"]
    assert names(arrived.done) == ["export-z.csv"]


@pytest.mark.parametrize(
    "name", ["export-1.csv.part", "export-1.tmp", ".export-1.csv", "~export-1.csv", "export-1.csv~"]
)
def test_names_of_unfinished_files_are_ignored(night: Night, name: str) -> None:
    """Those that programs use for what they are still writing."""
    night.file(name)
    with pytest.raises(MissingFile):
        night.await_them(pattern="*")


def test_a_file_older_than_what_was_loaded_is_not_taken_for_news(night: Night) -> None:
    """With `newest`, an export that was passed over does not come up when the newer one has been archived."""
    night.memory.newest_ns = night.now_ms() * 1_000_000
    night.file("export-yesterday.csv", age_s=9000)
    arrived = night.await_them()
    assert (names(arrived.fresh), arrived.came) == ([], False)


def test_the_same_content_under_another_name_is_not_loaded_again(night: Night) -> None:
    """It came, and there is nothing to do."""
    night.memory.contents.add("the same")
    night.memory.newest_ns = 1
    night.file("export-2.csv", "the same", age_s=1)
    arrived = night.await_them(deadline=parse_day_time("04:00"))
    assert (names(arrived.fresh), names(arrived.done), arrived.came) == ([], ["export-2.csv"], True)
    assert night.passed_s == 0


# --- complete ---------------------------------------------------------------------------------


def test_a_file_that_grows_is_waited_for(night: Night) -> None:
    """`stable_for`: it is given out when size and times have not changed for so long."""
    path = night.file("export-1.csv", "half", age_s=0)
    night.events[20] = lambda: night.file(path.name, "half and half", age_s=0) and None
    arrived = night.await_them(stable_for=timedelta(seconds=30))
    assert names(arrived.fresh) == ["export-1.csv"]
    assert 50 <= night.passed_s <= 60
    assert night.said == ["waiting for export-1.csv to be complete"]


def test_a_file_that_nobody_has_touched_for_long_is_not_watched(night: Night) -> None:
    """The usual case: it was written an hour ago."""
    night.file("export-1.csv", age_s=3600)
    assert names(night.await_them(stable_for=timedelta(seconds=30)).fresh) == ["export-1.csv"]
    assert night.passed_s == 0


def test_a_file_that_never_rests_is_given_up(night: Night) -> None:
    """Without a deadline, after twenty times `stable_for`."""
    path = night.file("export-1.csv", "", age_s=0)
    for second in range(5, 700, 5):
        night.events[second] = lambda n=second: night.file(path.name, "x" * n, age_s=0) and None  # type: ignore[misc]
    with pytest.raises(MissingFile) as caught:
        night.await_them(stable_for=timedelta(seconds=30))
    assert caught.value.reason is Reason.UNFINISHED_FILE
    assert "export-1.csv is still being written" in str(caught.value)
    assert 600 <= night.passed_s < 610


def test_an_older_file_is_not_loaded_while_the_newer_is_written(night: Night) -> None:
    """With `newest` the newer one would replace it at once."""
    night.file("export-1.csv", "old", age_s=9000)
    night.file("export-2.csv", "new", age_s=0)
    assert names(night.await_them(stable_for=timedelta(seconds=30)).fresh) == ["export-2.csv"]


@pytest.mark.parametrize("marker", ["export-1.csv.done", "export-1.done"])
def test_a_file_is_complete_when_its_marker_is_there(night: Night, marker: str) -> None:
    """Behind its name or in place of its ending; the marker itself is no export."""
    night.file("export-1.csv", age_s=60)
    night.events[100] = lambda: night.file(marker, "", age_s=0) and None
    arrived = night.await_them(pattern="*", done_marker=".done", deadline=parse_day_time("04:00"))
    assert names(arrived.fresh) == ["export-1.csv"]
    assert 100 <= night.passed_s <= 105


def test_a_marker_older_than_the_file_says_nothing(night: Night) -> None:
    """It is yesterday's, and the file is being written over."""
    night.file("export-1.csv.done", "", age_s=86_400)
    night.file("export-1.csv", age_s=60)
    with pytest.raises(MissingFile, match=r"export-1.csv has no marker \.done that is newer"):
        night.await_them(done_marker=".done")


def test_one_marker_may_stand_for_the_whole_folder(night: Night) -> None:
    """A name without a leading dot is a file of that name."""
    night.file("export-1.csv", "1", age_s=60)
    night.file("export-2.csv", "2", age_s=50)
    night.file("_SUCCESS", "", age_s=1)
    assert len(night.await_them(pattern="*", done_marker="_SUCCESS", take="all").fresh) == 2


# --- in time ----------------------------------------------------------------------------------


def test_a_file_is_waited_for_until_the_deadline(night: Night) -> None:
    """And taken when it comes before."""
    night.events[3000] = lambda: night.file("export-1.csv", age_s=0) and None
    assert names(night.await_them(deadline=parse_day_time("04:00")).fresh) == ["export-1.csv"]
    assert 3000 <= night.passed_s <= 3005
    assert night.said == ["waiting until 04:00 for exports/export-*.csv"]


def test_no_file_by_the_deadline_is_an_error_with_its_reason(night: Night) -> None:
    """At the deadline, not later; what was loaded before does not count."""
    night.memory.newest_ns = 1
    with pytest.raises(MissingFile, match=r"no new file has arrived by 04:00; nothing was sent") as caught:
        night.await_them(deadline=parse_day_time("04:00"))
    assert caught.value.reason is Reason.MISSING_FILE
    assert night.passed_s == 7200


def test_without_a_deadline_nothing_new_is_no_error(night: Night) -> None:
    """Once something was loaded; before that the path is likely to be wrong."""
    with pytest.raises(MissingFile, match="check `path`"):
        night.await_them()
    night.memory.newest_ns = 1
    assert not night.await_them().came


@pytest.mark.parametrize(
    ("now", "deadline", "hours"),
    [
        ("2026-11-24 02:00", "04:00", 2),
        ("2026-11-24 23:00", "06:00", 7),
        ("2026-11-24 05:00", "04:00", -1),
        ("2026-03-28 23:00", "04:00", 4),  # the clock goes forward in between: one hour less
    ],
)
def test_a_deadline_is_the_nearest_such_time(now: str, deadline: str, hours: int) -> None:
    """Over midnight and clock changes; one that has just passed is over."""
    here = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    found = deadline_ms(parse_day_time(deadline), here)
    assert found is not None
    assert found - unix_ms(here) == hours * 3_600_000


def test_the_machine_s_zone_is_taken_where_none_is_named(tmp_path: Path) -> None:
    """`TZ`, the machine's file, or UTC: whatever there is, in this order."""
    paris = ZoneInfo("Europe/Paris")
    assert zone("Asia/Tokyo", {"TZ": "Europe/Paris"}) == ZoneInfo("Asia/Tokyo")
    assert zone(None, {"TZ": ":Europe/Paris"}) == paris
    assert str(zone(None, {}, tmp_path / "nothing")) == "UTC"
