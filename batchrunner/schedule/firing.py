"""Firing what is due: claim a slot in the ledger, run the job, note how it ended.

The ledger is open only for as long as it is asked: the run is a process of its own, and has it for itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from batchrunner.clock import Clock, zone
from batchrunner.config import Job
from batchrunner.ledger import History, Slots, open_ledger
from batchrunner.model import State
from batchrunner.schedule.due import Due, begins_s, cron_of, due, table_of, timezone_of
from batchrunner.schedule.processes import Children, Ended, exit_of

LOCKED = 75
"""The exit code of a run that found another one of its job."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A slot that was fired, and what came of it."""

    slot_s: int | None
    """None: a file came."""
    run: Ended
    retried: Ended | None = None
    """The rows that had failed in earlier runs, where there were any."""
    purged: Ended | None = None
    """What the job no longer keeps, at its first slot of a day."""

    @property
    def parts(self) -> list[Ended]:
        """The commands that were run, in their order."""
        return [one for one in (self.run, self.retried, self.purged) if one is not None]

    @property
    def busy(self) -> bool:
        """Another run of the job was in the way: the slot waits for whoever asks next."""
        return self.run.code == LOCKED


class Firing:
    """The schedule of one job."""

    def __init__(self, job: Job, ledger: str, children: Children, clock: Clock) -> None:
        """`ledger` as `--ledger` has it."""
        self.job = job
        self._ledger = ledger
        self._children = children
        self._clock = clock

    def begin(self) -> None:
        """From now on the schedule is watched: what came before is not caught up with."""
        with open_ledger(self._ledger) as ledger:
            slots = Slots(ledger)
            if slots.last_s(self.job.name) is None and (latest := due(self.job, None, self._now_s())).slots:
                slots.begin(self.job.name, latest.slots[-1], self._clock.now_ms())

    def due(self) -> Due:
        """What is to be fired now."""
        with open_ledger(self._ledger) as ledger:
            return due(self.job, Slots(ledger).last_s(self.job.name), self._now_s())

    async def fire(self) -> AsyncIterator[Fired]:
        """Fire everything that is due, one slot after the other. A slot that somebody else has fired is left out."""
        plan = self.due()
        passed_over = plan.passed_over
        for slot_s in plan.slots:
            if not await self._children.sleep(begins_s(self.job, slot_s) - self._clock.now_ms() / 1000):
                return
            if (in_the_way := self._in_the_way()) is not None:
                yield Fired(slot_s, in_the_way)
                return
            begins_a_day = self._begins_a_day(slot_s)
            if not self._claim(slot_s, passed_over):
                continue
            passed_over = 0
            fired = await self._fire(slot_s, begins_a_day=begins_a_day)
            self._note(fired)
            yield fired
            if fired.busy:
                return

    def next_s(self) -> float | None:
        """When to ask again; None where the job has no `cron`."""
        if table_of(self.job).cron is None:
            return None
        at = next(cron_of(self.job).after(self._now_s()), None)
        return None if at is None else begins_s(self.job, at)

    async def came(self) -> Fired:
        """Run the job because a file has come into its folder: no slot is meant."""
        return Fired(None, self._in_the_way() or await self._run("run"))

    async def _fire(self, slot_s: int, *, begins_a_day: bool) -> Fired:
        had_failed = self._has_failed_rows()
        fired = Fired(slot_s, await self._run("run", "--date", self._day(slot_s)))
        if had_failed and self._may_go_on(fired):
            # After the new export: whoever it has served needs nothing of an older one.
            fired = replace(fired, retried=await self._run("retry", "--outcome", "failed"))
        if begins_a_day and self.job.after.keep is not None and self._may_go_on(fired):
            fired = replace(fired, purged=await self._command("purge"))
        return fired

    def _may_go_on(self, fired: Fired) -> bool:
        return not fired.busy and not self._children.stopping.is_set()

    def _begins_a_day(self, slot_s: int) -> bool:
        """Whether no slot of its day was fired before it: what is old by days is looked at once a day."""
        with open_ledger(self._ledger) as ledger:
            last_s = Slots(ledger).last_s(self.job.name)
        return last_s is None or self._day(last_s) != self._day(slot_s)

    def _day(self, slot_s: int) -> str:
        """The day that `{date}` in paths means: the slot's, even where its run begins on another."""
        return f"{datetime.fromtimestamp(slot_s, zone(self.job.timezone or timezone_of(self.job))):%Y-%m-%d}"

    async def _run(self, verb: str, *more: str) -> Ended:
        return await self._command(verb, *more, "--no-progress")

    async def _command(self, verb: str, *more: str) -> Ended:
        longest = table_of(self.job).max_duration
        arguments = (verb, str(self.job.file), *more, "--ledger", self._ledger)
        return await self._children.run(arguments, None if longest is None else longest.total_seconds())

    def _claim(self, slot_s: int, passed_over: int) -> bool:
        with open_ledger(self._ledger) as ledger:
            return Slots(ledger).claim(self.job.name, slot_s, self._clock.now_ms(), passed_over=passed_over)

    def _in_the_way(self) -> Ended | None:
        """Another run of the job. It may begin between this look and ours, which then ends as if it had been seen."""
        with open_ledger(self._ledger) as ledger:
            if not ledger.is_running(self.job.name):
                return None
        error = f"job {self.job.name} is already being run; its slot waits for whoever asks next"
        return Ended(LOCKED, {"error": error, "exit_code": LOCKED})

    def _note(self, fired: Fired) -> None:
        if fired.slot_s is None:
            return
        with open_ledger(self._ledger) as ledger:
            slots = Slots(ledger)
            if fired.busy:
                slots.give_back(self.job.name, fired.slot_s)
                return
            run = fired.run.told.get("run")
            now_ms = self._clock.now_ms()
            slots.end(self.job.name, fired.slot_s, run=run, exit_code=exit_of(fired.run), now_ms=now_ms)

    def _has_failed_rows(self) -> bool:
        if not table_of(self.job).retry_failed:
            return False
        with open_ledger(self._ledger) as ledger:
            waiting = History(ledger).unfinished_counts(self.job.name)
        return any(state is State.FAILED for state, _ in waiting)

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000
