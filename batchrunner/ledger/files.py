"""The file of a ledger, before any database looks at it: where it lies, whether it is whole, and who holds its locks.

Nothing here needs SQLAlchemy, so that a look costs little (`glance`).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from filelock import FileLock, Timeout

from batchrunner.errors import LedgerError

DAMAGED = "the ledger is damaged; look with 'batchrunner ledger check', mend with 'batchrunner ledger repair'"

LOCK_PATIENCE_S = 0.5
"""`status` takes the lock for a moment to see whether a run holds it; a starting run must not take that for a run."""


def file_named(name: str) -> Path:
    """The file behind a path. Raises LedgerError."""
    try:
        return Path(os.path.expanduser(name)).resolve()  # noqa: PTH111  pathlib's raises where nobody has that name
    except ValueError:
        raise LedgerError(f"{name!r}: is not a possible file name; name another with --ledger") from None


# --- locks --------------------------------------------------------------------------------------


def lock_of(path: Path, job: str) -> FileLock:
    """The lock of a job: the operating system releases it when the process ends, however it ends."""
    return FileLock(_lock_path(path, job), timeout=LOCK_PATIENCE_S, mode=0o600)


def descriptor_of(lock: FileLock) -> int | None:
    """The descriptor of a lock that is held: whoever has it holds the lock too, until its last copy is closed."""
    # The lock belongs to the open file, and not to the process; filelock itself has no name for it.
    return lock._context.lock_file_fd  # noqa: SLF001


def is_held(path: Path, job: str) -> bool:
    """Whether some process holds the job's lock now. Raises OSError."""
    if not _lock_path(path, job).exists():
        return False
    try:
        with lock_of(path, job):
            return False
    except Timeout:
        return True


def _lock_path(path: Path, job: str) -> Path:
    return path.with_name(f"{path.name}.{job}.lock")


# --- whether it is whole ------------------------------------------------------------------------

_LARGEST_PAGE = 65_536  # written as 1
_HEADER = struct.Struct(">16xH6xI4xI60xI")  # page size, change counter, pages, and for which change those were counted


def must_not_be_cut_off(path: Path) -> None:
    """A file that has lost its end, or all of it, is never taken for a new ledger. Raises LedgerError."""
    if not path.is_file() or not _cut_off(path):
        return
    if any(_size(path.with_name(path.name + end)) for end in ("-wal", "-journal")):
        return  # another program is writing, or a log holds pages that the file does not have yet
    if what := _cut_off(path):  # it may have been written meanwhile
        raise LedgerError(f"{what}: {DAMAGED}")


def _cut_off(path: Path) -> str | None:
    size = _size(path)
    if size == 0:
        return "is empty, though jobs have run with it" if any(path.parent.glob(f"{path.name}.*.lock")) else None
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(b"SQLite format 3\0"):
        return None  # SQLite says what that is
    page, change, pages, counted_for = _HEADER.unpack(head)
    whole = pages * (page if page > 1 else _LARGEST_PAGE)
    return f"is cut off after {size} of {whole} bytes" if change == counted_for and size < whole else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
