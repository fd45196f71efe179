"""Attachments: the content of a file or an address that a cell names, or a cell that holds it itself, as base64.

A cell can name files beneath one folder only, which the job file names: what an export says must never reach other
files of the machine, be it by `..`, by an absolute path or by a link. In the same way it can name addresses on those
hosts only that the job file names.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path

from batchrunner.attachments import Upload, digest_of, fetch_mark, host_of, mark
from batchrunner.mapping.conversions import Convert

MAX_BYTES = 1_000_000
"""Of one file. Every row carries its own copy through the pipeline."""

_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def file_reader(folder: Path, max_bytes: int) -> Convert:
    """A reader of files beneath a folder; gives their content as base64."""

    def read_file(text: str) -> str:
        path = _beneath(folder.resolve(), text.strip())
        try:
            if not path.is_file():
                raise ValueError(f"is not a file in folder '{folder.name}'")
            with path.open("rb") as opened:
                content = opened.read(max_bytes + 1)
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from None
        if len(content) > max_bytes:
            raise ValueError(f"is a file of more than {max_bytes} bytes; raise `max_bytes`, or attach less")
        return base64.b64encode(content).decode("ascii")

    return read_file


def upload_reader(home: Path, folder: str, max_bytes: int) -> Convert:
    """A reader of files beneath a folder of `home`; gives the mark of each, which is uploaded when it is needed."""
    seen: dict[tuple[str, int, int], str] = {}
    root = (home / folder).resolve()

    def read_mark(text: str) -> str:
        name = text.strip()
        path = _beneath(root, name)
        try:
            if not path.is_file():
                raise ValueError(f"is not a file in folder '{root.name}'")
            now = path.stat()
            if not 0 < now.st_size <= max_bytes:
                raise ValueError(
                    "is an empty file" if not now.st_size
                    else f"is a file of more than {max_bytes} bytes; raise `max_bytes`, or attach less"
                )  # fmt: skip
            # Thousands of rows may name one file: it is read again only when it has changed.
            same = (str(path), now.st_mtime_ns, now.st_size)
            if same not in seen:
                seen[same] = digest_of(path)
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from None
        return mark(Upload(seen[same], folder, name))

    return read_mark


def url_reader(hosts: Sequence[str]) -> Convert:
    """A reader of addresses on these hosts; gives the mark of each, which is fetched when its row is sent."""
    allowed = frozenset(map(str.lower, hosts))

    def read_mark(text: str) -> str:
        url = text.strip()
        host = host_of(url)
        if host not in allowed:
            raise ValueError(f"leads to host '{host[:80]}', which `hosts` does not name")
        return fetch_mark(url)

    return read_mark


def _beneath(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a circle of links, a name that is too long
        raise ValueError(f"is not a file in folder '{folder.name}'") from None
    if not path.is_relative_to(folder):
        raise ValueError(f"leads out of folder '{folder.name}', where alone files are read")
    return path


def parse_base64(text: str) -> str:
    """Content that is base64 already, without white space and without the head of a data: URL."""
    bare = _DATA_URL.sub("", "".join(text.split()), count=1)
    try:
        base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if not bare:
        raise ValueError("holds no content")
    return bare
