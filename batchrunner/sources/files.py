"""Input files: is one there, what is in it, how is it written, and does it stay the same."""

from __future__ import annotations

import codecs
import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batchrunner.errors import SourceError
from batchrunner.model import Source
from batchrunner.sources.lines import BoundedFile, PhysicalLines

_BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_BOM = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What an encoding that may carry a byte-order mark means in a file that has none."""

_NOT_FOR_FILES = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Codecs of Python that are no character sets of files, or that let half characters through unnoticed."""


def fingerprint(path: Path) -> Source:
    """The file as it is now: absolute path (links kept), digest of the whole content, size. Raises SourceError."""
    _stamp(path)
    with _os_errors(path), path.open("rb", buffering=0) as file:
        digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16))
        return Source(str(path.absolute()), digest.hexdigest(), file.tell())


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells that a file has been written to."""

    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that can be read from the start as often as one likes, as long as it stays the same."""

    path: Path
    encoding: str
    """Name of the codec, one that neither expects nor writes a byte-order mark."""
    bom_bytes: int
    stamp: _Stamp

    @classmethod
    def open(cls, path: Path, encoding: str) -> InputFile:
        """Look at the file and its first bytes: a byte-order mark there overrules the declared encoding."""
        stamp = _stamp(path)
        declared = _codec(path, encoding)
        with _os_errors(path), path.open("rb", buffering=0) as file:
            head = file.read(4)
        for bom, codec in _BOMS:
            if head.startswith(bom):
                return cls(path, codec, len(bom), stamp)
        return cls(path, _WITHOUT_BOM.get(declared, declared), 0, stamp)

    @contextmanager
    def lines(self) -> Iterator[PhysicalLines]:
        """The lines of the file, from the start. Raises SourceError when it cannot be read or has changed."""
        with _os_errors(self.path), BoundedFile(self.path) as file:
            self._must_be_unchanged(file, "since it was opened")
            file.seek(self.bom_bytes)
            yield PhysicalLines(file, self.encoding)
            self._must_be_unchanged(file, "while it was read")

    def _must_be_unchanged(self, file: BoundedFile, when: str) -> None:
        if _Stamp(*file.stamp()) != self.stamp:
            raise SourceError(f"{self.path}: the file changed {when}; let its export finish, then run again")


def _stamp(path: Path) -> _Stamp:
    """Refuse what is not a regular file before opening it: opening a pipe would wait for ever."""
    try:
        with _os_errors(path):
            status = path.stat()
    except ValueError:  # a NUL in the name
        raise SourceError(f"{str(path)!r}: is not a possible file name; check `path` under [source]") from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{path}: is a directory; name the file in it that is to be sent")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path}: is a pipe or a device; save its content to a file and name that")
    return _Stamp(status.st_size, status.st_mtime_ns)


def _codec(path: Path, encoding: str) -> str:
    try:
        "\r\n".encode(encoding)  # raises for codecs that are not about text, such as hex
        codec = codecs.lookup(encoding).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name, or a codec that encodes nothing
        codec = "undefined"
    if codec in _NOT_FOR_FILES:
        raise SourceError(
            f"{path}: the encoding {encoding!r} is not known; set `encoding` under [source] to one such as "
            f"utf-8, cp1251, koi8-r or utf-16"
        )
    return codec


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """Say what the operating system says about a file as a sentence with a next step."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file; check `path` under [source]") from None
    except PermissionError:
        raise SourceError(f"{path}: may not be read by this user; change its permissions") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SourceError(f"{path}: cannot be read ({reason}); check the disk and the path, then run again") from error
