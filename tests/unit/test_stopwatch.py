"""Where the time of a run goes: laps add up, and say what the limit was."""

from __future__ import annotations

import pytest

from batchrunner.report import profile_lines, profile_values
from batchrunner.stopwatch import OURS, UNWATCHED, Limit, Profile, Stopwatch


class Clocks:
    """Three clocks as a test wants them, in nanoseconds."""

    def __init__(self) -> None:
        self.wall = self.thread = self.process = 1_000

    def go_on(self, *, wall: int, thread: int = 0, others: int = 0) -> None:
        """Time passes, of which our thread and others work."""
        self.wall += wall
        self.thread += thread
        self.process += thread + others

    def watch(self) -> Stopwatch:
        """A watch that reads these."""
        return Stopwatch(lambda: self.wall, lambda: self.thread, lambda: self.process)


def test_each_lap_belongs_to_one_stage() -> None:
    """What is in no lap is other work, and what other threads did is the engine's."""
    clocks = Clocks()
    watch = clocks.watch()
    clocks.go_on(wall=4_000_000, thread=3_000_000)
    watch.lap("read")
    clocks.go_on(wall=90_000_000, thread=100_000, others=2_000_000)
    watch.lap("wait")
    clocks.go_on(wall=5_000_000, thread=1_000_000)
    watch.lap("commit")
    clocks.go_on(wall=1_000_000, thread=500_000)
    watch.add("submit", 1_500_000)

    profile = watch.profile(1_000)

    assert profile is not None
    assert profile.cpu_us == dict.fromkeys(OURS, 0.0) | {
        "read": 3.0, "commit": 1.0, "submit": 1.5, "engine": 0.5, "other": 0.6,
    }  # fmt: skip
    assert (profile.rows, profile.duration_s) == (1_000, 0.1)
    assert (profile.waiting, profile.disk) == (0.9, 0.04)


def test_what_was_before_the_start_does_not_count() -> None:
    """Imports and the guard are no part of a row's cost."""
    clocks = Clocks()
    watch = clocks.watch()
    clocks.go_on(wall=9_000, thread=9_000, others=9_000)
    watch.lap("read")
    watch.start()

    profile = watch.profile(1)

    assert profile is not None
    assert sum(profile.cpu_us.values()) == 0


@pytest.mark.parametrize(
    ("waiting", "disk", "limit"),
    [(0.9, 0.0, "api"), (0.5, 0.4, "api"), (0.4, 0.3, "disk"), (0.4, 0.1, "cpu"), (0.0, 0.0, "cpu")],
)
def test_the_limit_is_what_the_run_waited_for(waiting: float, disk: float, limit: Limit) -> None:
    """Answers first, then the disk; otherwise it is us."""
    profile = Profile(10, 1.0, {"read": 1.25}, waiting, disk)

    assert profile.limit == limit
    assert profile_values(profile)["limit"] == limit
    assert profile_values(profile)["stages"] == {"read": 1.25}


def test_a_profile_is_readable() -> None:
    """A line a stage, the sum, and what it means."""
    lines = profile_lines(Profile(2_000, 1.5, {"read": 4.25, "submit": 70.0}, 0.83, 0.02))

    assert lines[0] == "  where the time went: 2000 rows in 1.5 s"
    assert lines[1:4] == [
        "    read         4.2 us of CPU a row",
        "    submit      70.0 us of CPU a row",
        "    in all      74.2 us of CPU a row",
    ]
    assert lines[4] == "    waiting for answers 83% of the time, for the disk 2%"
    assert "--concurrency" in lines[5]


def test_there_is_nothing_to_tell_of_no_rows() -> None:
    """Nor when nobody asked."""
    assert Stopwatch().profile(0) is None
    UNWATCHED.lap("read")
    UNWATCHED.add("submit", 5)
    assert UNWATCHED.profile(5) is None


def test_the_time_of_other_processes_is_theirs() -> None:
    """It counts as CPU time of its stage, and takes nothing from what other threads of this process have done."""
    clocks = Clocks()
    watch = clocks.watch()
    clocks.go_on(wall=10_000, thread=2_000, others=1_000)
    watch.add_elsewhere("submit", 4_000)
    watch.add_elsewhere("submit", 8_500)
    profile = watch.profile(1)
    assert profile is not None
    assert profile.cpu_us["submit"] == 12.5
    assert profile.cpu_us["engine"] == 1.0
    assert profile.cpu_us["other"] == 2.0
    assert profile.busiest == 0.85


def test_a_process_that_sends_and_can_do_no_more_is_the_limit() -> None:
    """Though the run did nothing but wait for it."""
    assert Profile(10, 1.0, {}, 0.9, 0.0, busiest=0.85).limit == "cpu"
    assert Profile(10, 1.0, {}, 0.9, 0.0, busiest=0.5).limit == "api"
