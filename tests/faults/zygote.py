"""The real command line a thousand times: a process that has imported everything, and forks one child a command.

A child is a process of its own, with its own threads, files and locks, and dies as any other does; only the second
that Python takes to import its libraries is saved. Commands that no test kills on purpose can go the same way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass
class Child:
    """A command that runs, or has run."""

    zygote: Zygote
    pid: int
    out: Path
    err: Path
    code: int | None = None
    """None while it runs; negative when a signal has ended it."""

    def kill(self) -> None:
        """As the machine would."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self.code is None:
            self.code = self.zygote.ask({"poll": self.pid})
        return self.code

    def wait(self) -> int:
        """Its exit code."""
        if self.code is None:
            self.code = self.zygote.ask({"wait": self.pid})
        assert self.code is not None
        return self.code

    def told(self) -> str:
        """Everything it said."""
        return f"exit {self.code}\n--- stdout\n{self.out.read_text()}\n--- stderr\n{self.err.read_text()}"


class Zygote:
    """The forking process, from this side."""

    def __init__(self) -> None:
        paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OPENBLAS_NUM_THREADS": "1",  # no thread may live when it forks
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip

    def start(
        self, *arguments: object, cwd: Path, env: Mapping[str, str], number: int, point: str | None = None
    ) -> Child:
        """Start a command, which dies at `point` if there is one."""
        out, err = cwd / f"child-{number}.out", cwd / f"child-{number}.err"
        order = {"argv": [*map(str, arguments)], "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
        pid = self.ask({**order, "point": point})
        assert pid is not None
        return Child(self, pid, out, err)

    def ask(self, order: Mapping[str, Any]) -> int | None:
        """One order, one number."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it; children are its own and have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def _serve() -> None:
    import gc

    import batchrunner.cli.resolve
    import batchrunner.cli.results
    import batchrunner.cli.retry
    import batchrunner.cli.run
    import batchrunner.submit.fast  # noqa: F401

    gc.freeze()
    running: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "argv" in order:
            answer: int | None = os.fork()
            if answer == 0:
                _become(order)
            running.add(answer or 0)
        else:
            pid, flags = (order["wait"], 0) if "wait" in order else (order["poll"], os.WNOHANG)
            ended, status = os.waitpid(pid, flags)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _become(order: Mapping[str, Any]) -> None:
    """The command line, in this very process."""
    import random

    for name, number in (("out", 1), ("err", 2)):
        descriptor = os.open(order[name], os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(descriptor, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    random.seed()
    code = 1
    try:
        if order["point"]:
            import killing

            killing.install(order["point"])
        from batchrunner.cli import main

        sys.argv = ["batchrunner", *order["argv"]]
        main(prog_name="batchrunner")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
