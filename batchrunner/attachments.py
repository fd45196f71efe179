"""How a payload names a file that is uploaded once: by its content and its place, never by what the platform calls it.

The mark stands in the payload, so the key of a row depends on the content of its files and not on when they were
uploaded, nor on the platform's name for them. What sends the row puts that name in the mark's place.

    "batchrunner-upload:<digest>:<place>"
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from batchrunner.model import Value

_MARK = "batchrunner-upload:"
_FOUND = re.compile(rb'"batchrunner-upload:([0-9a-f]{32}):([A-Za-z0-9_.~%/-]+)"')

LARGEST_UPLOAD_BYTES = 70_000_000
"""As base64 it fits into the 100 MB that the platform documents as the most for bodies with files."""


class Upload(Value, frozen=True):
    """A file that a payload names."""

    digest: str
    """32 hexadecimal digits over its content."""
    folder: str
    """As the job file writes it."""
    name: str
    """Beneath the folder."""


def digest_of(path: Path) -> str:
    """The digest of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def mark(upload: Upload) -> str:
    """The text that stands in the payload for the platform's name of a file."""
    # Quoted, so that nothing in it is ever escaped in JSON, and no cell can end it early.
    return f"{_MARK}{upload.digest}:{quote(upload.folder, safe='')}/{quote(upload.name, safe='')}"


def uploads_in(payload: bytes) -> list[Upload]:
    """The files that a payload names, each once."""
    if _MARK.encode() not in payload:
        return []
    return list(dict.fromkeys(map(_read, _FOUND.finditer(payload))))


def with_names(payload: bytes, name_of: Callable[[Upload], str]) -> bytes:
    """The payload with the platform's names (plain ASCII) in the place of the marks."""
    return _FOUND.sub(lambda found: b'"%s"' % name_of(_read(found)).encode("ascii"), payload)


def _read(found: re.Match[bytes]) -> Upload:
    folder, _, name = found[2].decode("ascii").partition("/")
    return Upload(found[1].decode("ascii"), unquote(folder), unquote(name))
