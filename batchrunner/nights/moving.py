"""Moving a file into a folder: all of it or nothing, across file systems too, and never over another file."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from batchrunner.private import private_folder

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
"""What file systems say that know no second name for a file."""


def move(file: Path, folder: Path) -> Path:
    """Move a file into a folder, which is made; the path it has there. Raises OSError.

    A name that is taken gets a number: `export.csv`, `export-1.csv`, `export-2.csv`. At every moment the whole file is
    under its old name, its new name or both.
    """
    private_folder(folder)
    if file.parent.resolve() == folder.resolve():
        return file
    try:
        kept = _take_name(file, folder, file.name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        kept = _copy(file, folder)
    file.unlink(missing_ok=True)  # where it could only be renamed, its old name is gone already
    _sync(folder)
    return kept


def _names(name: str) -> Iterator[str]:
    """The name itself, then with numbers in front of its first ending: `export-1.csv.gz`."""
    yield name
    stem, dot, ending = name.partition(".") if not name.startswith(".") else (name, "", "")
    yield from (f"{stem}-{number}{dot}{ending}" for number in count(1))


def _take_name(file: Path, folder: Path, name: str) -> Path:
    """Give a file a second name in the folder, the first one that is free; without links, its only name."""
    for free in _names(name):
        target = folder / free
        try:
            os.link(file, target, follow_symlinks=True)
        except FileExistsError:
            # A move that was cut off between its two steps has left it there: it is this very file.
            if file.samefile(target):
                return target
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if _renamed(file, target):
                return target
        else:
            return target
    raise AssertionError  # names are without end


def _renamed(file: Path, target: Path) -> bool:
    """Without links: take the name with an empty file, and put the real one in its place."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    file.replace(target)
    return True


def _copy(file: Path, folder: Path) -> Path:
    """Onto another file system: under a name that nobody takes for an export, until it is whole and on the disk."""
    part = folder / f".{file.name}.{secrets.token_hex(4)}.part"
    try:
        before = file.stat()
        shutil.copy2(file, part)
        with part.open("rb") as copied:
            os.fsync(copied.fileno())
        after = file.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(errno.EBUSY, "the file was written to while it was moved")
        return _take_name(part, folder, file.name)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _sync(folder: Path) -> None:
    """The new name is on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no such thing
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
