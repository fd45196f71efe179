"""`schedule fire`: what a timer calls."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from batchrunner.cli.exits import Exit
from batchrunner.cli.options import (
    default_ledger,
    ending_well,
    job_argument,
    ledger_option,
    logging_options,
    output_option,
    say_json,
)
from batchrunner.cli.telling import tell_of, tell_of_error
from batchrunner.clock import SystemClock, as_text
from batchrunner.config import Job, load_job
from batchrunner.errors import BatchrunnerError
from batchrunner.schedule import Children, Ended, Fired, Firing, cron_of, exit_of, sentence_of

WORST_FIRST = (
    Exit.SIGINT,
    Exit.SIGTERM,
    Exit.USAGE,
    Exit.STOPPED,
    Exit.TOO_MANY_ERRORS,
    Exit.LOCKED,
    Exit.HELD_BACK,
    Exit.IN_DOUBT,
    Exit.SOME_BAD,
)


@click.command()
@job_argument
@ledger_option
@output_option
@logging_options
@ending_well
def fire(job: Path, ledger: str | None, output: str, quiet: bool) -> None:  # noqa: FBT001
    """Run a job if its schedule says that it is due: what timers call, and whoever likes. A slot fires once."""
    loaded = load_job(job)
    firing = _Firing(loaded, ledger or default_ledger())
    try:
        asyncio.run(firing.go())
    except BatchrunnerError as error:  # the ledger says what is due: without it nothing was run, and nobody told
        tell_of_error(loaded, firing.ledger, error)
        raise
    code = firing.exit_code
    if output == "json":
        say_json(firing.values())
    elif not (quiet and code == Exit.OK):
        click.echo(firing.text())
    raise SystemExit(code)


class _Firing:
    """The slots of one call."""

    def __init__(self, job: Job, ledger: str) -> None:
        self._job = job
        self.ledger = ledger
        self._fired: list[Fired] = []
        self._stopped_by: int | None = None

    async def go(self) -> None:
        children = Children()

        def stop(number: int) -> None:
            self._stopped_by = number
            children.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        firing = Firing(self._job, self.ledger, children, SystemClock())
        async for fired in firing.fire():
            self._fired.append(fired)
            if not fired.busy:
                # In a thread: a webhook that is repeated must not keep a signal waiting.
                await asyncio.to_thread(tell_of, self._job, self.ledger, fired, SystemClock())

    @property
    def exit_code(self) -> int:
        if self._stopped_by is not None:
            return 128 + self._stopped_by
        return worst(exit_of(one) for fired in self._fired for one in fired.parts)

    @property
    def _next(self) -> str | None:
        at = next(cron_of(self._job).after(SystemClock().now_ms() // 1000), None)
        return None if at is None else as_text(at * 1000)

    def values(self) -> dict[str, Any]:
        return {
            "job": self._job.name,
            "fired": [values_of(fired) for fired in self._fired],
            "next": self._next,
            "exit_code": self.exit_code,
        }

    def text(self) -> str:
        if not self._fired:
            return f"{self._job.name}: nothing is due before {self._next}"
        return "\n".join(line for fired in self._fired for line in lines_of(self._job, fired))


def worst(codes: Iterable[int]) -> int:
    """The one of several exit codes that says most about what a person has to do."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), Exit.OK)


def values_of(fired: Fired) -> dict[str, Any]:
    """What came of a slot, for programs."""
    return {
        "slot": slot_of(fired),
        "run": dict(fired.run.told) or None,
        "retried": None if fired.retried is None else dict(fired.retried.told),
        "purged": None if fired.purged is None else dict(fired.purged.told),
        "exit_code": worst(exit_of(one) for one in fired.parts),
        "error": sentence_of(fired.run),
    }


def slot_of(fired: Fired) -> str | None:
    """The slot as text; None where a file came."""
    return None if fired.slot_s is None else as_text(fired.slot_s * 1000)


def lines_of(job: Job, fired: Fired) -> Sequence[str]:
    """What came of a slot, for people."""
    slot = slot_of(fired)
    lines = [f"{job.name}: {f'slot {slot}' if slot else 'a file came'}: {line_of(fired.run)}"]
    if fired.retried is not None:
        lines.append(f"  failed in earlier runs: {line_of(fired.retried)}")
    if fired.purged is not None:
        lines.append(f"  no longer kept: {purge_line(fired.purged)}")
    return lines


def purge_line(ended: Ended) -> str:
    """What a purge has deleted, in one line."""
    told = ended.told
    if error := sentence_of(ended):
        return error
    return f"{told['archived_files']} archived files, {told['run_directories']} run directories, {told['runs']} runs"


def line_of(ended: Ended) -> str:
    """How a run ended, in one line."""
    told = ended.told
    if error := sentence_of(ended):
        return error
    if "read" not in told:
        return str(told.get("message", f"exit code {ended.code}"))
    skipped = sum(told["skipped"].values())
    counts = ("accepted", "rejected", "failed", "in_doubt", "unusable")
    outcomes = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in counts if told[name])
    return f"run {told['run']}: {told['read']} rows, {outcomes or '0 accepted'}, {skipped} skipped"
