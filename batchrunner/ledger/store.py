"""The ledger as a run uses it: what stands, what is claimed, what was settled. One writer, durable on return."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from filelock import Timeout
from sqlalchemy import func, insert, select, update

from batchrunner.errors import AlreadyRunning, LedgerError
from batchrunner.ledger import codec
from batchrunner.ledger.database import IN_MEMORY, close_database, locate, open_database, reading, saying, transaction
from batchrunner.ledger.files import DAMAGED, descriptor_of, is_held, lock_of
from batchrunner.ledger.parcels import OnwardStatements, find_parcels, knows_shape, note_onward, note_shape
from batchrunner.ledger.people import AskingForPeople
from batchrunner.ledger.records import DIED
from batchrunner.ledger.schema import entries, mappings, runs, sources
from batchrunner.ledger.statements import Statements
from batchrunner.ledger.steps import StepStatements, find_steps, note_steps
from batchrunner.ledger.stretches import knows_stretch, note_stretches
from batchrunner.model import (
    MAY_HAVE_ARRIVED,
    Claim,
    Engaged,
    EntryRef,
    Key,
    ParcelRecord,
    RequestId,
    RunId,
    Settled,
    Shape,
    Source,
    State,
    Step,
    Stretch,
    Totals,
    Who,
)
from batchrunner.ports import Onward, Standing
from batchrunner.stopwatch import UNWATCHED, Stopwatch


class SqlLedger:
    """A ledger in an SQL database (SQLite here; the SQL is portable)."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the ledger at a path, made or migrated if need be. Raises LedgerError."""
        self.path = path
        self.watch: Stopwatch = UNWATCHED
        self.lock_descriptor: int | None = None
        self._engine, self.connection = open_database(path, create=create)

    @cached_property
    def _statements(self) -> Statements:
        return Statements(self.connection)  # `status` and its like need none of them

    @cached_property
    def _onward(self) -> OnwardStatements:
        return OnwardStatements(self.connection)

    @cached_property
    def _steps(self) -> StepStatements:
        return StepStatements(self.connection)

    @cached_property
    def _people(self) -> AskingForPeople:
        return AskingForPeople(self.connection)

    @classmethod
    def for_reading(cls, ledger: str) -> Self:
        """The ledger that `--ledger URL|PATH` names; where there is none yet, an empty one that leaves no trace."""
        path = locate(ledger)
        return cls(path, create=False) if path.exists() else cls(IN_MEMORY)

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        close_database(self._engine, self.connection)

    # --- one run of a job at a time ----------------------------------------------------------------

    @contextmanager
    def locked(self, job: str) -> Iterator[None]:
        """Hold the job's lock: the operating system releases it when the process ends, however it ends.

        `lock_descriptor` is of that lock meanwhile.
        """
        with saying(self.path):
            lock = lock_of(self.path, job)
            try:
                lock.acquire()
            except Timeout:
                raise AlreadyRunning(self._who_runs(job)) from None
        self.lock_descriptor = descriptor_of(lock)
        try:
            yield
        finally:
            self.lock_descriptor = None
            lock.release()

    def is_running(self, job: str) -> bool:
        """Whether some process holds the job's lock now."""
        with saying(self.path):
            return is_held(self.path, job)

    def _who_runs(self, job: str) -> str:
        query = select(runs.c.name, runs.c.process).where(runs.c.job == job, runs.c.ended_ms.is_(None))
        last = self.connection.execute(query.order_by(runs.c.id.desc())).first()
        who = f"run {last.name} ({last.process})" if last else "another process"
        return f"job {job} is already being run by {who}; wait until it ends, or run again later"

    # --- a run from beginning to end ---------------------------------------------------------------

    def bury_dead_runs(self, job: str, now_ms: int) -> list[str]:
        """Say of earlier runs that never ended that they died; their open claims become in doubt.

        Only for the holder of the job's lock: nobody else can be running it. Returns the names of those runs.
        """
        dead = runs.c.job == job, runs.c.ended_ms.is_(None)
        with reading(self.path), transaction(self.connection):
            found = self.connection.execute(select(runs.c.id, runs.c.name, runs.c.totals).where(*dead)).all()
            for run_id, _, totals in found:
                self._bury(run_id, codec.unpack_totals(totals), now_ms)
        return [run.name for run in found]

    def _bury(self, run_id: int, totals: Totals, now_ms: int) -> None:
        ended = totals.with_open_claims(self._doubt_open_claims(run_id), DIED)
        values = {"ended_ms": now_ms, "ending": "died", "totals": codec.pack_totals(ended)}
        self.connection.execute(update(runs).where(runs.c.id == run_id).values(**values))

    def _doubt_open_claims(self, run_id: int) -> int:
        open_claims = entries.c.run_id == run_id, entries.c.state == int(State.CLAIMED)
        in_doubt = update(entries).where(*open_claims).values(state=int(State.IN_DOUBT), code=DIED)
        return self.connection.execute(in_doubt).rowcount

    def must_be_sound(self) -> None:
        """Read every page, as after a crash: whatever killed a run may have hurt the disk too. Raises LedgerError."""
        with saying(self.path):
            told = self.connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if told != "ok":
                raise LedgerError(f"{DAMAGED} ({told})")

    def begin_run(  # noqa: PLR0913  a row of `runs`
        self,
        *,
        job: str,
        name: str,
        verb: str,
        now_ms: int,
        read: Sequence[Source],
        mapping: str,
        run_dir: str,
        installation: str = "",
    ) -> RunId:
        """A new run, with its sources numbered from 1 and the mapping it uses."""
        process = f"{socket.gethostname()}:{os.getpid()}"
        with saying(self.path), transaction(self.connection):
            row = {
                "name": name, "job": job, "verb": verb, "started_ms": now_ms, "process": process,
                "run_dir": codec.printable(run_dir), "totals": codec.pack_totals(Totals()),
                "mapping_id": self._mapping_id(job, mapping),
                "installation": installation,
            }  # fmt: skip
            run_id: int = self.connection.execute(insert(runs).values(**row).returning(runs.c.id)).scalar_one()
            if numbered := [_source_values(run_id, number, source) for number, source in enumerate(read, start=1)]:
                self.connection.execute(insert(sources), numbered)
        return RunId(run_id)

    def _mapping_id(self, job: str, text: str) -> int:
        same = select(mappings.c.id).where(mappings.c.job == job, mappings.c.text == text)
        known: int | None = self.connection.execute(same).scalar()
        if known is not None:
            # What is sent under it from now on is meant to be kept, whatever was agreed before.
            self.connection.execute(update(mappings).where(mappings.c.id == known).values(retired=False))
            return known
        new = insert(mappings).values(job=job, text=text, retired=False).returning(mappings.c.id)
        made: int = self.connection.execute(new).scalar_one()
        return made

    def earlier_mappings(self, job: str, now: str) -> list[str]:
        """The mappings, other than the one of now, under which the job may have sent what the user means to keep."""
        others = mappings.c.job == job, mappings.c.text != now, mappings.c.retired.is_(False)
        with saying(self.path):
            return list(
                self.connection.execute(select(mappings.c.text).where(*others).order_by(mappings.c.id)).scalars()
            )

    def retire_mappings(self, job: str, but: str) -> None:
        """The user agrees that what the job sent under all other mappings is sent anew under this one."""
        others = mappings.c.job == job, mappings.c.text != but
        with saying(self.path), transaction(self.connection):
            self.connection.execute(update(mappings).where(*others).values(retired=True))

    def end_run(self, run: RunId, *, totals: Totals, ending: str, exit_code: int, now_ms: int) -> None:
        """Close a run."""
        values = {"ended_ms": now_ms, "ending": ending, "exit_code": exit_code, "totals": codec.pack_totals(totals)}
        with saying(self.path), transaction(self.connection):
            # The ledger may have failed for a moment and recovered: no claim may stay open in a run that has ended.
            self._doubt_open_claims(run)
            self.connection.execute(update(runs).where(runs.c.id == run).values(**values))

    # --- the straight way --------------------------------------------------------------------------

    def standing(self, keys: Collection[Key]) -> Mapping[Key, Standing]:
        """How each known key stands. Keys never claimed are absent."""
        # Neighbouring keys share pages of the index: asking in order costs a fraction of asking at random.
        with reading(self.path):
            return self._statements.standing(sorted(set(keys)))

    def known_people(self, people: Collection[Who]) -> set[Who]:
        """Those for whom something was accepted, whatever it was."""
        return set(self.last_served(people))

    def may_have_reached(self, people: Collection[Who]) -> set[Who]:
        """Those for whom something was accepted, or may have been."""
        return set(self._last(people, MAY_HAVE_ARRIVED))

    def last_served(self, people: Collection[Who]) -> Mapping[Who, RunId]:
        """The latest run in which something was accepted for a person: a range of the index for each."""
        return self._last(people, (State.ACCEPTED,))

    def _last(self, people: Collection[Who], states: Collection[State]) -> dict[Who, RunId]:
        with saying(self.path):
            return self._people.last(people, states)

    def exchange(
        self,
        run: RunId,
        settled: Sequence[Settled],
        claims: Sequence[Claim],
        totals: Totals,
        onward: Onward | None = None,
    ) -> None:
        """In one transaction: settle what came, claim what goes next, and note the run's totals."""
        with saying(self.path), transaction(self.connection):
            accepted, others = codec.accepted_values(run, settled)
            if accepted:
                self._statements.accept(accepted)
            if others:
                self._statements.settle(codec.settled_values(run, others))
            self.watch.lap("settle")
            if taken := [ref for one in claims if one.takes_over for ref in one.takes_over]:
                self._statements.take_over([(run, ref.run, ref.source_no, ref.row_number) for ref in taken])
            if claims:
                self._statements.insert_claims(codec.claim_values(run, claims))
            if onward is not None:
                note_onward(self._onward, run, onward)
                note_steps(self._steps, run, settled, claims, onward.claims)
            self._statements.note_totals([(codec.pack_totals(totals), run)])
            self.watch.lap("claim")
        self.watch.lap("commit")

    def parcels(self, request_ids: Collection[RequestId]) -> Mapping[RequestId, ParcelRecord]:
        """Which of these Request-IDs were those of parcels, and what is known of them."""
        with saying(self.path):
            return find_parcels(self.connection, request_ids)

    def knows_stretch(self, digest: bytes) -> bool:
        """Whether it is noted, and each of its entries is accepted, and no later one has taken its place."""
        with saying(self.path):
            return knows_stretch(self.connection, digest)

    def note_stretches(self, run: RunId, stretches: Sequence[Stretch]) -> None:
        """Remember those whose every entry is accepted by now; durable on return."""
        with saying(self.path), transaction(self.connection):
            note_stretches(self.connection, run, stretches)

    def steps(self, standing: Collection[Standing]) -> Mapping[EntryRef, Step]:
        """At which step these entries stand; those that went by the job's call are absent."""
        with saying(self.path):
            asked = {one.ref: codec.pack_request_id(one.request_id) for one in standing}
            return find_steps(self.connection, asked)

    def engaged(self, people: Collection[Who], since_ms: int) -> Mapping[Who, Engaged]:
        """Who of these was engaged by a request that was claimed no earlier, or may have been; others are absent."""
        with saying(self.path):
            return self._people.engaged(people, since_ms)

    def knows_shape(self, shape: Shape) -> bool:
        """Whether an answer to a request of this shape was ever understood."""
        with saying(self.path):
            return knows_shape(self.connection, shape)

    def note_shape(self, shape: Shape, now_ms: int) -> None:
        """Remember that it was."""
        with saying(self.path), transaction(self.connection):
            note_shape(self.connection, shape, now_ms)

    def count_states(self, run: RunId) -> Mapping[State, int]:
        """How many entries of a run stand in each state: the independent count that totals must agree with."""
        query = select(entries.c.state, func.count()).where(entries.c.run_id == run).group_by(entries.c.state)
        with reading(self.path):
            return {State(state): count for state, count in self.connection.execute(query)}


def _source_values(run_id: int, number: int, source: Source) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "source_no": number,
        "fingerprint": source.fingerprint,
        "path": codec.printable(source.path),
        "size_bytes": source.size_bytes,
    }


def open_ledger(ledger: str, *, create: bool = True) -> SqlLedger:
    """Open the ledger that `--ledger URL|PATH` names. Raises LedgerError."""
    return SqlLedger(locate(ledger), create=create)
