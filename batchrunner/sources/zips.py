"""The members of a zip that are data, in the order of its directory. Their names are never used as paths."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from batchrunner.errors import SourceError
from batchrunner.sources.packed import shown

_MOST_MEMBERS = 1_000
_LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini"})
_ENCRYPTED = 0x1


def data_members(path: Path, pattern: str | None) -> list[zipfile.ZipInfo]:
    """The members that match, or all that hold data. Raises SourceError when there are none or they are locked."""
    members = _directory(path)
    if leading_out := next((member for member in members if ".." in _parts_of(member)), None):
        raise SourceError(
            f"{path}: the name {shown(leading_out.filename)} leads out of the archive, as those of attacks do; "
            f"nothing of it was read: ask whoever made it, or unpack it yourself and name the file"
        )
    found = [member for member in members if _wanted(member, pattern)]
    if not found:
        raise SourceError(f"{path}: {_nothing(pattern)}")
    if len(found) > _MOST_MEMBERS:
        raise SourceError(
            f"{path}: has {len(found)} files in it, and more than {_MOST_MEMBERS} are not read as one; "
            f"choose by `member` under [source], or unpack it"
        )
    for member in found:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SourceError(
                f"{path}: {shown(member.filename)} is a link, which is not followed; pack the file itself"
            )
        if member.flag_bits & _ENCRYPTED:
            raise SourceError(f"{path}: {shown(member.filename)} is locked by a password; unpack it and name the file")
    return found


def _nothing(pattern: str | None) -> str:
    if pattern is None:
        return "is a zip without files in it; export it again"
    return f"no file in this zip is called {pattern!r}; correct `member` under [source]"


def _directory(path: Path) -> Sequence[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise SourceError(
            f"{path}: is a zip that is cut off or damaged ({error}); get the file again, nothing of it was read"
        ) from None
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise SourceError(f"{path}: is an Office file; save it as CSV and name that")
    return members


def _parts_of(member: zipfile.ZipInfo) -> Sequence[str]:
    """Of its name, which may be written in the way of either kind of system."""
    return PurePosixPath(member.filename.replace("\\", "/")).parts


def _wanted(member: zipfile.ZipInfo, pattern: str | None) -> bool:
    if member.is_dir():
        return False
    within = PurePosixPath(member.filename)
    if pattern is not None:
        return fnmatchcase(member.filename, pattern) or fnmatchcase(within.name, pattern)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in within.parts)
    return not hidden and within.name.lower() not in _LEFT_BY_SYSTEMS
