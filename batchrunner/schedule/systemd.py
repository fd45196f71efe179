"""A systemd timer and its oneshot unit, as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from batchrunner.config import CREDENTIAL
from batchrunner.cron import Cron, Fields
from batchrunner.schedule.due import cron_of, table_of, timezone_of
from batchrunner.schedule.programs import Program

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")

SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077"""

STATE = Path("/var/lib")
"""Where systemd keeps the state directories of system units."""


def unit_name(job: str) -> str:
    """What the units of a job are called, without their ending."""
    return f"batchrunner-{job}"


def service(program: Program, *, run_as: str | None) -> str:
    """The unit that fires what is due and ends. `run_as` makes it one of the system; else it is one of the user."""
    job = program.job
    return "\n".join(
        [
            "[Unit]",
            f"Description=batchrunner: {job.name}",
            *(("Wants=network-online.target", "After=network-online.target") if run_as else ()),
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={' '.join(map(quoted, program.words))}",
            f"WorkingDirectory={percent(str(job.file.parent))}",
            *_surroundings(program, run_as),
            f"LoadCredential={CREDENTIAL}:{percent(str(program.token))}",
            "# A stop lets requests in flight be answered: nothing is in doubt afterwards.",
            f"TimeoutStopSec={program.drain_s}s",
            "KillMode=mixed",
            SANDBOX,
            *(f"ReadWritePaths=-{quoted(str(folder))}" for folder in program.writes_to),
            "",
        ]
    )


def _surroundings(program: Program, run_as: str | None) -> Iterator[str]:
    if run_as is None:
        # A user's own `batchrunner status` must see what the timer did: both use the same folders.
        yield f"Environment={quoted(f'XDG_STATE_HOME={program.state_home}')}"
        return
    yield f"User={run_as}"
    yield "StateDirectory=batchrunner"
    yield "StateDirectoryMode=0700"
    yield "Environment=XDG_STATE_HOME=%S"
    yield "CapabilityBoundingSet="


def timer(program: Program) -> str:
    """The timer that starts it."""
    job = program.job
    return "\n".join(
        [
            "[Unit]",
            f"Description=batchrunner: when {job.name} is due ({percent(cron_of(job).text)})",
            "",
            "[Timer]",
            *(f"OnCalendar={line}" for line in calendar(cron_of(job), timezone_of(job))),
            "# After the machine was off; what is then caught up with, the job's `catch_up` says.",
            f"Persistent={'false' if table_of(job).catch_up == 'none' else 'true'}",
            "AccuracySec=1s",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def calendar(cron: Cron, timezone: str | None) -> list[str]:
    """The moments of a cron expression as systemd writes them. Moments too many do no harm: nothing is due then."""
    fields = cron.fields()
    in_zone = "" if timezone is None else f" {timezone}"
    at = f"{_list(fields.hours, 24)}:{_list(fields.minutes, 60)}:{_list(fields.seconds, 60)}{in_zone}"
    months = _list(fields.months, 12)
    if fields.either_day:
        return [f"*-{months}-{_list(fields.days, 31)} {at}", f"{_weekdays(fields)}*-{months}-* {at}"]
    return [f"{_weekdays(fields)}*-{months}-{_list(fields.days, 31)} {at}"]


def _list(allowed: Collection[int], of: int) -> str:
    return "*" if len(allowed) == of else ",".join(f"{one:02}" for one in sorted(allowed))


def _weekdays(fields: Fields) -> str:
    return "" if len(fields.weekdays) == len(WEEKDAYS) else f"{_days(sorted(fields.weekdays))} "


def _days(numbers: Sequence[int]) -> str:
    return ",".join(WEEKDAYS[number] for number in numbers)


def quoted(word: str) -> str:
    """A word of a command as a unit file writes it."""
    escaped = percent(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if escaped != word or not word or set(word) & set(" \t'") else word


def percent(text: str) -> str:
    """A text without the specifiers of unit files."""
    return text.replace("%", "%%")
