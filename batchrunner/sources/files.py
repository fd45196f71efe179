"""Input files: is one there, what is in it, how is it written, and does it stay the same."""

from __future__ import annotations

import codecs
import hashlib
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zipfile import ZipInfo

from batchrunner.errors import SourceError
from batchrunner.model import Source
from batchrunner.sources.lines import BoundedFile, PhysicalLines
from batchrunner.sources.packed import HEAD_BYTES, DamagedError, Packing, Unpacked, archive_in, packing_of, shown
from batchrunner.sources.zips import data_members

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

_ARRAY_OF_OBJECTS = re.compile(r"[\ufeff\s]*\[\s*(?:\{|\]?\s*\ufffd?$)")
"""Nothing else begins so that could be JSON Lines; an element cut off by the end of the head is none."""


def fingerprint(path: Path) -> Source:
    """The file as it is now: absolute path (links kept), digest of the whole content, size. Raises SourceError."""
    stamp_of(path)
    with os_errors(path), path.open("rb", buffering=0) as file:
        digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16))
        return Source(str(path.absolute()), digest.hexdigest(), file.tell())


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file has been written to."""

    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Part:
    """What is read from its start to its end: a file, what is in a compressed one, or one member of a zip."""

    encoding: str
    """Name of the codec, one that neither expects nor writes a byte-order mark."""
    bom_bytes: int
    packing: Packing | None = None
    member: ZipInfo | None = None
    before: int = 0
    """Bytes of the members in front of it, as they lie on the disk."""
    is_array: bool = False
    """It begins like a JSON array of objects."""

    @property
    def name(self) -> str | None:
        """For sentences; only members of a zip have one."""
        return shown(self.member.filename) if self.member else None

    def open(self, path: Path) -> BoundedFile:
        """Its bytes, from the first one on."""
        if self.packing is None:
            return BoundedFile(path)
        return BoundedFile(path, Unpacked(path, self.packing, self.member, self.before))


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that can be read from the start as often as one likes, as long as it stays the same."""

    path: Path
    parts: tuple[Part, ...]
    stamp: Stamp

    @classmethod
    def open(cls, path: Path, encoding: str, member: str | None = None) -> InputFile:
        """Look at the first bytes of the file, or of its members: a byte-order mark there overrules the encoding.

        Raises SourceError, also for a zip whose members are not of one encoding.
        """
        stamp = stamp_of(path)
        declared = _codec(path, encoding)
        with os_errors(path):
            parts = [_with_bom(path, part) for part in _parts(path, declared, member)]
        file = cls(path, tuple(parts), stamp)
        for part in parts[1:]:
            if part.encoding != file.encoding:
                raise SourceError(
                    f"{path}: {parts[0].name} is written in {file.encoding} and {part.name} in {part.encoding}, so "
                    f"they are not read as one; choose by `member` under [source]"
                )
        return file

    @property
    def encoding(self) -> str:
        """The codec of all parts."""
        return self.parts[0].encoding

    @property
    def bom_bytes(self) -> int:
        """Length of the byte-order mark at the start, if there is one."""
        return self.parts[0].bom_bytes

    @property
    def data_names(self) -> list[str]:
        """The names that tell what the data are: of the members, or of the file."""
        return [part.member.filename if part.member else self.path.name for part in self.parts]

    @contextmanager
    def lines(self, place: int = 0, taken: int = 0) -> Iterator[PhysicalLines]:
        """The lines of one part, from its start. Raises SourceError when it cannot be read or has changed."""
        part = self.parts[place]
        with os_errors(self.path), part.open(self.path) as file:
            self._must_be_unchanged(file, "since it was opened")
            file.read(part.bom_bytes)
            name = part.name if len(self.parts) > 1 else None
            lines = PhysicalLines(file, part.encoding, taken, name, is_array=part.is_array)
            try:
                yield lines
            except DamagedError:  # an archive that is still being written looks cut off
                self._must_be_unchanged(file, "while it was read")
                raise
            self._must_be_unchanged(file, "while it was read")

    def each(self) -> Iterator[PhysicalLines]:
        """The lines of all parts, each from its start."""
        for place in range(len(self.parts)):
            with self.lines(place) as lines:
                yield lines

    def check(self, lines: PhysicalLines) -> None:
        """Raise SourceError as soon as the file that is being read has been written to."""
        self._must_be_unchanged(lines.file, "while it was read")

    def _must_be_unchanged(self, file: BoundedFile, when: str) -> None:
        if Stamp(*file.stamp()) != self.stamp:
            raise SourceError(f"{self.path}: the file changed {when}; let its export finish, then run again")


def _parts(path: Path, encoding: str, pattern: str | None) -> list[Part]:
    """What there is to read in a file, by its first bytes."""
    with path.open("rb", buffering=0) as file:
        packing = packing_of(file.read(HEAD_BYTES))
    if packing != "zip":
        return [Part(encoding, 0, packing)]
    parts, before = [], 0
    for member in data_members(path, pattern):
        parts.append(Part(encoding, 0, packing, member, before))
        before += member.compress_size
    return parts


def _with_bom(path: Path, part: Part) -> Part:
    with part.open(path) as file:
        head = file.read(HEAD_BYTES)
        if not head and file.fault:
            raise file.fault
    if part.packing and (inner := archive_in(head)):
        where = f"{path}: {part.name}" if part.member else f"{path}:"
        raise SourceError(f"{where} holds yet another archive ({inner}); unpack it and name the file in it")
    for bom, codec in _BOMS:
        if head.startswith(bom):
            part = replace(part, encoding=codec, bom_bytes=len(bom))
            break
    else:
        part = replace(part, encoding=_WITHOUT_BOM.get(part.encoding, part.encoding))
    text = head[part.bom_bytes :].decode(part.encoding, "replace")
    return replace(part, is_array=_ARRAY_OF_OBJECTS.match(text) is not None)


def stamp_of(path: Path) -> Stamp:
    """What tells whether a file is written to. Refuses what is no regular file: opening a pipe would wait for ever."""
    try:
        with os_errors(path):
            status = path.stat()
    except ValueError:  # a NUL in the name
        raise SourceError(f"{str(path)!r}: is not a possible file name; check `path` under [source]") from None
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{path}: is a directory; name the file in it that is to be sent")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path}: is a pipe or a device; save its content to a file and name that")
    return Stamp(status.st_size, status.st_mtime_ns)


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
def os_errors(path: Path) -> Iterator[None]:
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
