"""The room that fetches exports from other machines: a whole file onto this one, its start, or what a folder holds.

    an address (`addresses`) -> the way to it: httpx for the web (`web`), fsspec for stores (`stores`)
        -> a copy, asked for again where the line breaks (`fetching`)

Nothing here is read as rows: what was fetched is a file like any other. Credentials come from the environment of the
libraries that ask, as docs/sources.md tells; none is in a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from batchrunner.addresses import WEB, Address
from batchrunner.remote.fetching import PATIENCE, Care, Line, Patience, Watch, attended, copied, first_bytes

__all__ = ["PATIENCE", "Patience", "Watch", "fetch", "listed", "start_of"]


def fetch(
    address: Address,
    to: Path,
    go_on: Callable[[], None] = lambda: None,
    watch: Watch = lambda _came, _of: None,
    patience: Patience = PATIENCE,
) -> None:
    """Copy what lies at an address into a file that is there. Raises SourceError, and what `go_on` raises.

    On return the file is as long as was announced, where a length was.
    """
    copied(lambda: _line(address, patience), to, Care(address.shown, _its(address, patience), go_on, watch))


def start_of(
    address: Address, size_bytes: int, go_on: Callable[[], None] = lambda: None, patience: Patience = PATIENCE
) -> bytes:
    """The first bytes of what lies at an address, so many at most. Raises SourceError."""
    return first_bytes(
        lambda: _line(address, patience), size_bytes, Care(address.shown, _its(address, patience), go_on)
    )


def listed(address: Address, go_on: Callable[[], None] = lambda: None, patience: Patience = PATIENCE) -> list[Address]:
    """The files of a folder, or those that match a pattern, by name; hidden ones are left out. Raises SourceError."""
    from batchrunner.remote.stores import files_of  # noqa: PLC0415  only what is used is imported

    return attended(lambda: files_of(address), Care(address.shown, _its(address, patience), go_on))


def _its(address: Address, patience: Patience) -> Patience:
    """Clients of stores of objects ask again by themselves, for half a minute."""
    return replace(patience, attempts=min(2, patience.attempts)) if address.scheme in ("s3", "gs") else patience


def _line(address: Address, patience: Patience) -> Line:
    if address.scheme in WEB:
        from batchrunner.remote.web import WebLine  # noqa: PLC0415  only what is used is imported

        return WebLine(address, patience)
    from batchrunner.remote.stores import StoreLine  # noqa: PLC0415  only what is used is imported

    return StoreLine(address)
