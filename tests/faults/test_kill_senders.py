"""SIGKILL for the process of a run, and for those that send for it: nobody is engaged twice, and nobody is lost."""

from __future__ import annotations

import os
import signal

import pytest
from modes import PROCESSES
from ordeal import Ordeal, crowd, until
from pids import HAS_PROC, children, lives
from spoilt_senders import LET_GO
from test_kill_points import LIVES

pytestmark = pytest.mark.skipif(not HAS_PROC, reason="looks for processes in /proc")

OWN_LIVES = tuple(point for point in LIVES if point.partition(":")[0] not in PROCESSES.elsewhere)


@pytest.mark.parametrize("deduplicates", [True, False], ids=["deduplicating", "holding"])
def test_a_run_of_several_processes_is_killed_at_every_moment_of_a_row_s_life(
    ordeal: Ordeal, deduplicates: bool
) -> None:
    """One process or the other, one point after the other, until a plain run completes it."""
    ordeal.mode, ordeal.deduplicates = PROCESSES, deduplicates
    ordeal.give(crowd(900, "p"))
    points = (*PROCESSES.points, *OWN_LIVES)
    died = {point: ordeal.die_at(point) for point in points}
    assert all(died[point] for point in points[:-2]), died  # the last ones may find too little left to do
    ordeal.go_through()
    ordeal.check()


def test_what_was_with_a_sender_that_died_is_in_doubt_and_goes_again_under_the_same_request_id(ordeal: Ordeal) -> None:
    """The run says so, accounts for every row, and ends; the next one finishes."""
    ordeal.mode = PROCESSES
    ordeal.give(crowd(120, "p"))
    child = ordeal.start("run", "--output", "json", point="sender.answered:9")
    assert child.wait() == 4, child.told()
    assert "a process that sends died (killed by signal 9)" in child.told()
    assert child.err.read_text() == ""
    summary = ordeal.go_through()
    assert summary["replays"] > 0
    ordeal.check()


def test_while_a_sender_is_left_no_other_run_of_the_job_begins(ordeal: Ordeal) -> None:
    """The lock is held by it as well: what it may still send is not sent by another at the same time."""
    ordeal.mode = PROCESSES
    ordeal.give(crowd(300, "p"))
    assert ordeal.die_at("sender.outlives,collected:2")

    other = ordeal.start("run")
    assert other.wait() == 75, other.told()
    assert "already being run by run" in other.told()
    ordeal.mode = type(PROCESSES)("one process")
    assert ordeal.start("run", "--processes", 1).wait() == 75

    (ordeal.home / LET_GO).touch()
    assert ordeal.go_through("run", "--wait", "1m")["replays"] >= 0
    ordeal.check()


def test_senders_do_not_outlive_the_process_of_their_run(ordeal: Ordeal) -> None:
    """Not even when they are stopped, and could not see that it is gone."""
    ordeal.mode = PROCESSES
    ordeal.sandbox.change(latency_s=0.2)
    ordeal.give(crowd(300, "p"))
    child = ordeal.start("run")
    until(lambda: ordeal.sandbox.stats()["effects"] > 3, "something was sent")
    senders = children(child.process.pid)
    assert len(senders) == 2
    for pid in senders:
        os.kill(pid, signal.SIGSTOP)
    child.kill()
    until(lambda: not any(map(lives, senders)), "they have ended")
    ordeal.killed("outside")
    ordeal.sandbox.change(latency_s=0)
    ordeal.go_through()
    ordeal.check()
