"""What is told of an event, as text for people and as JSON: numbers, reasons, commands; never a value of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrunner.notify.events import BAD, Event, bad_share

REASONS = 3
"""The commonest are told; the result files have them all."""

NUMBERS = ("read", "accepted", *BAD)


@dataclass(frozen=True, slots=True)
class Message:
    """One event, as it is told."""

    event: Event
    job: str
    at: str
    """When it happened, as RFC 3339 in UTC."""
    host: str
    title: str
    sentence: str | None = None
    slot: str | None = None
    run: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    numbers: Mapping[str, int] | None = None
    """Of rows, by outcome."""
    reasons: Sequence[tuple[str, int]] = ()
    """The commonest codes of bad rows, as `outcome:code`, with how many."""
    next_commands: Sequence[str] = ()

    @property
    def text(self) -> str:
        """For people."""
        lines = [self.sentence or f"{self.title}.", ""]
        if self.numbers is not None:
            lines += [f"{name.replace('_', ' '):<10}{count:>10}" for name, count in self.numbers.items() if count]
            lines.append("")
        if self.reasons:
            lines += ["commonest reasons", *(f"  {code} ({rows})" for code, rows in self.reasons), ""]
        if self.next_commands:
            lines += ["what to do next", *(f"  {command}" for command in self.next_commands), ""]
        places = (("job", self.job), ("run", self.run), ("slot", self.slot), ("host", self.host), ("at", self.at))
        lines += [f"{name:<5}{value}" for name, value in places if value]
        return "\n".join(lines) + "\n"

    @property
    def values(self) -> dict[str, Any]:
        """For programs. Names are relied on: add, never rename."""
        return {
            "event": self.event,
            "job": self.job,
            "at": self.at,
            "host": self.host,
            "title": self.title,
            "message": self.sentence,
            "slot": self.slot,
            "run": self.run,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "rows": None if self.numbers is None else dict(self.numbers),
            "reasons": [{"code": code, "rows": rows} for code, rows in self.reasons],
            "next": list(self.next_commands),
        }


def message_of(  # noqa: PLR0913  what is known of a run
    event: Event,
    told: Mapping[str, Any],
    *,
    job: str,
    at: str,
    host: str,
    exit_code: int,
    slot: str | None,
    sentence: str | None,
    again: str,
) -> Message:
    """The message of an event. `again` is the command that runs the job once more, for runs that name none."""
    return Message(
        event=event,
        job=job,
        at=at,
        host=host,
        title=_title(event, job, told),
        sentence=sentence,
        slot=slot,
        run=told.get("run"),
        exit_code=exit_code,
        reason=told.get("reason"),
        numbers=_numbers(told) if "read" in told else None,
        reasons=Counter(told.get("codes", {})).most_common(REASONS),
        next_commands=_next(event, told, again),
    )


def trial(*, job: str, at: str, host: str) -> Message:
    """A message of nothing, to see whether it arrives."""
    sentence = "This is a test: whoever reads it will be told of this job's runs."
    return Message(Event.TEST, job, at, host, f"{job}: a test", sentence)


def _title(event: Event, job: str, told: Mapping[str, Any]) -> str:
    match event:
        case Event.FAILURE:
            return f"{job}: failed"
        case Event.DEGRADED:
            return f"{job}: {bad_share(told):.0f}% of the rows ended badly"
        case Event.MISSING_FILE:
            return f"{job}: no file to import"
        case Event.RECOVERY:
            return f"{job}: all is well again"
        case _:
            return f"{job}: all is well"


def _numbers(told: Mapping[str, Any]) -> dict[str, int]:
    return {**{name: told.get(name, 0) for name in NUMBERS}, "skipped": sum(told.get("skipped", {}).values())}


def _next(event: Event, told: Mapping[str, Any], again: str) -> Sequence[str]:
    named: Sequence[str] = told.get("next", ())
    if named or event not in (Event.FAILURE, Event.MISSING_FILE):
        return named
    return (again,)
