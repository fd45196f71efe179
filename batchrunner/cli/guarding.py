"""What holds a run back before it begins or while it lasts: a pause, the job's guards, another run of the job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from batchrunner.cli.night import note, waiter
from batchrunner.clock import Clock, as_text, zone
from batchrunner.config import Job
from batchrunner.errors import AlreadyRunning, HeldBack, LedgerError
from batchrunner.ledger import Nights, Pause, SqlLedger
from batchrunner.nights import Guards
from batchrunner.pipeline import StopRequest

TRY_AGAIN_S = 1.0
"""While another run holds the job's lock."""

LOOK_AGAIN_S = 2.0
"""Whether somebody has paused the job of a run that is under way: a person who does is waiting to see it stop."""

log = logging.getLogger(__name__)


def lock(ledger: SqlLedger, job: Job, held: ExitStack, clock: Clock, stop: StopRequest, patience: timedelta) -> None:
    """Hold the job's lock, as soon as it is free. Raises AlreadyRunning when patience ends, Interrupted at a signal."""
    until_s = clock.elapsed_s() + patience.total_seconds()
    said = False
    while True:
        try:
            held.enter_context(ledger.locked(job.name))
        except AlreadyRunning as error:
            if clock.elapsed_s() >= until_s:
                raise
            if not said:
                note(f"waiting, for {error}")
                said = True
            waiter(stop)(TRY_AGAIN_S)
        else:
            return


def guards(ledger: SqlLedger, job: Job, clock: Clock) -> Guards:
    """The guards of a run that may begin now. Raises HeldBack when it may not."""
    nights = Nights(ledger)
    if pause := nights.paused(job.name, clock.now_ms()):
        raise _held_by(pause, "nothing was sent")
    made = Guards(job.guards, clock.now_ms, zone(job.timezone), lambda since: nights.sent_since(job.name, since))
    room, held = made.room(0)
    if held is not None and room == 0:
        raise held
    return made


def _held_by(pause: Pause, what: str) -> HeldBack:
    until = "" if pause.until_ms is None else f" until {as_text(pause.until_ms)}"
    why = f" ({pause.why})" if pause.why else ""
    return HeldBack(
        f"job {pause.job} is paused{until}{why}; {what}; lift the pause with: batchrunner unpause {pause.job}"
    )


@contextmanager
def watched(guard: Guards | None, ledger: Path, job: str, clock: Clock, stop: StopRequest) -> Iterator[None]:
    """Have a run that is under way look at its guards when its hours are over, or somebody pauses its job."""
    if guard is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(guard, ledger, job, clock, stop, over), name="guards", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(guard: Guards, path: Path, job: str, clock: Clock, stop: StopRequest, over: threading.Event) -> None:
    """Until the run is over, or has to be. The wall clock may be set meanwhile, so it is looked at again and again."""
    with ExitStack() as held:
        nights = _nights(path, held)
        while not over.wait(min(_left_s(guard, clock), LOOK_AGAIN_S)):
            if nights and (pause := _paused(nights, job, clock)):
                guard.pause = _held_by(pause, "what had left was settled, and the next run goes on")
            if guard.over():
                stop.wake()
                return


def _nights(path: Path, held: ExitStack) -> Nights | None:
    """The ledger, through a connection of this thread; None where it cannot be opened a second time."""
    try:
        return Nights(held.enter_context(SqlLedger.for_reading(str(path))))
    except (LedgerError, MemoryError) as error:
        log.warning("a pause that begins now is not seen before the next run: %s", error)
        return None


def _left_s(guard: Guards, clock: Clock) -> float:
    return float("inf") if guard.closes_ms is None else max(0.0, (guard.closes_ms - clock.now_ms()) / 1000)


def _paused(nights: Nights, job: str, clock: Clock) -> Pause | None:
    try:
        return nights.paused(job, clock.now_ms())
    except MemoryError:  # there is none for a line of log either, and the run itself says so
        return None
    except LedgerError as error:  # the run itself will stop if that lasts: it writes where this reads
        log.info("%s: the pauses cannot be read: %s", job, error)
        return None
