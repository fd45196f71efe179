"""The files of a run, from their arrival to their archive: `nights` with ledger and file system."""

from __future__ import annotations

import shlex
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import click

from batchrunner.addresses import is_address
from batchrunner.cli import compose
from batchrunner.clock import SystemClock, wall_time, zone
from batchrunner.config import ArrivalTable, Job
from batchrunner.errors import ConfigError, LedgerError, Reason, RefusedFile, ResultError, SourceError
from batchrunner.ledger import Load, Nights, SqlLedger
from batchrunner.model import RunId
from batchrunner.nights import (
    Arrivals,
    Arrived,
    NightEvent,
    Sighting,
    dated,
    fewest_rows,
    finished,
    markers,
    move,
    sighting,
    sightings,
    too_small,
)
from batchrunner.nights.sizes import NIGHTS
from batchrunner.pipeline import Batch, Ended, StopRequest
from batchrunner.sources import fingerprint
from batchrunner.sources.places import LocalFile, Place, all_places


def note(sentence: str) -> None:
    """Tell a person at the terminal, or whoever reads the log."""
    click.echo(f"batchrunner: {sentence}", err=True)


def this_night(job: Job, day: date | None = None) -> datetime:
    """Now, as the clock on the job's wall shows it; on another day, where one is asked for."""
    now = wall_time(SystemClock().now_ms(), zone(job.timezone))
    return now if day is None else now.replace(year=day.year, month=day.month, day=day.day)


def job_places(job: Job, now: datetime) -> list[Place]:
    """Where the job's exports lie now. Raises SourceError where a pattern names nothing."""
    return all_places([dated(job.source.path, now)], job.file.parent)


def looked_at(job: Job, specs: Sequence[str]) -> list[Place]:
    """What a command looks at that does not wait: what is named, or what a run would take now. Raises SourceError."""
    now = this_night(job)
    if specs:
        return all_places(specs, Path())
    if job.arrival is None or not (found := _seen(job, job.arrival, now)):
        return job_places(job, now)
    return [LocalFile(one.path) for one in (found if job.arrival.take == "all" else found[-1:])]


def _seen(job: Job, table: ArrivalTable, now: datetime) -> list[Sighting]:
    """The job's files as they are, without those that are none yet; nothing is there, where nothing is there."""
    try:
        found = job_places(job, now)
    except SourceError:
        return []
    if strange := [place.name for place in found if not isinstance(place, LocalFile)]:
        raise ConfigError(f"{job.file}: [arrival] awaits files on this machine, and `path` is {strange[0]}; remove one")
    paths = [place.path for place in found if isinstance(place, LocalFile)]
    return sightings(finished(paths, table.ignore), table.done_marker)


def waiter(stop: StopRequest) -> Callable[[float], None]:
    """Something to wait with, which a signal ends. Raises Interrupted."""
    roused = threading.Event()
    stop.wake = roused.set

    def wait(seconds: float) -> None:
        roused.wait(seconds)
        compose.raise_if_stopped(stop)

    return wait


class _Memory:
    """What the ledger knows of files (`nights.arrival.Memory`)."""

    def __init__(self, nights: Nights, job: Job) -> None:
        self._nights = nights
        self._job = job.name
        self.newest_ns = nights.newest_ns(job.name)

    def is_old(self, one: Sighting) -> bool:
        return self._nights.loaded_as(self._job, str(one.path), one.size_bytes, one.modified_ns) is not None

    def has_content(self, one: Sighting) -> bool:
        # The size is asked first: it costs nothing, and tells most files apart.
        if not self._nights.has_size(self._job, one.size_bytes):
            return False
        return self._nights.loaded(self._job, fingerprint(one.path).fingerprint) is not None


@dataclass(frozen=True, slots=True)
class _Aside:
    """Where a file was moved that cannot be loaded."""

    clause: str = ""
    """For the sentence about it."""
    path: Path | None = None


@dataclass(slots=True)
class Night:
    """The files of one run: awaited or named, opened, looked at, counted, and put away."""

    job: Job
    now: datetime
    any_size: bool = False
    files: Sequence[Sighting] = ()
    own: bool = True
    """They came where the job expects them; files that a person names are looked at, and left where they are."""
    archived: Sequence[Path] = ()
    hands_off: bool = False
    """Files stay where they are: what the sandbox accepted was sent to nobody."""
    _rows: Counter[int] = field(default_factory=Counter)

    # --- before -------------------------------------------------------------------------------------

    def named(
        self, specs: Sequence[str], go_on: Callable[[], None], *, bar: bool | None = None
    ) -> list[compose.OpenSource]:
        """Open what a person names, or what the job names without saying how it arrives. Raises SourceError."""
        self.own = not specs
        found = looked_at(self.job, specs) if specs else job_places(self.job, self.now)
        seen = [sighting(place.path, None) if isinstance(place, LocalFile) else None for place in found]
        opened = compose.open_places(self.job, found, go_on, bar=bar)
        self.files = [
            one or Sighting(Path(source.reader.source.path), source.reader.source.size_bytes, 0, 0)
            for one, source in zip(seen, opened, strict=True)
        ]
        return opened

    def arrived(self, ledger: SqlLedger, stop: StopRequest) -> list[compose.OpenSource] | NightEvent:
        """Wait for the night's files and open them. Raises MissingFile, RefusedFile, SourceError."""
        table = self.job.arrival or ArrivalTable()
        what = str(self.job.beside(dated(self.job.source.path, self.now)))
        memory = _Memory(Nights(ledger), self.job)
        arrivals = Arrivals(table, lambda: _seen(self.job, table, self.now), memory, what)
        arrived = arrivals.await_them(SystemClock(), waiter(stop), self.now, note)
        self._put_away(ledger, arrived)
        if not arrived.fresh:
            return self._nothing_to_do(arrived, what)
        self.files = arrived.fresh
        opened = [self._open(one) for one in arrived.fresh]
        if not self.any_size:
            self._must_not_be_small(opened, table, Nights(ledger))
        return opened

    def _nothing_to_do(self, arrived: Arrived, what: str) -> NightEvent:
        if not arrived.came:
            return NightEvent(Reason.NOTHING_NEW, f"{what}: nothing new has arrived; nothing was sent")
        names = ", ".join(one.path.name for one in arrived.done)
        return NightEvent(
            Reason.ALREADY_LOADED,
            f"{what}: the content of {names} was loaded before; nothing was sent; to load a file all the same, name it "
            "behind the job",
        )

    def _open(self, one: Sighting) -> compose.OpenSource:
        try:
            return compose.open_places(self.job, [LocalFile(one.path)])[0]
        except SourceError as error:
            if not one.is_unchanged():
                raise
            raise RefusedFile(f"{error}{self._set_aside(one).clause}", Reason.UNREADABLE_FILE) from error

    def _must_not_be_small(self, opened: Sequence[compose.OpenSource], table: ArrivalTable, nights: Nights) -> None:
        last = nights.last_rows(self.job.name, NIGHTS)
        enough = fewest_rows(table.min_rows, table.shrink_alert, last)
        for one, source in zip(self.files, opened, strict=True):
            refused = too_small(one.path.name, _count(source, enough), table.min_rows, table.shrink_alert, last)
            if refused:
                aside = self._set_aside(one)
                named = shlex.join([str(self.job.file), *([str(aside.path)] if aside.path else []), "--any-size"])
                raise RefusedFile(
                    f"{refused}; nothing was sent{aside.clause}; to send it all the same: batchrunner run {named}",
                    refused.reason,
                )

    # --- while it runs ------------------------------------------------------------------------------

    def counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; the records of each source are counted on their way."""
        for batch in batches:
            self._rows[batch.source_no] += batch.rows
            yield batch

    # --- after --------------------------------------------------------------------------------------

    def over(
        self, ledger: SqlLedger, run: RunId, sources: Sequence[compose.OpenSource], ended: Ended, *, whole: bool
    ) -> Ended:
        """Remember what was loaded, and put the files away. How the run ended, also with what that came to.

        A file that was not read to its end stays: the next run goes on with it.
        """
        if isinstance(ended.error, SourceError):
            return replace(ended, error=self._damaged(ended.error))
        if ended.error is not None or not whole:
            return ended
        try:
            Nights(ledger).note(self._loads(run, sources))
            self.archived = [kept for one in self.files if (kept := self._archive(ledger, one))]
        except OSError as error:
            return replace(ended, error=_cannot_move(error))
        except LedgerError as error:  # the run ended all the same, and must be told
            return replace(ended, error=error)
        return ended

    def _loads(self, run: RunId, sources: Sequence[compose.OpenSource]) -> list[Load]:
        now_ms = SystemClock().now_ms()
        return [
            Load(
                self.job.name, one.reader.source.fingerprint, _path_of(one, seen), seen.size_bytes, seen.modified_ns,
                self._rows[number], now_ms, run, arrived=self.own or self.any_size,
            )
            for number, (one, seen) in enumerate(zip(sources, self.files, strict=True), start=1)
        ]  # fmt: skip

    def _archive(self, ledger: SqlLedger, one: Sighting) -> Path | None:
        folder = self.job.after.archive_to
        if folder is None or not self.own or self.hands_off:
            return None
        if not one.is_unchanged():
            note(f"{one.path}: was replaced while it was loaded, so it stays: the next run loads what is there now")
            return None
        nights = Nights(ledger)
        load = nights.loaded_as(self.job.name, str(one.path), one.size_bytes, one.modified_ns)
        # Of a repeat nothing was noted yet: it is, so that a purge finds it.
        known = load or self._noted_repeat(nights, one)
        kept = self._move(one, folder)
        nights.note_kept(self.job.name, known.fingerprint, str(one.path), str(kept))
        return kept

    def _noted_repeat(self, nights: Nights, one: Sighting) -> Load:
        content = fingerprint(one.path).fingerprint
        rows, run = (first.rows, first.run) if (first := nights.loaded(self.job.name, content)) else (0, RunId(0))
        repeat = Load(
            self.job.name, content, str(one.path), one.size_bytes, one.modified_ns, rows, SystemClock().now_ms(), run,
            arrived=False,
        )  # fmt: skip
        nights.note([repeat])
        return repeat

    def _put_away(self, ledger: SqlLedger, arrived: Arrived) -> None:
        """Files whose content was loaded before: repeats, and those whose archiving was cut off. Raises ResultError."""
        try:
            for one in arrived.done:
                if kept := self._archive(ledger, one):
                    note(f"{one.path}: was loaded before; moved to {kept}")
        except OSError as error:
            raise _cannot_move(error) from error

    def _damaged(self, error: SourceError) -> SourceError:
        """Of a file that cannot be read to its end: it would stop every night, so it is set aside."""
        bad = next((one for one in self.files if str(error).startswith(f"{one.path}:")), None)
        if bad is None or not self.own or not bad.is_unchanged():
            return error
        aside = self._set_aside(bad)
        return RefusedFile(f"{error}{aside.clause}", Reason.UNREADABLE_FILE) if aside.clause else error

    def _set_aside(self, one: Sighting) -> _Aside:
        """Move a file away that cannot be loaded, where the job says so."""
        folder = self.job.after.error_to
        if folder is None or self.hands_off:
            return _Aside()
        try:
            path = self._move(one, folder)
        except OSError as error:
            return _Aside(f"; it could not be moved to {folder} ({error.strerror})")
        return _Aside(f"; it was moved to {path}", path)

    def _move(self, one: Sighting, folder: str) -> Path:
        to = self.job.beside(dated(folder, self.now))
        kept = move(one.path, to)
        marker = self.job.arrival.done_marker if self.job.arrival else None
        if marker is not None and marker.startswith("."):
            for beside in markers(one.path, marker):
                if beside.exists():
                    move(beside, to)
        return kept


def _path_of(source: compose.OpenSource, seen: Sighting) -> str:
    """Where a source lay: what looks like an address would not be one any more as a path."""
    known = source.reader.source.path
    return known if is_address(known) else str(seen.path)


def _count(source: compose.OpenSource, enough: int) -> int:
    """The records of a source, or `enough` of them."""
    count = 0
    for chunk in source.reader.chunks():
        count += len(chunk) + len(chunk.broken)
        if count >= enough:
            break
    return count


def _cannot_move(error: OSError) -> ResultError:
    return ResultError(
        f"all rows have ended, but {error.filename or 'the export'} cannot be moved ({error.strerror}); see the "
        "folders under [after]; the next run moves it, and loads nothing twice"
    )
