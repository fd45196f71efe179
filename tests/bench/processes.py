"""Child processes: measured, bounded in time, and ended with everything that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class NotMeasured(Exception):
    """Why a figure could not be had, in one sentence."""


@dataclass(frozen=True)
class Done:
    """What a process said, and what it cost."""

    out: str
    err: str
    code: int
    wall_s: float
    cpu_s: float
    peak_mb: float


def run(
    command: Sequence[object],
    *,
    limit_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    cores: Sequence[int] = (),
    may_fail: bool = False,
    stop_after_s: float | None = None,
) -> Done:
    """Run a command to its end, or to the SIGTERM that asks it to end. Raises NotMeasured when it fails or hangs."""
    with _started(command, cwd=cwd, env=env, cores=cores) as (process, out, err):
        began_s = time.perf_counter()
        late = threading.Event()
        timer = threading.Timer(limit_s, lambda: (late.set(), _end_group(process)))
        timer.start()
        stopper = threading.Timer(stop_after_s or limit_s, process.terminate)
        stopper.start()
        # wait4 gives the costs of this very process (and what it waited for), which getrusage could not.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began_s
        timer.cancel()
        stopper.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        _end_group(process)
        done = Done(
            _text(out), _text(err), process.returncode, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        )
    name = " ".join(map(str, command[:3]))
    if late.is_set():
        raise NotMeasured(f"`{name} …` was not done after {limit_s:.0f} s")
    if done.code and not may_fail:
        told = (done.err or done.out).strip().splitlines()[-1:] or ["nothing"]
        raise NotMeasured(f"`{name} …` ended with {done.code} and said: {told[0][:200]}")
    return done


@contextlib.contextmanager
def background(
    command: Sequence[object], *, env: Mapping[str, str] | None = None, cores: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as the block."""
    with _started(command, cwd=None, env=env, cores=cores) as (process, _, err):
        try:
            yield process
        finally:
            if process.poll() not in {None, 0, -signal.SIGTERM}:
                print(f"  {command[0]} has ended by itself: {_text(err).strip()[-300:]}", flush=True)


@contextlib.contextmanager
def _started(command, *, cwd, env, cores):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    folder = Path(os.environ["BENCH_SCRATCH"])
    number = f"{time.monotonic_ns()}"
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    allowed = set(cores)
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # a group of its own: ended whole
            preexec_fn=(lambda: os.sched_setaffinity(0, allowed)) if allowed else None,  # noqa: PLW1509  no threads yet
        )
    try:
        yield process, out, err
    finally:
        _end_group(process)
        if process.returncode is None:
            process.wait(10)
        out.unlink(missing_ok=True)
        err.unlink(missing_ok=True)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        if number is signal.SIGTERM:
            time.sleep(0.2)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
