"""`serve`: wait for the slots of jobs, in the foreground."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from batchrunner.cli.fire import lines_of, values_of
from batchrunner.cli.options import default_ledger, ending_well, ledger_option, logging_options, output_option
from batchrunner.cli.telling import tell_of
from batchrunner.clock import SystemClock
from batchrunner.config import Job
from batchrunner.errors import UsageError
from batchrunner.schedule import Children, Fired
from batchrunner.schedule.serving import Served
from batchrunner.schedule.serving import serve as serve_all


@click.command()
@click.argument("jobs", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--health", "health_at", metavar="[HOST:]PORT", help="Answer GET /health there, for probes.")
@ledger_option
@output_option
@logging_options
@ending_well
def serve(jobs: tuple[Path, ...], health_at: str | None, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Run jobs when they are due, in the foreground: for places without timers, such as containers.

    Several of them may serve the same jobs with one ledger: each slot fires once. SIGTERM lets requests in flight be
    answered. A job with `watch` also runs when a file comes.
    """
    serving = _Serving(ledger or default_ledger(), output, quiet=quiet)
    asyncio.run(serving.go(jobs, _address(health_at)))
    raise SystemExit(128 + serving.stopped_by)


def _address(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise UsageError(f"--health is {text!r}; write a port, or host and port, as in '8080' or '0.0.0.0:8080'")
    return host.strip("[]") or "127.0.0.1", int(port)


class _Serving:
    """One process that serves."""

    def __init__(self, ledger: str, output: str, *, quiet: bool) -> None:
        self._ledger = ledger
        self._output = output
        self._quiet = quiet
        self._clock = SystemClock()
        self.stopped_by = int(signal.SIGTERM)

    async def go(self, jobs: Sequence[Path], health_at: tuple[str, int] | None) -> None:
        children = Children()
        self._served = [
            Served(one, self._ledger, children, self._clock, ended=self._ended, broken=_say) for one in jobs
        ]
        _each_once([one.job for one in self._served])
        self._obey_signals(children)
        async with AsyncExitStack() as held:
            if health_at is not None:
                from batchrunner.schedule.health import health  # noqa: PLC0415  aiohttp is slow to import

                port = await held.enter_async_context(health(*health_at, self._look))
                _say(f"health at http://{health_at[0]}:{port}/health")
            _say(f"serving {', '.join(one.job.name for one in self._served)}")
            await serve_all(self._served)

    def _obey_signals(self, children: Children) -> None:
        def stop(number: int) -> None:
            self.stopped_by = number
            _say("stopping; once more stops at once")
            children.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)

    def _look(self) -> dict[str, Any]:
        found = [one.values() for one in self._served]
        return {"ok": not any(one["error"] for one in found), "jobs": found}

    async def _ended(self, job: Job, fired: Fired) -> None:
        if self._output == "json":
            # One line a run: logs of containers are read by lines.
            click.echo(json.dumps({"job": job.name, **values_of(fired)}, ensure_ascii=False, default=str))
        elif not self._quiet:
            click.echo("\n".join(lines_of(job, fired)))
        # In a thread: a webhook that is repeated must not keep the other jobs waiting.
        await asyncio.to_thread(tell_of, job, self._ledger, fired, self._clock)


def _each_once(jobs: Sequence[Job]) -> None:
    names = [job.name for job in jobs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two job files are called {twice[0]}; the ledger knows jobs by their name: rename one")


def _say(sentence: str) -> None:
    click.echo(f"batchrunner: {sentence}", err=True)
