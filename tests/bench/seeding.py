"""Ledgers that are full already: made through the ledger's own tables and columns, in large transactions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from batchrunner.config import Job, load_job
from batchrunner.ledger import SqlLedger
from batchrunner.ledger.codec import ROOM_FOR_PROFILE_ID
from batchrunner.mapping import compile_mapping, mapping_text, recipe_of
from batchrunner.model import Request, RunId, Source, Span, State, Stretch
from batchrunner.ports import Reader
from batchrunner.sources import open_source

PROFILE_ID = bytes.fromhex("5f4b7c8d9e0a1b2c3d4e5f60")
assert len(PROFILE_ID) == len(ROOM_FOR_PROFILE_ID)

NOW_MS = 1_780_000_000_000
"""Long enough ago for nothing, recent enough for everything."""

_INSERT = (
    "INSERT INTO entries (run_id, source_no, row_number, lines_ahead, key, request_id, requested_s, state, profile_id, "
    f"replayed, attempts) VALUES (?, 1, ?, 1, ?, ?, ?, {int(State.ACCEPTED)}, ?, 0, 1)"
)
A_TRANSACTION = 500_000
"""Keys are sorted within it, so that a page of their index is written a few times, and not once a row."""


def accept_all(job_file: Path, ledger_file: Path) -> None:
    """A ledger in which every row of the job's file was accepted."""
    job = load_job(job_file)
    path = job.file.parent / job.source.path
    reader = open_source(path, job.source)
    mapper = compile_mapping(job, reader.source, reader.columns, path.name)
    with SqlLedger(ledger_file) as ledger:
        run = _begin(ledger, job.name, [reader.source], mapping_text(job), job.target.origin)
        ends = (end for chunk in reader.chunks() for end in mapper.map(chunk))
        _fill(ledger, run, ((end.row.number, end.key) for end in ends if isinstance(end, Request)))
        ledger.note_stretches(RunId(run), _stretches(job, reader, RunId(run)))


def _stretches(job: Job, reader: Reader, run: RunId) -> list[Stretch]:
    """What such a run notes at its end."""
    found = []
    for chunk in reader.chunks():
        digest = chunk.digest(recipe_of(job) or b"")
        if digest is not None:
            found.append(Stretch(digest, (Span(run, 1, chunk.rows[0].number, chunk.rows[-1].number),)))
    return found


def random_rows(ledger: SqlLedger, rows: int, name: str) -> None:
    """So many more accepted rows with keys of their own, as from another job."""
    run = _begin(ledger, name, [Source("/seed", os.urandom(16).hex(), 0)], "seed", "http://127.0.0.1")
    _fill(ledger, run, ((number, os.urandom(16)) for number in range(1, rows + 1)))


def _begin(ledger: SqlLedger, job: str, read: list[Source], mapping: str, installation: str) -> int:
    return ledger.begin_run(
        job=job,
        name=os.urandom(6).hex(),
        verb="run",
        now_ms=NOW_MS,
        read=read,
        mapping=mapping,
        run_dir="/nowhere",
        installation=installation,
    )


def _fill(ledger: SqlLedger, run: int, rows: Iterable[tuple[int, bytes]]) -> None:
    waiting: Iterator[tuple[int, bytes]] = iter(rows)
    connection = ledger.connection
    connection.exec_driver_sql("PRAGMA synchronous = OFF")
    while some := list(islice(waiting, A_TRANSACTION)):
        ids = os.urandom(16 * len(some))
        values = [
            (run, number, key, ids[16 * at : 16 * at + 16], NOW_MS // 1000, PROFILE_ID)
            for at, (number, key) in enumerate(some)
        ]
        values.sort(key=lambda row: row[2])
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql(_INSERT, values)
        connection.exec_driver_sql("COMMIT")
    connection.exec_driver_sql("PRAGMA synchronous = FULL")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.exec_driver_sql(
        "UPDATE runs SET ended_ms = started_ms, ending = 'finished', exit_code = 0 WHERE id = ?", (run,)
    )
