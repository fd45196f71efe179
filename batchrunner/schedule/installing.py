"""Putting a job's timer where this machine's schedulers find it, and taking it away again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrunner.clock import zone
from batchrunner.errors import UsageError
from batchrunner.schedule import crontab, systemd
from batchrunner.schedule.programs import Program

SYSTEM_UNITS = Path("/etc/systemd/system")

DESCRIPTION = re.compile(r"^Description=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Installed:
    """A timer of ours that this machine has."""

    job: str
    kind: str
    """systemd or cron."""
    where: str
    what: str


def has_systemd() -> bool:
    """Whether systemd runs this machine, not only whether it is installed."""
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def has_cron() -> bool:
    """Whether there is a crontab to write to."""
    return shutil.which("crontab") is not None


def _run(*words: str, text: str | None = None) -> str:
    """Run a program of the system. Raises UsageError with what it said."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)  # noqa: S603  our words
    except FileNotFoundError:
        raise UsageError(f"{words[0]} is not on this machine; choose another kind with --as") from None
    if done.returncode:
        raise UsageError(f"{' '.join(words)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


# --- systemd -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Units:
    """Where units are: of the system, or of the user."""

    folder: Path
    manager: tuple[str, ...]
    run_as: str | None = None

    @classmethod
    def of_system(cls, run_as: str) -> Units:
        """Units that run as that user."""
        return cls(SYSTEM_UNITS, ("systemctl",), run_as)

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> Units:
        """Units of whoever runs this."""
        config = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return cls(Path(config) / "systemd" / "user", ("systemctl", "--user"))

    def texts(self, program: Program) -> dict[Path, str]:
        """The files of a job."""
        name = systemd.unit_name(program.job.name)
        return {
            self.folder / f"{name}.service": systemd.service(program, run_as=self.run_as),
            self.folder / f"{name}.timer": systemd.timer(program),
        }

    def install(self, program: Program, *, enable: bool) -> list[Path]:
        """Write the units, and let the timer begin."""
        texts = self.texts(program)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        if enable:
            self._tell("daemon-reload")
            self._tell("enable", "--now", f"{systemd.unit_name(program.job.name)}.timer")
        return list(texts)

    def remove(self, job: str, *, disable: bool = True) -> list[Path]:
        """Stop the timer, and take its files away; which there were."""
        name = systemd.unit_name(job)
        found = [path for ending in ("timer", "service") if (path := self.folder / f"{name}.{ending}").exists()]
        if not found:
            return []
        if disable:
            self._tell("disable", "--now", f"{name}.timer")
        for path in found:
            path.unlink()
        if disable:
            self._tell("daemon-reload")
        return found

    def installed(self) -> list[Installed]:
        """The timers that are there."""
        found = sorted(self.folder.glob("batchrunner-*.timer"))
        return [Installed(_job_of(path), "systemd", str(path), _description(path)) for path in found]

    def _tell(self, *words: str) -> None:
        try:
            _run(*self.manager, *words)
        except UsageError as error:
            raise UsageError(
                f"{error}; the units are in {self.folder}: enable the timer by hand, or leave that out with "
                "--no-enable, or choose another kind with --as"
            ) from None


def _job_of(timer: Path) -> str:
    return timer.stem.removeprefix("batchrunner-")


def _description(timer: Path) -> str:
    found = DESCRIPTION.search(timer.read_text(encoding="utf-8"))
    return found[1].replace("%%", "%") if found else ""


# --- cron --------------------------------------------------------------------------------------


def crontab_now() -> str:
    """The crontab of whoever runs this; empty where there is none."""
    if not has_cron():
        return ""
    done = subprocess.run(("crontab", "-l"), capture_output=True, text=True, check=False)  # noqa: S607  on the PATH
    return done.stdout if done.returncode == 0 else ""


def install_in_crontab(program: Program) -> None:
    """Add the job's block to the crontab, in place of an earlier one."""
    rest = crontab.without(crontab_now(), program.job.name)
    _run("crontab", "-", text=rest + crontab.block(program, zone(None)))


def remove_from_crontab(job: str) -> bool:
    """Take the job's block out of the crontab; whether there was one."""
    now = crontab_now()
    if job not in crontab.jobs(now):
        return False
    _run("crontab", "-", text=crontab.without(now, job))
    return True


def in_crontab() -> Sequence[Installed]:
    """The jobs that the crontab has."""
    return [Installed(job, "cron", "crontab", what) for job, what in crontab.jobs(crontab_now()).items()]
