"""Where exports lie: what a job or a command line says, as places, and each place as a file on this machine.

    people.csv            a file
    exports/              every file in a directory, by name; hidden ones and those in folders beneath it are left alone
    exports/*.csv         the files that match, by name
    -                     standard input, kept (`spool`), so that `retry` finds it again

Two steps, so that one may choose among places before anything is fetched: `places` lists, `at_hand` brings.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from batchrunner.errors import SourceError, UsageError
from batchrunner.sources.spool import Spool, spool_standard_input

STDIN = "-"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


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


Place = LocalFile | StandardInput


@dataclass(frozen=True, slots=True)
class AtHand:
    """A file that can be read as often as one likes."""

    path: Path
    name: str
    """What a person calls it: its path as it was given."""


def places(spec: str, folder: Path) -> list[Place]:
    """The places that a text names, in the order in which they are read; relative paths begin at `folder`.

    Raises SourceError when a pattern or a directory names nothing. A single path is taken at its word.
    """
    if spec == STDIN:
        return [StandardInput()]
    if _ADDRESS.match(spec):
        raise SourceError(
            f"{_without_secrets(spec)}: addresses are not read; fetch the file first, as in: "
            f"curl -fsS -o FILE ADDRESS && batchrunner run JOB FILE"
        )
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


def at_hand(place: Place, spool: Spool, go_on: Callable[[], None] = lambda: None) -> AtHand:
    """The file at a place, copied into the spool if it is not on this machine. Raises SourceError.

    `go_on` is called again and again while one waits for data; what it raises ends the waiting.
    """
    match place:
        case LocalFile(path):
            return AtHand(path, str(path))
        case StandardInput():
            path = spool_standard_input(spool, go_on)
            return AtHand(path, str(path))


def _without_secrets(address: str) -> str:
    """Passwords stand before an @, signatures behind a question mark."""
    return re.sub(r"(?<=://)[^/@]*@", "", address).split("?")[0].split("#")[0]


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
