"""Runs of which the ledger has lost rows, and the reading of their result files for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchrunner.cli.options import state_dir
from batchrunner.cli.told_rows import KINDS, as_it_was, files_of, told_rows
from batchrunner.cli.whole import SUMMARY
from batchrunner.clock import SystemClock
from batchrunner.config import Job
from batchrunner.errors import ConfigError, SourceError, UsageError
from batchrunner.ledger import SqlLedger
from batchrunner.ledger.recalling import PastRun, Recalled, adopt, note_what_came_back, past_runs, recall
from batchrunner.ledger.repairing import gaps_in
from batchrunner.mapping import mapping_text

LONGEST_NAME = 40

CLAIMED = "accepted", "rejected", "failed", "in_doubt"
"""How rows end that the ledger has entries of."""


@dataclass(slots=True)
class Work:
    """A run whose result files are read, and what has come of it."""

    run: PastRun
    folder: Path | None
    adopted: bool = False
    came: Recalled = field(default_factory=Recalled)
    untold: int = 0
    summed: int = 0
    """Rows that its summary tells of."""
    missing: int = 0
    """Rows that a plain run may send again, after all."""
    problems: list[str] = field(default_factory=list)

    @property
    def not_held(self) -> int:
        """Rows that its files tell of and that came to nothing, and those that its summary alone tells of."""
        useless = self.untold + self.came.unlike
        return useless + max(0, self.summed - useless - self.came.held)


def recollect(job: Job, ledger: SqlLedger, named: Sequence[Path]) -> tuple[list[Work], list[Path]]:
    """Put back what can be; also the directories of runs that the ledger does not know. The job's lock is held.

    Raises LedgerError, and UsageError for what is not the directory of a run of the job.
    """
    ledger.must_be_sound()
    died = set(ledger.bury_dead_runs(job.name, SystemClock().now_ms()))
    works = _works(job, ledger, died, named)
    # What was accepted comes first, of all runs: then a row that was in doubt before is not held for it.
    for kind in KINDS:
        for work in works:
            _recall_kind(job, ledger, work, kind)
    gaps = _missing(job, ledger)
    for work in works:
        if work.adopted:
            note_what_came_back(ledger, work.run)
        work.missing = max(gaps.get(work.run.name, 0) - work.came.elsewhere, work.not_held)
    return works, _strangers(job, ledger)


# --- which runs ----------------------------------------------------------------------------------


def _works(job: Job, ledger: SqlLedger, died: set[str], named: Sequence[Path]) -> list[Work]:
    """Runs with gaps, runs that were under way when the ledger was copied, and what was named; oldest first."""
    # All are looked at before one is noted: a wrong one stops everything. Names of runs begin with their time.
    names = dict(sorted({_name(job, folder): folder for folder in named}.items()))
    wanted = {*_missing(job, ledger), *died, *names}
    known = past_runs(ledger, job.name)
    works = [Work(run, names.get(run.name, run.run_dir)) for run in known if run.name in wanted]
    new = names.keys() - {run.name for run in known}
    works += [Work(_adopted(job, ledger, name, names[name]), names[name], adopted=True) for name in sorted(new)]
    for work in works:
        _look(work)
    return works


def _missing(job: Job, ledger: SqlLedger) -> dict[str, int]:
    """How many rows of which runs are told of and not remembered."""
    return {gap.run: gap.told - gap.remembered for gap in gaps_in(ledger.path) if gap.job == job.name}


def _name(job: Job, folder: Path) -> str:
    """What the run is called whose directory it is. Raises UsageError for one that is no run's of this job."""
    if not any(files_of(folder, kind) for kind in KINDS):
        raise UsageError(f"{folder}: holds no result files; name the directory of a run")
    summary = _summary(folder)
    if summary.get("job", job.name) != job.name:
        raise UsageError(
            f"{folder}: is of job {summary['job']}, and {job.file.name} is job {job.name}; name its job file"
        )
    return str(summary.get("run", folder.name))[:LONGEST_NAME]


def _adopted(job: Job, ledger: SqlLedger, name: str, folder: Path) -> PastRun:
    """A run that the ledger does not know, from now on as if the job had been then what it is."""
    text, target = mapping_text(job), job.target.origin
    return adopt(
        ledger, job=job.name, name=name, at_ms=_sent_by(folder), mapping=text, run_dir=str(folder), installation=target
    )


def _look(work: Work) -> None:
    """Say what is known to be wanting before anything is read."""
    if work.folder is None or not work.folder.is_dir():
        work.problems.append(f"its directory {work.folder or ''} is gone, as after a purge")
        work.folder = None
    elif not (work.folder / SUMMARY).is_file():
        work.problems.append("it did not complete its result files: rows that were under way in the end are in none")
    else:
        counts = [_summary(work.folder).get(name) for name in CLAIMED]
        work.summed = sum(count for count in counts if isinstance(count, int))


def _summary(folder: Path) -> dict[str, Any]:
    found: object = None
    with suppress(OSError, ValueError):
        found = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _sent_by(folder: Path) -> int:
    """When all of a run's rows had been sent: a `repeat_after` that runs from then is never too short."""
    return max(path.stat().st_mtime_ns for kind in KINDS for path in files_of(folder, kind)) // 1_000_000


def _strangers(job: Job, ledger: SqlLedger) -> list[Path]:
    """Directories of runs of this job that the ledger does not know, and that may hold rows of this ledger."""
    folder = state_dir() / "runs" / job.name
    known = {run.name for run in past_runs(ledger, job.name)}
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    unknown = [one for one in there if one.is_dir() and one.name not in known]
    return [one for one in unknown if any(files_of(one, kind) for kind in KINDS) and _may_matter(_summary(one), ledger)]


def _may_matter(summary: Mapping[str, Any], ledger: SqlLedger) -> bool:
    """Unless its summary says that a run had another ledger, or sent nothing."""
    here = summary.get("ledger", str(ledger.path)) == str(ledger.path)
    return here and any(summary.get(name, 1) for name in CLAIMED)


# --- reading -------------------------------------------------------------------------------------


def _recall_kind(job: Job, ledger: SqlLedger, work: Work, kind: str) -> None:
    if work.folder is None:
        return
    for path in files_of(work.folder, kind):
        try:
            _recall_file(job, ledger, work, path)
        except (ConfigError, SourceError, OSError) as error:
            work.problems.append(f"{path} cannot be read: {error}")


def _recall_file(job: Job, ledger: SqlLedger, work: Work, path: Path) -> None:
    run = work.run
    was = as_it_was(job, run.mapping or mapping_text(job))
    at_ms = run.ended_ms or path.stat().st_mtime_ns // 1_000_000
    for page in told_rows(was, path):
        work.came += recall(ledger, run.id, page.told, at_ms)
        work.untold += page.untold
