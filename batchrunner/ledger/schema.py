"""The tables of the ledger, and how an older ledger becomes a newer one. All portable SQL.

    runs ──< sources          what was read, known by its fingerprint
     │ └──── mappings         what determined keys and payloads (no values of any row)
     └──< entries             one per claimed row: claim and outcome

    loads                    which files a job has loaded to their end, and where they lie now
    pauses                   jobs that a person has paused
    notices                  what kind of event a job's last run was
    slots                    which moments of a job's schedule were fired: each once, for its key is unique
    stretches                which entries rows have that came one after the other, by a digest of their cells
    uploads                   what the platform calls files that it has
    tasks                     what it calls rows that it has queued
    steps                     where an entry stands that goes by more than one request

An entry holds digests, ids and codes: never a payload, an address or a token. Rows that the gate held back and rows
that never became requests are counted in `runs.totals` only, so a nightly file that repeats itself adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    and_,
    insert,
    inspect,
    select,
    update,
)

from batchrunner.errors import LedgerError
from batchrunner.model import State

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("job", String(80), nullable=False, index=True),
    Column("verb", String(10), nullable=False),  # run, retry
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),  # NULL: running, or died
    Column("ending", String(20)),  # finished, stopped, died
    Column("exit_code", Integer),
    Column("totals", Text, nullable=False),  # JSON, in the same transaction as the entries it counts
    Column("mapping_id", Integer),
    Column("installation", Text, nullable=False),  # to which the run sent
    Column("run_dir", Text),
    Column("process", Text),  # host and process id, for people
)

mappings = Table(
    "mappings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String(80), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("retired", Boolean, nullable=False),  # the user has agreed that what it sent may be sent anew
)

sources = Table(
    "sources",
    metadata,
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    Column("source_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", String(32), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

# Claims arrive in the order of this primary key, so settling is a walk along one edge of the tree; WITHOUT ROWID
# keeps entries in that tree itself (measured: 1.5 µs a row from 100 thousand to 10 million rows).
entries = Table(
    "entries",
    metadata,
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    Column("source_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("row_number", BigInteger, primary_key=True, autoincrement=False),
    Column("lines_ahead", BigInteger, nullable=False),  # line minus row number: small, so it takes next to no room
    Column("key", LargeBinary(16), nullable=False),
    Column("request_id", LargeBinary(16), nullable=False),
    Column("requested_s", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("code", String(40)),
    Column("profile_id", LargeBinary(65)),
    Column("replayed", Boolean, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("superseded_by", Integer),  # the run whose entry took this one's place
    sqlite_with_rowid=False,
)

# What the platform calls files that were uploaded to it; a row names them by their content.
uploads = Table(
    "uploads",
    metadata,
    Column("installation", String(200), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("file_key", Text, nullable=False),
    Column("uploaded_s", BigInteger, nullable=False),
)

live = entries.c.superseded_by.is_(None)
"""An entry that no later entry has taken over: there is at most one per key, and the database sees to it."""

Index("entries_live_key", entries.c.key, unique=True, sqlite_where=live, postgresql_where=live)

unfinished = and_(entries.c.state >= int(State.REJECTED), live)
"""What `retry` and `status` ask for. Accepted rows never enter its index, so they do not pay for it."""

Index("entries_unfinished", entries.c.run_id, sqlite_where=unfinished, postgresql_where=unfinished)

# Beside `sources`, which names what a run began with: a load has been read to its end, and outlives its run.
loads = Table(
    "loads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String(80), nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("path", Text, nullable=False),  # where it arrived
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("loaded_ms", BigInteger, nullable=False),
    Column("run_id", Integer, nullable=False),
    Column("arrived", Boolean, nullable=False),  # at the job's own path; else a person named it
    Column("kept_at", Text),  # where it was moved to
    Index("loads_job_fingerprint", "job", "fingerprint"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("job", String(80), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),  # NULL: until somebody says otherwise
    Column("why", Text),
)


def _nights(connection: Connection) -> None:
    """What a job has loaded, and which jobs are paused."""
    metadata.create_all(connection, tables=[loads, pauses])


slots = Table(
    "slots",
    metadata,
    Column("job", String(80), primary_key=True),
    Column("slot_s", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(10), nullable=False),  # fired, passed
    Column("claimed_ms", BigInteger, nullable=False),
    Column("passed_over", Integer, nullable=False),  # missed slots that this one stands for
    Column("run", String(40)),  # its name
    Column("exit_code", Integer),
    Column("ended_ms", BigInteger),  # NULL: running, or died
)

# Apart from `slots`: who was told outlives a schedule that is taken away.
notices = Table(
    "notices",
    metadata,
    Column("job", String(80), primary_key=True),
    Column("event", String(20), nullable=False),  # the last one: after trouble, all being well is news
    Column("at_ms", BigInteger, nullable=False),
)


def _slots(connection: Connection) -> None:
    """Which moments of a schedule were fired."""
    metadata.create_all(connection, tables=[slots])


def _add_uploads(connection: Connection) -> None:
    """What the platform calls files that it has."""
    uploads.create(connection)


def _notices(connection: Connection) -> None:
    """What somebody was told last."""
    metadata.create_all(connection, tables=[notices])


# Rows that went as one request are answered as one: they may be sent again only as they were.
parcels = Table(
    "parcels",
    metadata,
    Column("request_id", LargeBinary(16), primary_key=True),
    Column("run_id", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),  # over the payloads in their order
    sqlite_with_rowid=False,
)

# How a platform was asked about many profiles at once, when it gave an answer that was understood.
shapes = Table(
    "shapes",
    metadata,
    Column("installation", String(200), primary_key=True),
    Column("endpoint", String(80), primary_key=True),
    Column("written", String(40), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)


def _parcels(connection: Connection) -> None:
    """Requests about many profiles."""
    metadata.create_all(connection, tables=[parcels, shapes])


# What the platform calls rows that it has queued: the only thing by which anybody there can find them again.
tasks = Table(
    "tasks",
    metadata,
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    Column("request_id", LargeBinary(16), primary_key=True),
    Column("task", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("first_source", SmallInteger, nullable=False),
    Column("first_row", BigInteger, nullable=False),
    Column("last_source", SmallInteger, nullable=False),
    Column("last_row", BigInteger, nullable=False),
)


def _tasks(connection: Connection) -> None:
    """What the platform calls rows that it has queued."""
    tasks.create(connection)


# One row for some thousands of rows. It says where their entries are, and nothing of how those stand.
stretches = Table(
    "stretches",
    metadata,
    Column("digest", LargeBinary(16), primary_key=True),  # over cells, columns and all else that keys are made from
    Column("run_id", Integer, nullable=False),  # which noted it
    Column("spans", Text, nullable=False),  # JSON: [[run, source, first row, last row], ...]
    sqlite_with_rowid=False,
)


def _stretches(connection: Connection) -> None:
    """Rows that need not be asked for one by one."""
    metadata.create_all(connection, tables=[stretches])


# At which step a row is that does not go by the job's own call; only while it is under way or in doubt.
steps = Table(
    "steps",
    metadata,
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    Column("source_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("row_number", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", LargeBinary(16), nullable=False),  # of the step: what is noted of another one does not count
    Column("step", SmallInteger, nullable=False),
    Column("doubtful", Boolean, nullable=False),  # something before this step may have engaged the person
    Column("profile_id", Text),  # whole: the next request is about it
    sqlite_with_rowid=False,
)


def _steps(connection: Connection) -> None:
    """Rows that go by more than one request."""
    metadata.create_all(connection, tables=[steps])


def _shorter_profile_ids(_: Connection) -> None:
    """Profile ids in a byte less, which older programs would misread. Entries stay as they are: both are understood."""


MIGRATIONS: Sequence[Callable[[Connection], None]] = (
    _nights,
    _slots,
    _add_uploads,
    _notices,
    _parcels,
    _tasks,
    _stretches,
    _steps,
    _shorter_profile_ids,
)
"""Step n makes a ledger of version n one of version n+1, counted from 1. Never edit a step that has shipped: add one.

A new ledger is made from the tables above as they stand, so a step and the table it changes belong in one commit; a
test holds a migrated ledger to a new one.
"""

VERSION = 1 + len(MIGRATIONS)


def version_of(connection: Connection) -> int:
    """The version of a ledger; 0 for an empty database. Raises LedgerError for a database of somebody else."""
    names = inspect(connection).get_table_names()
    if not names:
        return 0
    if schema_version.name not in names:
        raise LedgerError("is a database, but not a ledger of batchrunner; name another file with --ledger")
    version: int = connection.execute(select(schema_version.c.version)).scalar_one()
    return version


def migrate(connection: Connection) -> None:
    """Bring a ledger up to `VERSION`, inside the caller's transaction. Raises LedgerError for a newer one."""
    version = version_of(connection)
    if version > VERSION:
        raise LedgerError(
            f"was written by a newer batchrunner (ledger version {version}, this program knows {VERSION}); "
            "upgrade batchrunner, or name another ledger with --ledger"
        )
    if version == 0:
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version=VERSION))
    elif version < VERSION:
        for step in MIGRATIONS[version - 1 :]:
            step(connection)
        connection.execute(update(schema_version).values(version=VERSION))
