"""Where exports lie: what a job or a command line says, as places, and each place as a file on this machine.

    people.csv            a file
    exports/              every file in a directory, by name; hidden ones and those in folders beneath it are left alone
    exports/*.csv         the files that match, by name
    -                     standard input, kept (`spool`), so that `retry` finds it again
    https://…, s3://…     a file on another machine, fetched and kept in the same way (`remote`)
    s3://bucket/in/*.csv  the files that match there, or those in a folder (s3://bucket/in/)

Two steps, so that one may choose among places before anything is fetched: `places` lists, `at_hand` brings.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from batchrunner.addresses import Address, is_address
from batchrunner.errors import SourceError, UsageError
from batchrunner.remote import Watch, listed
from batchrunner.sources.spool import Spool, spool_address, spool_standard_input

STDIN = "-"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine; whether it is there is found out when it is opened."""

    path: Path

    @property
    def name(self) -> str:
        """As a person calls it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class StandardInput:
    """What is piped into us."""

    name: str = STDIN


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on another machine; whether it is there is found out when it is fetched."""

    address: Address

    @property
    def name(self) -> str:
        """Its address, without secrets."""
        return self.address.shown


Place = LocalFile | StandardInput | RemoteFile


@dataclass(frozen=True, slots=True)
class AtHand:
    """A file that can be read as often as one likes."""

    path: Path
    name: str
    """What a person calls it: its path as it was given, or its address without secrets."""
    called: str | None = None
    """Its address without secrets, by which the ledger knows it, where it was copied from one."""


def places(spec: str, folder: Path) -> list[Place]:
    """The places that a text names, in the order in which they are read; relative paths begin at `folder`.

    Raises SourceError when a pattern or a directory names nothing. A single path or address is taken at its word.
    """
    if spec == STDIN:
        return [StandardInput()]
    if is_address(spec):
        return _remote(spec)
    path = folder / os.path.expanduser(spec)  # noqa: PTH111  pathlib's raises where nobody has that name
    if path.is_dir():
        visible = [one for one in sorted(path.iterdir()) if not one.name.startswith(".")]
        return _files(visible, f"{path}: is a directory without files in it")
    if glob.has_magic(spec) and not _exists(path):
        pattern = os.path.expanduser(spec)  # noqa: PTH111  pathlib's raises where nobody has that name
        found = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207  may be absolute
        return _files([folder / one for one in found], f"{path}: no file matches this pattern")
    return [LocalFile(path)]


def all_places(specs: Iterable[str], folder: Path) -> list[Place]:
    """The places of several texts, one after the other. Raises SourceError, UsageError."""
    found = [place for spec in specs for place in places(spec, folder)]
    if sum(isinstance(place, StandardInput) for place in found) > 1:
        raise UsageError("standard input ('-') can be read only once; name it once")
    return found


def at_hand(
    place: Place,
    spool: Spool,
    go_on: Callable[[], None] = lambda: None,
    watch: Watch = lambda _came, _of: None,
) -> AtHand:
    """The file at a place, copied into the spool if it is not on this machine. Raises SourceError.

    `go_on` is called again and again while one waits for data; what it raises ends the waiting. `watch` is told how
    much of a file on another machine has come.
    """
    match place:
        case LocalFile(path):
            return AtHand(path, str(path))
        case StandardInput():
            path = spool_standard_input(spool, go_on)
            return AtHand(path, str(path))
        case RemoteFile(address):
            return AtHand(spool_address(spool, address, go_on, watch), address.shown, address.shown)


def _remote(spec: str) -> list[Place]:
    try:
        address = Address.of(spec)
    except ValueError as error:
        raise SourceError(str(error)) from None
    if not address.is_listed:
        return [RemoteFile(address)]
    found: list[Place] = [RemoteFile(one) for one in listed(address)]
    if not found:
        what = "holds no file" if spec.endswith("/") else "no file matches this pattern"
        raise SourceError(f"{address.shown}: {what}; check `path` under [source], or name the files")
    return found


def _files(candidates: Iterable[Path], otherwise: str) -> list[Place]:
    """What is no directory; pipes and devices are refused when they are opened."""
    found: list[Place] = [LocalFile(path) for path in candidates if not path.is_dir()]
    if not found:
        raise SourceError(f"{otherwise}; check `path` under [source], or name the files")
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
