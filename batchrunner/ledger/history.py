"""What the ledger can tell and change outside a run: past runs, unfinished business, a person's decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update

from batchrunner.errors import UsageError
from batchrunner.ledger import codec
from batchrunner.ledger.database import reading, saying, transaction
from batchrunner.ledger.parcels import find_tasks
from batchrunner.ledger.records import EntryRecord, RunRecord
from batchrunner.ledger.schema import entries, live, mappings, runs, sources, unfinished
from batchrunner.ledger.statements import STANDING, as_standing
from batchrunner.ledger.steps import only_importing
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import EntryRef, Key, RunId, Source, State, TaskRecord
from batchrunner.ports import Standing

LAST = "last"
"""Instead of the name of a run: the job's newest one."""


@dataclass(frozen=True, slots=True)
class End:
    """How a claimed row ended, as far as the ledger remembers: it keeps no texts."""

    state: State
    code: str
    profile_id: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which unfinished entries are meant."""

    states: frozenset[State]
    codes: frozenset[str] = frozenset()
    """Empty: any."""
    run: RunId | None = None
    """None: of all runs of the job."""
    installation: str | None = None
    """Only of runs that sent there. None: wherever they sent."""

    def condition(self) -> ColumnElement[bool]:
        """As a condition on live, unfinished entries."""
        asked = [unfinished, entries.c.state.in_(sorted(int(state) for state in self.states))]
        if self.codes:
            asked.append(entries.c.code.in_(sorted(self.codes)))
        if self.run is not None:
            asked.append(entries.c.run_id == self.run)
        if self.installation is not None:
            sent_there = select(runs.c.id).where(runs.c.installation == self.installation)
            asked.append(entries.c.run_id.in_(sent_there))
        return and_(*asked)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the entries of one source lie: it may have been read by several runs."""

    run: RunId
    source_no: int


@dataclass(frozen=True, slots=True)
class Business:
    """The unfinished rows of one source."""

    source: Source
    rows: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """An unfinished row, and where it stood."""

    key: Key
    path: str
    fingerprint: str
    row_number: int
    line: int
    outcome: str
    code: str | None
    run: str
    """The name of the run that it ended in."""


class History:
    """Questions about the past, and the decisions of a person, on an open ledger."""

    def __init__(self, ledger: SqlLedger) -> None:
        """Share the ledger's connection."""
        self._connection = ledger.connection
        self._path = ledger.path

    # --- runs --------------------------------------------------------------------------------------

    def runs(self, job: str | None = None, limit: int = 50) -> list[RunRecord]:
        """The newest runs first."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        return self._records(query.where(runs.c.job == job) if job else query)

    def run(self, name: str, job: str | None = None) -> RunRecord:
        """The run of that name, of any unambiguous beginning of it, or the `last` one. Raises UsageError."""
        if name == LAST:
            found = self.runs(job, limit=1)
        else:
            named = runs.c.name.startswith(name, autoescape=True)
            found = self._records(select(runs).where(and_(named, runs.c.job == job) if job else named).limit(2))
        if len(found) == 1:
            return found[0]
        of_job = f" of job {job}" if job else ""
        if found:
            raise UsageError(f"'{name}' is the beginning of several runs{of_job}; write more of the name")
        raise UsageError(f"there is no run '{name}'{of_job}; 'batchrunner runs' lists them")

    def jobs(self) -> list[str]:
        """The names of all jobs that ever ran."""
        with reading(self._path):
            return list(self._connection.execute(select(runs.c.job).distinct().order_by(runs.c.job)).scalars())

    def _records(self, query: Any) -> list[RunRecord]:  # noqa: ANN401  any select over `runs`
        with reading(self._path):
            rows = self._connection.execute(query).all()
            return [_run_record(row, self._sources_of(row.id)) for row in rows]

    def _sources_of(self, run_id: int) -> tuple[Source, ...]:
        query = select(sources).where(sources.c.run_id == run_id).order_by(sources.c.source_no)
        return tuple(Source(row.path, row.fingerprint, row.size_bytes) for row in self._connection.execute(query))

    def entries(self, run: RunId, states: Collection[State], limit: int) -> list[EntryRecord]:
        """The first entries of a run that stand so, in file order."""
        standing = entries.c.state.in_(sorted(int(state) for state in states))
        query = select(entries).where(entries.c.run_id == run, standing)
        order = query.order_by(entries.c.source_no, entries.c.row_number).limit(limit)
        with reading(self._path):
            return [_entry_record(row) for row in self._connection.execute(order)]

    def tasks(self, run: RunId) -> list[TaskRecord]:
        """What the platform has queued of a run, in file order."""
        with saying(self._path):
            return find_tasks(self._connection, run)

    def mappings(self, job: str) -> list[str]:
        """Every mapping the job ever ran with, newest first."""
        query = select(mappings.c.text).where(mappings.c.job == job).order_by(mappings.c.id.desc())
        with reading(self._path):
            return list(self._connection.execute(query).scalars())

    def mapping_of(self, run: RunId) -> str:
        """The mapping that a run used."""
        query = select(mappings.c.text).join(runs, runs.c.mapping_id == mappings.c.id).where(runs.c.id == run)
        with reading(self._path):
            text: str = self._connection.execute(query).scalar_one()
        return text

    def ends(self, place: Place, first: int, last: int) -> dict[int, End]:
        """How the claimed rows first to last (inclusive) of one source ended, by row number."""
        columns = entries.c.row_number, entries.c.state, entries.c.code, entries.c.profile_id
        here = entries.c.run_id == place.run, entries.c.source_no == place.source_no
        query = select(*columns).where(*here, entries.c.row_number.between(first, last))
        with reading(self._path):
            return {
                row.row_number: End(State(row.state), row.code or "", codec.unpack_profile_id(row.profile_id))
                for row in self._connection.execute(query)
            }

    def last_rows(self, run: RunId) -> dict[int, int]:
        """The last claimed row of each source of a run, by the source's number."""
        query = select(entries.c.source_no, func.max(entries.c.row_number)).where(entries.c.run_id == run)
        with reading(self._path):
            return dict(self._connection.execute(query.group_by(entries.c.source_no)).tuples().all())

    def ever_claimed(self, job: str, fingerprint: str, before: RunId, rows: Collection[int]) -> set[int]:
        """Which of these rows of a source an earlier run of the job had claimed."""
        query = (
            select(entries.c.row_number)
            .join(sources, and_(entries.c.run_id == sources.c.run_id, entries.c.source_no == sources.c.source_no))
            .join(runs, runs.c.id == sources.c.run_id)
            .where(runs.c.job == job, sources.c.fingerprint == fingerprint, entries.c.run_id < before)
            .where(entries.c.row_number.in_(sorted(rows)))
        )
        with reading(self._path):
            return set(self._connection.execute(query).scalars())

    # --- unfinished business -----------------------------------------------------------------------

    def unfinished_counts(self, job: str) -> Mapping[tuple[State, str], int]:
        """How many rows of a job wait for something, by state and code."""
        query = (
            select(entries.c.state, entries.c.code, func.count())
            .join(runs, runs.c.id == entries.c.run_id)
            .where(runs.c.job == job, unfinished)
            .group_by(entries.c.state, entries.c.code)
        )
        with reading(self._path):
            return {(State(state), code or ""): count for state, code, count in self._connection.execute(query)}

    def unfinished(self, job: str, wanted: Wanted) -> list[Business]:
        """The wanted rows of a job by source, oldest first."""
        query = (
            select(sources, func.count().label("rows"))
            .join(entries, and_(entries.c.run_id == sources.c.run_id, entries.c.source_no == sources.c.source_no))
            .join(runs, runs.c.id == sources.c.run_id)
            .where(runs.c.job == job, wanted.condition())
            .group_by(*sources.c)
            .order_by(sources.c.run_id, sources.c.source_no)
        )
        with reading(self._path):
            return _by_fingerprint(self._connection.execute(query).all())

    def wanted_rows(
        self, places: Iterable[Place], first: int, last: int, wanted: Wanted
    ) -> dict[int, tuple[Key, Standing]]:
        """The wanted entries among the rows first to last (inclusive) of one source, by row number."""
        here = or_(*(and_(entries.c.run_id == p.run, entries.c.source_no == p.source_no) for p in places))
        query = select(*STANDING).where(here, entries.c.row_number.between(first, last), wanted.condition())
        with reading(self._path):
            rows = self._connection.execute(query.order_by(entries.c.run_id)).all()
        return {row.row_number: (Key(row.key), as_standing(row)) for row in rows}

    def leftovers(self, business: Business, wanted: Wanted) -> list[Leftover]:
        """The wanted rows of one source, one by one, in file order."""
        source = business.source
        found = []
        with reading(self._path):
            for place in business.places:
                here = entries.c.run_id == place.run, entries.c.source_no == place.source_no
                query = select(entries).where(*here, wanted.condition()).order_by(entries.c.row_number)
                name = self.run_name(place.run)
                found += [
                    Leftover(
                        Key(row.key), source.path, source.fingerprint, row.row_number, row.row_number + row.lines_ahead,
                        State(row.state).name.lower(), row.code, name,
                    )
                    for row in self._connection.execute(query)
                ]  # fmt: skip
        return found

    def run_name(self, run: RunId) -> str:
        """What a person calls it."""
        with reading(self._path):
            name: str = self._connection.execute(select(runs.c.name).where(runs.c.id == run)).scalar_one()
        return name

    def run_dir(self, run: RunId) -> Path | None:
        """Where its result files are, or were."""
        with reading(self._path):
            path: str | None = self._connection.execute(select(runs.c.run_dir).where(runs.c.id == run)).scalar_one()
        return None if path is None else Path(path)

    def take_over(self, stale: Sequence[EntryRef], by: RunId) -> None:
        """Note that other entries have taken the place of these: their rows now ask for something else."""
        with saying(self._path), transaction(self._connection):
            for ref in stale:
                here = entries.c.run_id == ref.run, entries.c.source_no == ref.source_no
                at = update(entries).where(*here, entries.c.row_number == ref.row_number)
                self._connection.execute(at.values(superseded_by=by))

    # --- a person decides --------------------------------------------------------------------------

    def resolve(self, wanted: Wanted, rows: Collection[int], decision: State) -> int:
        """Set wanted live entries (only those rows, if any are named) to a person's decision; how many there were.

        One of which no more than an import is in doubt is never taken for accepted: nobody was engaged by it.
        """
        query = update(entries).where(wanted.condition(), live)
        if rows:
            query = query.where(entries.c.row_number.in_(sorted(rows)))
        if decision is State.ACCEPTED:
            query = query.where(~only_importing())
        with saying(self._path), transaction(self._connection):
            return self._connection.execute(query.values(state=int(decision))).rowcount

    def only_imported(self, wanted: Wanted) -> int:
        """Of how many wanted live entries no more than an import is in doubt."""
        query = select(func.count()).select_from(entries).where(wanted.condition(), live, only_importing())
        with saying(self._path):
            count: int = self._connection.execute(query).scalar_one()
        return count


def _by_fingerprint(rows: Sequence[Row[Any]]) -> list[Business]:
    found: dict[str, Business] = {}
    for row in rows:
        place = Place(RunId(row.run_id), row.source_no)
        source = Source(row.path, row.fingerprint, row.size_bytes)
        earlier = found.get(row.fingerprint, Business(source, 0, ()))
        # The newest path is the likeliest place to find the file.
        found[row.fingerprint] = Business(source, earlier.rows + row.rows, (*earlier.places, place))
    return list(found.values())


def _run_record(row: Row[Any], read: tuple[Source, ...]) -> RunRecord:
    return RunRecord(
        id=RunId(row.id),
        name=row.name,
        job=row.job,
        verb=row.verb,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        ending=row.ending,
        exit_code=row.exit_code,
        totals=codec.unpack_totals(row.totals),
        run_dir=row.run_dir,
        sources=read,
    )


def _entry_record(row: Row[Any]) -> EntryRecord:
    return EntryRecord(
        source_no=row.source_no,
        row_number=row.row_number,
        line=row.row_number + row.lines_ahead,
        state=State(row.state),
        code=row.code,
        profile_id=codec.unpack_profile_id(row.profile_id),
        attempts=row.attempts,
        requested_ms=row.requested_s * 1000,
        taken_over=row.superseded_by is not None,
    )
