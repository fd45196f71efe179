"""Finding again the files of earlier runs, wherever they lie now: known by content, not by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from batchrunner.cli.compose import OpenSource, open_at_hand, spool_of
from batchrunner.config import Job
from batchrunner.errors import SourceError
from batchrunner.ledger import Business, Nights, SqlLedger
from batchrunner.model import Source
from batchrunner.sources import fingerprint
from batchrunner.sources.places import AtHand, LocalFile, places


def find_sources(
    job: Job, business: Sequence[Business], ledger: SqlLedger
) -> tuple[list[tuple[OpenSource, Business]], list[Business]]:
    """The sources of unfinished rows that can be read again, opened, and those that cannot be found."""
    found, missing = [], []
    for one in business:
        path = find(job, one.source, ledger)
        if path is None:
            missing.append(one)
        else:
            found.append((open_at_hand(job, AtHand(path, str(path))), one))
    return found, missing


def find(job: Job, source: Source, ledger: SqlLedger) -> Path | None:
    """Where a file with this content lies: where it was, in the archive or the kept copies, under the job's folders."""
    kept = Nights(ledger).kept(job.name, source.fingerprint)
    for path in _candidates(job, source, kept):
        # The size is asked first: it costs nothing, and tells most files apart.
        if path.is_file() and path.stat().st_size == source.size_bytes and _same(path, source):
            return path
    return None


def _same(path: Path, source: Source) -> bool:
    return fingerprint(path).fingerprint == source.fingerprint


def _candidates(job: Job, source: Source, archived: Sequence[Path]) -> Iterator[Path]:
    recorded = Path(source.path)
    yield recorded
    yield from archived
    if kept := spool_of(job).with_content(source.fingerprint):
        yield kept
    named = _named(job)
    yield from named
    folders = (*(path.parent for path in named), job.file.parent, recorded.parent)
    for folder in dict.fromkeys(folders):
        if folder.is_dir():
            yield from sorted(folder.rglob(f"*{recorded.suffix}"))


def _named(job: Job) -> list[Path]:
    """The files that the job itself names now."""
    with suppress(SourceError):  # what it names may be gone
        return [place.path for place in places(job.source.path, job.file.parent) if isinstance(place, LocalFile)]
    return []
