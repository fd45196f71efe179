"""Finding again the files of earlier runs, wherever they lie now: known by content, not by name.

What was fetched from another machine is read from its copy; where that is gone, it is fetched anew, and its content
must still be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from batchrunner.addresses import HIDDEN_QUERY, Address, is_address
from batchrunner.cli.compose import OpenSource, brought, open_at_hand, spool_of
from batchrunner.cli.night import note, this_night
from batchrunner.config import Job
from batchrunner.errors import SourceError
from batchrunner.ledger import Business, Nights, SqlLedger
from batchrunner.model import Source
from batchrunner.nights import dated
from batchrunner.sources import fingerprint
from batchrunner.sources.places import AtHand, LocalFile, RemoteFile, places


def find_sources(
    job: Job, business: Sequence[Business], ledger: SqlLedger, go_on: Callable[[], None] = lambda: None
) -> tuple[list[tuple[OpenSource, Business]], list[Business]]:
    """The sources of unfinished rows that can be read again, opened, and those that cannot be found."""
    found, missing = [], []
    for one in business:
        path = find(job, one.source, ledger, go_on)
        if path is None:
            missing.append(one)
        else:
            found.append((open_at_hand(job, as_known(one.source, path)), one))
    return found, missing


def as_known(source: Source, path: Path) -> AtHand:
    """A file with the content of a source, by the name that the ledger has for it: its address, or where it is."""
    if is_address(source.path):
        return AtHand(path, source.path, source.path)
    return AtHand(path, str(path))


def find(job: Job, source: Source, ledger: SqlLedger, go_on: Callable[[], None] = lambda: None) -> Path | None:
    """Where a file with this content lies: where it was, in the archive or the kept copies, under the job's folders."""
    kept = Nights(ledger).kept(job.name, source.fingerprint)
    for path in _candidates(job, source, kept):
        # The size is asked first: it costs nothing, and tells most files apart.
        if path.is_file() and path.stat().st_size == source.size_bytes and _same(path, source):
            return path
    return _fetched_anew(job, source, go_on)


def _same(path: Path, source: Source) -> bool:
    return fingerprint(path).fingerprint == source.fingerprint


def _candidates(job: Job, source: Source, archived: Sequence[Path]) -> Iterator[Path]:
    recorded = Path(source.path)
    if not is_address(source.path):
        yield recorded
    yield from archived
    if kept := spool_of(job).with_content(source.fingerprint):
        yield kept
    named = _named(job)
    yield from named
    if is_address(source.path):  # its copy is nowhere but in the spool
        return
    folders = (*(path.parent for path in named), job.file.parent, recorded.parent)
    for folder in dict.fromkeys(folders):
        if folder.is_dir():
            yield from sorted(folder.rglob(f"*{recorded.suffix}"))


def _fetched_anew(job: Job, source: Source, go_on: Callable[[], None]) -> Path | None:
    """A source on another machine, if it can still be had and is still the same; else it is said why not."""
    address = _address_of(job, source)
    if address is None:
        return None
    try:
        path = brought(job, RemoteFile(address), go_on).path
    except SourceError as error:
        note(str(error))
        return None
    if _same(path, source):
        return path
    note(
        f"{source.path}: the source has changed since it was sent (its fingerprint was {source.fingerprint}), and no "
        "copy of it is kept any more"
    )
    return None


def _address_of(job: Job, source: Source) -> Address | None:
    """The address of a source: the ledger knows it without its query, which the job may still have."""
    if not is_address(source.path):
        return None
    spec = dated(job.source.path, this_night(job))
    with suppress(ValueError):
        if is_address(spec) and (named := Address.of(spec)).shown == source.path:
            return named
        if not source.path.endswith(HIDDEN_QUERY):
            return Address.of(source.path)
    return None


def _named(job: Job) -> list[Path]:
    """The files of this machine that the job itself names now."""
    if is_address(job.source.path):
        return []
    with suppress(SourceError):  # what it names may be gone
        return [place.path for place in places(job.source.path, job.file.parent) if isinstance(place, LocalFile)]
    return []
