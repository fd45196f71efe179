"""The command that a timer calls, and what it needs of its surroundings."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from batchrunner.addresses import is_address
from batchrunner.config import Job
from batchrunner.errors import UsageError

MARGIN_S = 30
"""Above the time that requests in flight may take: result files and the ledger are closed too."""


@dataclass(frozen=True, slots=True)
class Program:
    """What fires the slots of one job."""

    job: Job
    ledger: Path
    state_home: Path
    """XDG_STATE_HOME: the run directories are below it."""
    token_file: Path | None = None
    """Instead of the job's own."""

    @property
    def words(self) -> tuple[str, ...]:
        """The command, with absolute paths: timers have neither this folder nor this PATH."""
        fire = ("-m", "batchrunner", "schedule", "fire", str(self.job.file), "--ledger", str(self.ledger), "--quiet")
        return (sys.executable, *fire)

    @property
    def token(self) -> Path:
        """The file that holds the token. Raises UsageError where none is named."""
        if self.token_file is not None:
            return self.token_file.absolute()
        if self.job.target.token_file is not None:
            return self.job.beside(self.job.target.token_file)
        raise UsageError(
            f"{self.job.file}: a timer does not have your ALTCRAFT_TOKEN; write the token into a file of mode 0600, "
            "and name it as `token_file` under [target], or here with --token-file"
        )

    @property
    def drain_s(self) -> int:
        """How long a graceful stop may take: what flies is waited for."""
        target = self.job.target
        return round(target.connect_timeout.total_seconds() + target.timeout.total_seconds()) + MARGIN_S

    @property
    def writes_to(self) -> tuple[Path, ...]:
        """Folders in which a run writes, the ledger's first."""
        job = self.job
        named = [job.after.archive_to, job.after.error_to, job.metrics.textfile_dir if job.metrics else None]
        others = [_there(_plain(job.beside(one))) for one in named if one is not None]
        folders = [self.ledger.parent, self.state_home / "batchrunner", export_folder(job), *others]
        return tuple(dict.fromkeys(folders))


def export_folder(job: Job) -> Path:
    """The folder in which exports of the job arrive: what stands in front of the first pattern. Else the job's own."""
    if is_address(job.source.path):
        return job.file.parent
    path = job.beside(job.source.path)
    if path.is_dir():
        return path
    plain = _plain(path)
    return path.parent if plain == path else plain


def _plain(path: Path) -> Path:
    """What stands in front of the first part of a path that is a pattern."""
    patterned = [one for one in (path, *path.parents) if any(mark in one.name for mark in "*?[{")]
    return patterned[-1].parent if patterned else path


def _there(folder: Path) -> Path:
    """The folder, or the first one above it that there is: in it a run makes what is missing."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())
