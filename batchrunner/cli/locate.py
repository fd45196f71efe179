"""Finding again the files of earlier runs, wherever they lie now: known by content, not by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from batchrunner.cli.compose import OpenSource, open_sources
from batchrunner.config import Job
from batchrunner.ledger import Business
from batchrunner.model import Source
from batchrunner.sources import fingerprint


def find_sources(job: Job, business: Sequence[Business]) -> tuple[list[tuple[OpenSource, Business]], list[Business]]:
    """The sources of unfinished rows that can be read again, opened, and those that cannot be found."""
    found, missing = [], []
    for one in business:
        path = find(job, one.source)
        if path is None:
            missing.append(one)
        else:
            found.append((open_sources(job, [path])[0], one))
    return found, missing


def find(job: Job, source: Source) -> Path | None:
    """Where a file with this content lies: where it was, or under the job's folders."""
    for path in _candidates(job, source):
        # The size is asked first: it costs nothing, and tells most files apart.
        if path.is_file() and path.stat().st_size == source.size_bytes and _same(path, source):
            return path
    return None


def _same(path: Path, source: Source) -> bool:
    return fingerprint(path).fingerprint == source.fingerprint


def _candidates(job: Job, source: Source) -> Iterator[Path]:
    recorded = Path(source.path)
    named = job.beside(job.source.path)
    yield recorded
    yield named
    for folder in dict.fromkeys((named.parent, job.file.parent, recorded.parent)):
        if folder.is_dir():
            yield from sorted(folder.rglob(f"*{recorded.suffix}"))
