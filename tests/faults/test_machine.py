"""What the machine and other programs do to a run: memory, descriptors, disks, the ledger, the source, two hosts.

Each test says the sentence that is told, the exit code, and that a plain run afterwards completes: everybody once.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from bench import Bench, assert_accounted, once_each, people, until
from ordeal import Child, Ordeal, crowd


def stopped(child: Child, sentence: str) -> None:
    """It ended with exit code 4 and this sentence, and nothing that is not meant for people."""
    assert child.wait() == 4, child.told()
    told = child.err.read_text()
    assert sentence in told, child.told()
    assert "Traceback" not in told


def complete(ordeal: Ordeal) -> None:
    """A plain run that nobody disturbs, and what must hold after it."""
    assert ordeal.integrity() == "ok"
    ordeal.go_through()
    ordeal.check()


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["memory:4", "memory_later:16"])
def test_a_run_without_memory_loses_no_row(ordeal: Ordeal, limit: str) -> None:
    """Before the first row it is a sentence; later the process may be ended, and the next run says so."""
    ordeal.give([{**row, "name": row["name"] + "x" * 2_000} for row in crowd(3_000, "p")])
    child = ordeal.start("run", "--limit", 2_900, point=limit)
    if limit.startswith("memory:") or child.wait() == 4:
        stopped(child, "this process may have no more")
    else:
        assert child.code in {-6, -9}, child.told()
        assert "died before it ended" in ordeal.say("run", "--limit", 10)
    ordeal.go_through()
    ordeal.check()


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (1, 2, "cannot be read (Too many open files)"),
        (4, 4, "cannot be written (Too many open files)"),
        (9, 4, "this process may have no more open files; raise the limit (ulimit -n)"),
        (14, 4, "this process may have no more open files; raise the limit (ulimit -n)"),
    ],
)
def test_a_run_without_descriptors_says_so_and_loses_no_row(
    ordeal: Ordeal, more: int, code: int, sentence: str
) -> None:
    """From none for the job file to none for the first connection: it never waits for what cannot come."""
    ordeal.give(crowd(120, "p"))
    child = ordeal.start("run", point=f"descriptors:{more}")
    assert child.wait() == code, child.told()
    assert sentence in child.told()
    assert "Traceback" not in child.told()
    complete(ordeal)


# --- disks ---------------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_any_write_stops_the_run_and_repeats_nobody(ordeal: Ordeal, small_disk: Path) -> None:
    """Everything of ours on one disk that has room for so much and no more; with room again a plain run completes."""
    ordeal.place = small_disk
    ordeal.give(crowd(1_500, "p"))
    for kilobytes in (100, 152, 216, 264, 312, 424):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(small_disk)], check=True)
        child = ordeal.start("run")
        assert child.wait() == 4, (kilobytes, child.told())
        # Where not even the index of the log has room, SQLite can only say that the disk failed.
        assert "make room" in child.told() or "the disk reports an error; check it" in child.told()
        assert "Traceback" not in child.told()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    complete(ordeal)


# --- the ledger ----------------------------------------------------------------------------------


def test_a_ledger_on_a_disk_that_is_mounted_read_only_stops_before_anything_is_sent(
    ordeal: Ordeal, small_disk: Path
) -> None:
    """Said with what to do; nothing has left."""
    ordeal.give(crowd(50, "p"))
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    ordeal.place = small_disk
    ordeal.go_through("run", "--limit", 10)
    before = ordeal.sandbox.stats()["requests"]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    stopped(ordeal.start("run"), "check that its folder exists and that you may write there")
    assert ordeal.sandbox.stats()["requests"] == before
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    complete(ordeal)


def test_a_ledger_that_another_program_locks_in_the_middle_stops_the_run(ordeal: Ordeal) -> None:
    """What flew is in doubt, and goes again once the other program is gone."""
    ordeal.give(crowd(400, "p"))
    child = ordeal.start("run", point="impatient:200")
    until(lambda: ordeal.sandbox.stats()["effects"] > 20, "some rows were sent")
    with closing(sqlite3.connect(ordeal.ledger, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        stopped(child, "another program holds the ledger; end it, or run again later")
        other.execute("ROLLBACK")
    complete(ordeal)


def test_a_ledger_that_another_program_locks_for_a_moment_is_waited_for(ordeal: Ordeal) -> None:
    """A backup, or a person who looks: the run goes on when it is over."""
    ordeal.give(crowd(300, "p"))
    child = ordeal.start("run")
    until(lambda: ordeal.sandbox.stats()["effects"] > 20, "some rows were sent")
    with closing(sqlite3.connect(ordeal.ledger, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        standing = ordeal.sandbox.stats()["requests"]
        until(lambda: _stands_still(ordeal, standing), "what was claimed had been sent, and no more was")
        other.execute("ROLLBACK")
    assert child.wait() == 1, child.told()
    complete(ordeal)


def _stands_still(ordeal: Ordeal, at_first: int) -> bool:
    # Claims of a run that cannot claim any more: two windows at most.
    return bool(ordeal.sandbox.stats()["requests"] <= at_first + 2 * ordeal.concurrency + 2)


# --- the source ----------------------------------------------------------------------------------


def cut_short(path: Path) -> None:
    """Half of it is gone."""
    os.truncate(path, path.stat().st_size // 2)


def written_anew(path: Path) -> None:
    """Another export is written into the same file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("@example.com", "@example.org"), encoding="utf-8")


def renamed_over(path: Path) -> None:
    """Another file takes its name: what is being read is the old one still."""
    other = path.with_name("other.csv")
    other.write_text("email,name\nsomebody.else@example.com,Somebody Else\n", encoding="utf-8")
    other.replace(path)


def deleted(path: Path) -> None:
    """What is being read has no name any more."""
    path.unlink()


@pytest.mark.parametrize("change", [cut_short, written_anew, renamed_over, deleted], ids=lambda one: one.__name__)
def test_a_source_that_changes_under_the_run_mixes_nothing(bench: Bench, change: Callable[[Path], None]) -> None:
    """A run reads one content to its end, or stops and says so; put back, the file is completed, and everybody once."""
    bench.job()
    given = people(9_000)
    path = bench.csv(given)
    kept = path.read_bytes()
    bench.sandbox.change(latency_s=0.1)
    started = bench.start("run", "job.toml", "--output", "json", "--concurrency", "64")
    until(lambda: bench.sandbox.stats()["effects"] >= 10, "some rows were sent")
    change(path)
    bench.sandbox.change(latency_s=0)
    ended = started.end()
    assert_accounted(ended.json)
    if change in {cut_short, written_anew}:
        assert ended.code == 4, ended.told()
        assert "the file changed while it was read; let its export finish, then run again" in ended.json["error"]
    assert bench.effects().keys() <= once_each(given).keys()
    path.write_bytes(kept)
    bench.run("--concurrency", "64")
    assert bench.effects() == once_each(given)


# --- two hosts -----------------------------------------------------------------------------------


def on_another_host(bench: Bench, name: str, *words: str) -> subprocess.Popen[str]:
    """The command line under another host name, with process ids of its own, as in another container."""
    environment = {**bench.environment_of_commands(), "XDG_STATE_HOME": str(bench.home / name)}
    inside = f'hostname {name}; exec "$@"'
    command = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "bash", "-c", inside, "bash", sys.executable]
    return subprocess.Popen(
        [*command, "-m", "batchrunner", *words],
        cwd=bench.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_hosts_with_one_ledger_are_one_runner(bench: Bench) -> None:
    """Containers that share a volume: process ids that are alike prove nothing, and the lock decides."""
    if subprocess.run(["unshare", "--uts", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user cannot make name spaces")
    bench.job()
    given = people(64)
    bench.csv(given)
    bench.sandbox.change(latency_s=10)
    words = ("run", "job.toml", "--ledger", str(bench.home / "shared.db"))
    first = on_another_host(bench, "host-a", *words)
    until(lambda: bench.sandbox.stats()["requests"] > 10, "the first host sends")
    second = on_another_host(bench, "host-b", *words)
    _, told = second.communicate(timeout=120)
    assert second.returncode == 75, told
    assert "job welcome is already being run by run" in told
    assert "(host-a:" in told
    bench.sandbox.change(latency_s=0)
    _, told = first.communicate(timeout=120)
    assert first.returncode == 0, told
    assert bench.effects() == once_each(given)
    assert bench.run("--ledger", bench.home / "shared.db").json["skipped"] == {"accepted": 64}
