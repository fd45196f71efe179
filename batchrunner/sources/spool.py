"""Private copies of what cannot be read twice, or not as a file of this machine: standard input, and addresses.

A copy is named by the fingerprint of its content, so that the same export is kept once, and found again by `retry`.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from batchrunner.addresses import Address
from batchrunner.errors import SourceError
from batchrunner.private import private_folder
from batchrunner.remote import Watch, fetch
from batchrunner.sources.files import InputFile, fingerprint

_INCOMING = ".incoming-"
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 100
_PIECE = 1 << 20
_ASK_AFTER_S = 0.2
"""How long we wait for a pipe before we look whether we are to stop."""

_BEING_MADE_S = 60.0
"""A file younger than this may not have its owner's lock yet."""

_TELLING = frozenset(
    {".csv", ".txt", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet"}
    | {".gz", ".bz2", ".xz", ".zst", ".zstd", ".zip"}
)
"""Ends of names that say what a file is."""


class Spool:
    """A directory of copies that only its owner can read."""

    def __init__(self, directory: Path, oldest_s: float) -> None:
        """Copies last used before `oldest_s` (Unix time) are removed when a new one comes."""
        self.directory = directory
        self._oldest_s = oldest_s

    def keep(self, name_of: Callable[[Path], str], fill: Callable[[Path], None]) -> Path:
        """Let `fill` write an empty file, and keep it under its content and a name. Raises SourceError."""
        with _saying(self.directory):
            private_folder(self.directory)
            self._forget()
            descriptor, incoming = tempfile.mkstemp(prefix=_INCOMING, dir=self.directory)  # mode 0600
        try:
            with _saying(self.directory):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                fill(Path(incoming))
                kept = self.directory / f"{fingerprint(Path(incoming)).fingerprint}-{_safe(name_of(Path(incoming)))}"
                if kept.exists():  # somebody may be reading it: another one in its place would look like a change
                    _note_use(kept)
                else:
                    Path(incoming).replace(kept)
        finally:
            Path(incoming).unlink(missing_ok=True)
            os.close(descriptor)
        return kept

    def with_content(self, fingerprint: str) -> Path | None:
        """The copy with this content, if it is kept; it now counts as just used."""
        for path in sorted(self.directory.glob(f"{glob_safe(fingerprint)}-*")):
            with suppress(OSError):
                _note_use(path)
            return path
        return None

    def old(self) -> list[Path]:
        """Copies that are kept no longer, and parts of copies whose makers have died."""
        found = []
        for path in self.directory.iterdir() if self.directory.is_dir() else ():
            with suppress(FileNotFoundError):  # another run may do the same
                if _last_used_s(path) < self._oldest_s or (path.name.startswith(_INCOMING) and _is_orphan(path)):
                    found.append(path)
        return found

    def _forget(self) -> None:
        for path in self.old():
            path.unlink(missing_ok=True)


def _note_use(path: Path) -> None:
    """In the time of access: another time of change would tell whoever reads the copy that it was written to."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _last_used_s(path: Path) -> float:
    status = path.stat()
    return max(status.st_atime, status.st_mtime)


def _is_orphan(incoming: Path) -> bool:
    """Whether whoever was filling a file has died: its lock went with it."""
    if time.time() - incoming.stat().st_mtime < _BEING_MADE_S:
        return False
    with incoming.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def glob_safe(fingerprint: str) -> str:
    """A fingerprint as part of a pattern: whatever the ledger says, nothing but letters and digits."""
    return re.sub(r"[^0-9a-f]", "", fingerprint)


def spool_standard_input(spool: Spool, go_on: Callable[[], None]) -> Path:
    """Read standard input to its end into a kept file. Raises SourceError, and what `go_on` raises."""
    if sys.stdin is None or sys.stdin.closed:
        raise SourceError("-: there is no standard input; name a file")
    if sys.stdin.isatty():
        raise SourceError("-: standard input is a terminal; pipe an export into this command, or name a file")
    source = sys.stdin.fileno()

    def fill(path: Path) -> None:
        with path.open("wb") as file:
            for piece in _pieces(source, go_on):
                file.write(piece)

    return spool.keep(_name_of_stdin, fill)


def _pieces(source: int, go_on: Callable[[], None]) -> Iterator[bytes]:
    waits = not stat.S_ISREG(os.fstat(source).st_mode)
    while True:
        go_on()
        if waits and not select.select([source], [], [], _ASK_AFTER_S)[0]:
            continue
        piece = os.read(source, _PIECE)
        if not piece:
            return
        yield piece


def spool_address(spool: Spool, address: Address, go_on: Callable[[], None], watch: Watch) -> Path:
    """Fetch what lies at an address into a kept file. Raises SourceError, and what `go_on` raises."""

    def name_of(path: Path) -> str:
        name = address.name or "export"
        return name if PurePath(name.lower()).suffix in _TELLING else f"{name}.{_kind(path)}"

    return spool.keep(name_of, lambda path: fetch(address, path, go_on, watch))


def _name_of_stdin(path: Path) -> str:
    return f"stdin.{_kind(path)}"


def _kind(path: Path) -> str:
    """Without a name to tell the format by: what begins like JSON is called so."""
    try:
        with InputFile.open(path, "utf-8").lines() as lines:
            first = next((line for line in iter(lines.line, "") if line.strip()), "")
    except SourceError:  # it will be said when the file is opened
        first = ""
    return "jsonl" if first.lstrip("\ufeff \t").startswith(("{", "[")) else "csv"


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)[-_LONGEST_NAME:]


@contextmanager
def _saying(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SourceError(
            f"{directory}: no copy of the source can be kept there ({reason}); make room, or set XDG_STATE_HOME to "
            f"another disk, then run again: nothing was sent"
        ) from error
