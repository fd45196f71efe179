"""How a payload names a file that is uploaded once: by its content and its place, never by what the platform calls it.

The mark stands in the payload, so the key of a row depends on the content of its files and not on when they were
uploaded, nor on the platform's name for them. What sends the row puts that name in the mark's place.

    "batchrunner-upload:<digest>:<place>"

In the same way a payload names what is fetched from the web: by its address. So the key of a row is known without
asking anybody, and for a row that was sent nothing is fetched again.

    "batchrunner-fetch:<address>"
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from batchrunner.model import Value

_MARK = "batchrunner-upload:"
_FOUND = re.compile(rb'"batchrunner-upload:([0-9a-f]{32}):([A-Za-z0-9_.~%/-]+)"')

_FETCH_MARK = "batchrunner-fetch:"
_FETCH_FOUND = re.compile(rb'"batchrunner-fetch:([A-Za-z0-9_.~%-]+)"')

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


def fetch_mark(url: str) -> str:
    """The text that stands in the payload for the content that lies at an address."""
    return f"{_FETCH_MARK}{quote(url, safe='')}"


def fetches_in(payload: bytes) -> list[str]:
    """The addresses whose content a payload wants, each once."""
    if _FETCH_MARK.encode() not in payload:
        return []
    return list(dict.fromkeys(unquote(found[1].decode("ascii")) for found in _FETCH_FOUND.finditer(payload)))


def with_contents(payload: bytes, base64_of: Callable[[str], bytes]) -> bytes:
    """The payload with contents in the place of their addresses."""
    return _FETCH_FOUND.sub(lambda found: b'"%s"' % base64_of(unquote(found[1].decode("ascii"))), payload)


def host_of(url: str) -> str:
    """The host of an address that may be fetched from, with its port where it has one.

    Raises ValueError, as what a cell is, for anything but https:// with a host and no password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no address") from None
    if parts.scheme != "https" or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("is no address that begins with https://")
    if "@" in parts.netloc:
        raise ValueError("has a user or a password in it")
    return parts.hostname if port in (None, 443) else f"{parts.hostname}:{port}"


def _read(found: re.Match[bytes]) -> Upload:
    folder, _, name = found[2].decode("ascii").partition("/")
    return Upload(found[1].decode("ascii"), unquote(folder), unquote(name))
