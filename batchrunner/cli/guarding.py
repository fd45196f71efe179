"""What holds a run back before it begins or while it lasts: a pause, the job's guards, another run of the job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from batchrunner.cli.night import note, waiter
from batchrunner.clock import Clock, as_text, zone
from batchrunner.config import Job
from batchrunner.errors import AlreadyRunning, HeldBack
from batchrunner.ledger import Nights, SqlLedger
from batchrunner.nights import Guards
from batchrunner.pipeline import StopRequest

TRY_AGAIN_S = 1.0
"""While another run holds the job's lock."""

LOOK_AGAIN_S = 60.0
"""The wall clock may be set while a run waits for its hours to end."""


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


def guards(ledger: SqlLedger, job: Job, clock: Clock) -> Guards | None:
    """The guards of a run that may begin now; None where the job has none. Raises HeldBack when it may not."""
    nights = Nights(ledger)
    if pause := nights.paused(job.name, clock.now_ms()):
        until = "" if pause.until_ms is None else f" until {as_text(pause.until_ms)}"
        why = f" ({pause.why})" if pause.why else ""
        raise HeldBack(
            f"job {job.name} is paused{until}{why}; nothing was sent; "
            f"lift the pause with: batchrunner unpause {job.name}"
        )
    if not job.guards.model_fields_set:
        return None
    made = Guards(job.guards, clock.now_ms, zone(job.timezone), lambda since: nights.sent_since(job.name, since))
    room, held = made.room(0)
    if held is not None and room == 0:
        raise held
    return made


@contextmanager
def roused_at_the_end(guard: Guards | None, clock: Clock, stop: StopRequest) -> Iterator[None]:
    """Rouse a run that waits for answers when its hours are over, so that it looks at its guards."""
    if guard is None or guard.closes_ms is None:
        yield
        return
    over = threading.Event()

    def watch(closes_ms: int) -> None:
        while (left_s := (closes_ms - clock.now_ms()) / 1000) > 0:
            if over.wait(min(left_s, LOOK_AGAIN_S)):
                return
        stop.wake()

    thread = threading.Thread(target=watch, args=(guard.closes_ms,), name="hours", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
