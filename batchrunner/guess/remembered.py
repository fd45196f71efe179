"""What was mapped before: jobs that read columns such as these, and what they made of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchrunner.config import Job, SourceTable, load_job
from batchrunner.errors import ConfigError, SourceError
from batchrunner.mapping import mapping_columns
from batchrunner.sources import open_source

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Remembered:
    """A request that was written for these columns before."""

    where: str
    """The job file, or the job in the ledger."""
    request: dict[str, Any]
    """As it is written."""
    columns: tuple[str, ...]
    """That it reads."""
    rules: dict[str, Any] = field(default_factory=dict)
    same_header: bool = False
    """Its export is known to have the very same columns."""


def remembered(columns: Sequence[str], candidates: Iterable[Remembered]) -> Remembered | None:
    """The candidate that knows these columns best, or None."""
    known = set(columns)
    fitting = [
        one
        for one in candidates
        if one.columns and known.issuperset(one.columns)
        and (one.same_header or len(one.columns) >= _HALF * len(known))
    ]  # fmt: skip
    return max(fitting, key=lambda one: (one.same_header, len(one.columns)), default=None)


def jobs_in(folder: Path, columns: Collection[str], leave_out: Path) -> list[Remembered]:
    """The jobs in a folder. Files that are no job files are passed over: they are somebody else's."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        if path.absolute() == leave_out.absolute():
            continue
        try:
            job = load_job(path)
            used = mapping_columns(job)
            written = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (ConfigError, OSError):
            continue
        rules = written.get("rules", {})
        same = _header_of(job) == set(columns)
        found.append(Remembered(path.name, written["request"], tuple(used), rules, same))
    return found


def _header_of(job: Job) -> set[str]:
    """The columns of the export that a job names, if it is still there."""
    try:
        return set(open_source(job.beside(job.source.path), job.source).columns)
    except SourceError:
        return set()


def job_in_ledger(name: str, mapping: str) -> Remembered | None:
    """A mapping as a ledger keeps it; None for one that this version cannot read."""
    try:
        kept: Mapping[str, Any] = json.loads(mapping)
        job = Job.model_validate(
            {
                "name": kept["name"],
                "source": SourceTable(path="-"),
                "target": {"url": "http://localhost", "workflow_id": kept["workflow_id"]},
                "request": kept["request"],
            }
        )
        used = mapping_columns(job)
    except (ValueError, KeyError, TypeError):
        return None
    rules = {key: value for key, value in kept.get("rules", {}).items() if key in ("repeat", "empty", "when")}
    return Remembered(f"the job '{name}' in the ledger", dict(kept["request"]), tuple(used), rules)
