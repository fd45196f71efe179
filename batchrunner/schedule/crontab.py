"""Lines of a crontab: one block a job, found again by its heading."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from batchrunner.cron import Cron, with_seconds
from batchrunner.errors import UsageError
from batchrunner.schedule.due import cron_of
from batchrunner.schedule.programs import Program

HEADING = re.compile(r"# batchrunner job (?P<job>\S+): (?P<what>.*)")

FIRES = "batchrunner schedule fire"
"""In every line of ours: what is not under a heading, or lacks it, somebody else has written."""

A_YEAR = 366


def block(program: Program, machine: tzinfo) -> str:
    """The heading and the line of a job, for a cron daemon that goes by the machine's time zone."""
    job, cron = program.job, cron_of(program.job)
    _token_is_in_the_job(program)
    if with_seconds(cron.text):
        raise UsageError(f"{job.file}: cron knows no seconds ({cron.text}); use --as systemd, or 'batchrunner serve'")
    command = shlex.join(["env", f"XDG_STATE_HOME={program.state_home}", *program.words])
    lines = "\n".join(f"{when} {_escaped(command)}" for when in times(cron, machine))
    return f"# batchrunner job {job.name}: {cron.text}, {job.file}\n{lines}\n"


def _token_is_in_the_job(program: Program) -> None:
    """A crontab has no place for a secret: the job itself must name the file. Raises UsageError."""
    if program.job.target.token_file is None:
        raise UsageError(
            f"{program.job.file}: cron has no place for a token; write it into a file of mode 0600, and name that as "
            "`token_file` under [target]"
        )


def times(cron: Cron, machine: tzinfo) -> list[str]:
    """When to ask, as cron writes it.

    Where the job has another time zone than the machine, or days that cron cannot say, it asks oftener: what is not
    due does not fire.
    """
    fields = cron.fields()
    if offsets := _apart(cron.zone, machine):
        minutes = {(minute + offset) % 60 for minute in fields.minutes for offset in offsets}
        return [f"{_list(minutes, 60)} * * * *"]
    clock = f"{_list(fields.minutes, 60)} {_list(fields.hours, 24)}"
    days, months = _list(fields.days, 31), _list(fields.months, 12)
    weekdays = _list(fields.weekdays, 7)
    if fields.either_day or "*" in (days, weekdays):
        return [f"{clock} {days} {months} {weekdays}"]
    return [f"{clock} * {months} {weekdays}"]


def _apart(one: tzinfo, other: tzinfo) -> set[int]:
    """The minutes, within an hour, by which two zones differ in the next year; none if they are always the same."""
    start = datetime.now(UTC)
    apart = {
        moment.astimezone(other).utcoffset() - moment.astimezone(one).utcoffset()  # type: ignore[operator]
        for moment in (start + timedelta(days=day) for day in range(A_YEAR))
    }
    return set() if apart == {timedelta(0)} else {int(by.total_seconds()) // 60 % 60 for by in apart}


def _list(allowed: Collection[int], of: int) -> str:
    return "*" if len(allowed) == of else ",".join(map(str, sorted(allowed)))


def _escaped(command: str) -> str:
    return command.replace("%", "\\%")


def without(crontab: str, job: str) -> str:
    """A crontab with the block of a job taken out."""
    return "".join(text for name, text in _pieces(crontab) if name != job)


def jobs(crontab: str) -> dict[str, str]:
    """What a crontab has of ours: by the job's name, what its heading says."""
    found = (HEADING.match(text) for name, text in _pieces(crontab) if name is not None)
    return {heading["job"]: heading["what"] for heading in found if heading}


def _pieces(crontab: str) -> Iterator[tuple[str | None, str]]:
    """The lines of a crontab, each with the job whose block it is part of."""
    ours: str | None = None
    for line in crontab.splitlines(keepends=True):
        if heading := HEADING.match(line):
            ours = heading["job"]
        elif FIRES not in line:
            ours = None
        yield ours, line
