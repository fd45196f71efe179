"""Remembering again: rows that a ledger has lost are put back, as the result files of their runs tell of them.

Where a file and the ledger differ, that one wins by which nobody is engaged twice: what a file calls accepted stands
above anything of its own run or of an earlier one; what it calls in doubt, above what an earlier run says did not
arrive. All else that the ledger knows stays as it is.

Entries that come back have no Request-ID, for no file tells it. So a row in doubt is held for a person: it cannot be
repeated as the request that it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from batchrunner.ledger import codec
from batchrunner.ledger.database import reading, saying, transaction
from batchrunner.ledger.purging import STRIPPED
from batchrunner.ledger.schema import entries, mappings, runs, sources
from batchrunner.ledger.store import SqlLedger
from batchrunner.model import Accepted, EntryRef, InDoubt, Key, Outcome, RunId, State, Totals, Value
from batchrunner.ports import Standing

ROWS_A_QUERY = 500

UNNAMED = "(known from result files only)"
"""In place of the path of a source that no run tells of."""

_STATES = {"Accepted": State.ACCEPTED, "Rejected": State.REJECTED, "Failed": State.FAILED, "InDoubt": State.IN_DOUBT}
_DID_NOT_ARRIVE = (State.REJECTED, State.FAILED, State.RESEND)


class Told(Value, frozen=True):
    """A row that a result file tells of."""

    key: Key
    fingerprint: str
    """Of the source that it stood in first."""
    row_number: int
    lines_ahead: int
    outcome: Outcome


class Recalled(Value, frozen=True):
    """What became of some rows."""

    put_back: int = 0
    elsewhere: int = 0
    """Not put back, because another run has an entry for what they ask."""
    here: int = 0
    """Their run remembers them already."""
    unlike: int = 0
    """In their place stands an entry for something else, so nothing holds them back."""

    @property
    def held(self) -> int:
        """Rows that the ledger has an entry for now."""
        return self.put_back + self.elsewhere + self.here

    def __add__(self, other: Recalled) -> Recalled:
        """Both."""
        return Recalled(
            self.put_back + other.put_back, self.elsewhere + other.elsewhere, self.here + other.here,
            self.unlike + other.unlike,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of a job, as far as it matters here."""

    id: RunId
    name: str
    run_dir: Path | None
    ended_ms: int | None
    mapping: str | None
    """None where it cannot be told any more."""


def past_runs(ledger: SqlLedger, job: str) -> list[PastRun]:
    """All runs of a job, oldest first."""
    query = (
        select(runs.c.id, runs.c.name, runs.c.run_dir, runs.c.ended_ms, mappings.c.text)
        .join(mappings, runs.c.mapping_id == mappings.c.id, isouter=True)
        .where(runs.c.job == job)
        .order_by(runs.c.id)
    )
    with reading(ledger.path):
        rows = ledger.connection.execute(query).all()
        return [PastRun(RunId(r.id), r.name, Path(r.run_dir) if r.run_dir else None, r.ended_ms, r.text) for r in rows]


def adopt(  # noqa: PLR0913  a row of `runs`
    ledger: SqlLedger, *, job: str, name: str, at_ms: int, mapping: str, run_dir: str, installation: str
) -> PastRun:
    """Note a run of which only the directory is left.

    Until `note_what_came_back` it has not ended: who finds it so knows that its files were not read to the end.
    """
    run = ledger.begin_run(
        job=job, name=name, verb="run", now_ms=at_ms, read=[], mapping=mapping, run_dir=run_dir,
        installation=installation,
    )  # fmt: skip
    return PastRun(run, name, Path(run_dir), at_ms, mapping)


def note_what_came_back(ledger: SqlLedger, run: PastRun) -> None:
    """End a run that was adopted, and count its entries: more is not known of what it read."""
    found = ledger.count_states(run.id)
    totals = Totals(
        read=sum(found.values()),
        accepted=found.get(State.ACCEPTED, 0),
        rejected=found.get(State.REJECTED, 0),
        failed=found.get(State.FAILED, 0),
        in_doubt=found.get(State.IN_DOUBT, 0),
    )
    ended = {"ended_ms": run.ended_ms, "ending": "died", "process": None, "totals": codec.pack_totals(totals)}
    with saying(ledger.path), transaction(ledger.connection):
        ledger.connection.execute(update(runs).where(runs.c.id == run.id).values(**ended))


def recall(ledger: SqlLedger, run: RunId, told: Sequence[Told], at_ms: int) -> Recalled:
    """Put rows of a run back, in one transaction; durable on return. The holder of the job's lock only.

    `at_ms`: when they were sent, or a little later.
    """
    with saying(ledger.path), transaction(ledger.connection):
        numbers = _source_numbers(ledger.connection, run, {one.fingerprint for one in told})
        places = [EntryRef(run, numbers[one.fingerprint], one.row_number) for one in told]
        taken = _taken(ledger.connection, run, places)
        standing = dict(ledger.standing([one.key for one in told]))
        ends: Counter[str] = Counter()
        new = []
        for one, place in zip(told, places, strict=True):
            stands = standing.get(one.key)
            if stands is not None and not _gives_way(stands, one, run):
                ends["here" if place in taken else "elsewhere"] += 1
                continue
            if stands is not None and stands.ref == place:
                _accept(ledger.connection, place, one)
            elif place in taken:
                ends["unlike"] += 1
                continue
            else:
                if stands is not None:
                    ledger.connection.execute(update(entries).where(*_at(stands.ref)).values(superseded_by=run))
                new.append(_values(one, place, at_ms))
            ends["put_back"] += 1
            taken.add(place)
            standing[one.key] = Standing(place, _state(one), codec.unpack_request_id(STRIPPED), at_ms, replayed=True)
        if new:
            ledger.connection.execute(insert(entries), new)
    return Recalled(**ends)


def _state(one: Told) -> State:
    return _STATES[type(one.outcome).__name__]


def _gives_way(stands: Standing, one: Told, run: RunId) -> bool:
    """Whether what the ledger knows of a key is behind what a file of this run tells."""
    match one.outcome:
        case Accepted():
            return stands.state is not State.ACCEPTED and stands.ref.run <= run
        case InDoubt():
            return stands.state in _DID_NOT_ARRIVE and stands.ref.run < run
        case _:
            return False


def _source_numbers(connection: Connection, run: RunId, fingerprints: set[str]) -> dict[str, int]:
    """The numbers of these sources in a run, which gets those that it does not have."""
    query = select(sources.c.fingerprint, sources.c.source_no).where(sources.c.run_id == run)
    numbers = {one.fingerprint: one.source_no for one in connection.execute(query.order_by(sources.c.source_no.desc()))}
    last: int = connection.execute(select(func.max(sources.c.source_no)).where(sources.c.run_id == run)).scalar() or 0
    for number, fingerprint in enumerate(sorted(fingerprints - numbers.keys()), start=last + 1):
        same = select(sources.c.path, sources.c.size_bytes).where(sources.c.fingerprint == fingerprint)
        known = connection.execute(same.order_by(sources.c.run_id.desc())).first()
        path, size = (known.path, known.size_bytes) if known else (UNNAMED, 0)
        row = {"run_id": run, "source_no": number, "fingerprint": fingerprint, "path": path, "size_bytes": size}
        connection.execute(insert(sources).values(**row))
        numbers[fingerprint] = number
    return numbers


def _taken(connection: Connection, run: RunId, places: Sequence[EntryRef]) -> set[EntryRef]:
    """Those of the places in which an entry stands, live or not."""
    by_source: dict[int, list[int]] = {}
    for place in places:
        by_source.setdefault(place.source_no, []).append(place.row_number)
    found: set[EntryRef] = set()
    for number, rows in by_source.items():
        for start in range(0, len(rows), ROWS_A_QUERY):
            these = entries.c.row_number.in_(rows[start : start + ROWS_A_QUERY])
            query = select(entries.c.row_number).where(entries.c.run_id == run, entries.c.source_no == number, these)
            found.update(EntryRef(run, number, row) for row in connection.execute(query).scalars())
    return found


def _at(ref: EntryRef) -> tuple[ColumnElement[bool], ...]:
    here = entries.c.run_id == ref.run, entries.c.source_no == ref.source_no
    return (*here, entries.c.row_number == ref.row_number)


def _accept(connection: Connection, place: EntryRef, one: Told) -> None:
    connection.execute(update(entries).where(*_at(place)).values(**_ending(one.outcome)))


def _ending(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case Accepted(profile_id):
            return {"state": int(State.ACCEPTED), "code": None, "profile_id": codec.pack_profile_id(profile_id)}
        case _:
            return {"state": int(_STATES[type(outcome).__name__]), "code": outcome.code[:40], "profile_id": None}


def _values(one: Told, place: EntryRef, at_ms: int) -> dict[str, object]:
    return {
        "run_id": place.run, "source_no": place.source_no, "row_number": place.row_number,
        "lines_ahead": one.lines_ahead, "key": one.key, "request_id": STRIPPED, "requested_s": at_ms // 1000,
        # As one whose answer every repeat would get again: the gate lets nobody repeat such a request.
        "replayed": isinstance(one.outcome, InDoubt),
        "attempts": 1, "superseded_by": None, **_ending(one.outcome),
    }  # fmt: skip
