"""Processes of the command line that start warm: forked from one that has imported the libraries already.

A test starts the program a few times, and nine tenths of the second that each start takes are imports of pandas and
SQLAlchemy. A forked process is a process all the same: it has its own pid, its own files and memory, it gets signals,
and SIGKILL ends it without warning. What it does not show is the start of the interpreter itself; tests that are about
that start the program cold.

    test ── socket ──> parent (this file, run as a script): imports, then forks one child for each line it is sent
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = (
    "batchrunner.api",
    "batchrunner.cli.check",
    "batchrunner.cli.compose",
    "batchrunner.cli.doctor",
    "batchrunner.cli.judge",
    "batchrunner.cli.ledger_files",
    "batchrunner.cli.look",
    "batchrunner.cli.pause",
    "batchrunner.cli.purge",
    "batchrunner.cli.recollection",
    "batchrunner.cli.resolve",
    "batchrunner.cli.results",
    "batchrunner.cli.retry",
    "batchrunner.cli.init",
    "batchrunner.cli.run",
    "batchrunner.cli.schedule",
    "batchrunner.cli.serve",
    "batchrunner.submit.reqwest",
    "batchrunner.submit.wire",
)


class WarmProcess:
    """One running command line, as `subprocess.Popen` shows it."""

    def __init__(self, parent: _Parent, pid: int) -> None:
        """Watch a child of the parent. It stays a zombie until its end has been read, so its pid is nobody else's."""
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """How it ended: the exit code, or minus the number of a signal. None: it runs."""
        if self.returncode is None and select.select([self._descriptor], [], [], 0)[0]:
            self._read_its_end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("batchrunner", timeout or 0.0)
            self._read_its_end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to this very process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read_its_end(self) -> None:
        self.returncode = self._parent.ask({"reap": self.pid})["code"]
        os.close(self._descriptor)


class _Parent:
    """The process that forks."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # One thread: a process that is forked while another thread holds a lock would wait for it for ever.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._lines = ours.makefile("rw", encoding="utf-8")
        ours.close()
        atexit.register(self._end)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question, one answer."""
        self._lines.write(json.dumps(question) + "\n")
        self._lines.flush()
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer

    def _end(self) -> None:
        self._lines.close()
        self._process.wait()


@cache
def _parent() -> _Parent:
    return _Parent()


def can_start_warm(environment: Mapping[str, str]) -> bool:
    """Whether a process would be the same: not when its environment is read at the start of the interpreter."""
    told = {name for name in environment if name.startswith(("PYTHON", "LC_", "LANG", "LD_"))}
    return hasattr(os, "pidfd_open") and "COV_CORE_SOURCE" not in os.environ and not told


def start_warm(
    arguments: Sequence[str],
    *,
    stdout: Path,
    stderr: Path,
    cwd: Path,
    env: Mapping[str, str],
    spoilt: tuple[Path, str] | None = None,
) -> WarmProcess:
    """Start `batchrunner` with these arguments; what it prints goes to the two files.

    `spoilt` names a script and a word: its `install(word)` is called before the command begins, to make it fail.
    """
    for file in (stdout, stderr):
        file.touch()  # as with a process that starts cold: whoever looks at once finds them empty
    wanted = {"arguments": list(arguments), "stdout": str(stdout), "stderr": str(stderr), "cwd": str(cwd)}
    parent = _parent()
    spoiling = [str(part) for part in spoilt or ()]
    return WarmProcess(parent, parent.ask({**wanted, "env": dict(env), "spoilt": spoiling})["pid"])


# --- in the process that forks -------------------------------------------------------------------


def _serve(descriptor: int) -> None:
    for name in IMPORTED:
        __import__(name)
    gc.freeze()
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rw", encoding="utf-8") as lines:
        while line := lines.readline():
            question = json.loads(line)
            if "reap" in question:
                _, status = os.waitpid(question["reap"], 0)
                answer = {"code": os.waitstatus_to_exitcode(status)}
            elif (pid := os.fork()) == 0:
                os.close(descriptor)
                _become(question)
            else:
                answer = {"pid": pid}
            lines.write(json.dumps(answer) + "\n")
            lines.flush()


def _become(wanted: Mapping[str, Any]) -> NoReturn:
    """Be the command line from here on, and end as an interpreter ends."""
    code = 1
    try:
        _take_over(wanted)
        if wanted["spoilt"]:
            script, word = wanted["spoilt"]
            runpy.run_path(script)["install"](word)
        runpy.run_module("batchrunner", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _take_over(wanted: Mapping[str, Any]) -> None:
    for path, descriptor in ((wanted["stdout"], 1), (wanted["stderr"], 2)):
        opened = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    time.tzset()
    sys.argv = ["batchrunner", *wanted["arguments"]]


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
