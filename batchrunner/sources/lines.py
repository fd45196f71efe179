"""The physical lines of a file as text, block by block, with a way back. Bytes that are no text are kept."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path

from batchrunner.errors import SourceError
from batchrunner.sources.packed import DamagedError, Unpacked

BLOCK_CHARS = 1 << 16
"""Read at once. Blocks that stay in the processor's cache are read three times as fast as blocks of a megabyte."""

_BLOCK_LINES = 256
"""Of lines that were given back: re-reading after each of many faults must not cost a large block each time."""

MAX_LINE_BYTES = 16 << 20
"""A longer line is no line: reading on would take all memory. Cells of some megabytes are still fine."""

_ERRORS = "batchrunner.keep"


class PhysicalLines:
    """Lines in file order with their line ends (LF, CR, CRLF, mixed), as `csv.reader` wants them."""

    def __init__(
        self, file: BoundedFile, encoding: str, taken: int = 0, member: str | None = None, *, is_array: bool = False
    ) -> None:
        """Read `file` on from where it stands; `taken` lines came before it, when it is one of several members."""
        self.is_array = is_array
        """The file begins like an array of objects: read as JSON, its records are no lines."""
        self.encoding = encoding
        self.taken = taken
        """Lines taken and not given back: the number of the next line is one more."""
        self._before = taken
        self._member = member
        self.file = file
        self._undecodable_before = _keep.count
        self._text = io.TextIOWrapper(file, encoding=encoding, errors=_ERRORS, newline="")
        self._back: list[str] = []  # last line first, so that taking the next one costs nothing
        self._footer = 0
        self._held: list[str] = []

    @property
    def position(self) -> int:
        """Bytes of the file on disk consumed, read-ahead included."""
        return self.file.position

    @property
    def unpacked_bytes(self) -> int:
        """Bytes that were read, read-ahead included: of a compressed file, those in it."""
        return self.file.given

    @property
    def suspicious(self) -> bool:
        """Undecodable bytes have been met. May be a false alarm (another file's); is never a missed one."""
        return _keep.count != self._undecodable_before

    def told(self, line: int) -> str:
        """The number of a line for a sentence, with the member of a zip that it is in."""
        return str(line) if self._member is None else f"{line - self._before} of {self._member}"

    def leave_out_last(self, lines: int) -> None:
        """Never give the last so many lines: they are a footer. To be said before the first line is taken."""
        self._footer = lines

    def block(self) -> list[str]:
        """The next lines; none at the end of the file. Raises DamagedError in place of lines that are cut off."""
        if self._back:
            lines = self._back[: -_BLOCK_LINES - 1 : -1]
            del self._back[-len(lines) :]
        else:
            lines = self._without_footer() if self._footer else self._read()
            if self.taken == self._before and lines:  # a file saved twice may carry a second byte-order mark
                lines[0] = lines[0].lstrip("\ufeff")
        self.taken += len(lines)
        return lines

    def line(self) -> str:
        """The next line; empty at the end of the file. Raises DamagedError as `block` does."""
        if not self._back and self._footer:
            self._back = self._without_footer()[::-1]
        line = self._back.pop() if self._back else "" if self._footer else self._text.readline()
        if self.file.fault and not line.endswith(("\n", "\r")):
            raise self.file.fault
        self.taken += bool(line)
        return line

    def characters(self, least: int) -> str:
        """The next characters instead of lines, never ending between the two of a CRLF; empty at the end of the file.

        For formats whose records are no lines, so that a line may be as long as the file. Lines are not counted.
        """
        self.file.has_lines = False
        text = self._text.read(least)
        while text.endswith("\r") and (more := self._text.read(1)):
            text += more
        return text

    def _read(self) -> list[str]:
        lines = self._text.readlines(BLOCK_CHARS)
        if self.file.fault:
            if lines and not lines[-1].endswith(("\n", "\r")):
                del lines[-1]  # half a line is no record
            if not lines:
                raise self.file.fault
        return lines

    def _without_footer(self) -> list[str]:
        while more := self._read():
            self._held += more
            if len(self._held) > self._footer:
                lines = self._held[: -self._footer]
                self._held = self._held[-self._footer :]
                return lines
        return []

    def give_back(self, lines: list[str]) -> None:
        """Take the last lines back, to give them again."""
        self._back.extend(reversed(lines))
        self.taken -= len(lines)

    def where_undecodable(self, lines: list[str]) -> tuple[int, int] | None:
        """The first undecodable byte of some lines: how many of them come before it, and its 1-based offset."""
        text = "".join(lines)
        at = undecodable_at(text)
        if at is None:
            return None
        before = text[:at]
        whole = 0
        while len(lines[whole]) <= at:
            at -= len(lines[whole])
            whole += 1
        return whole, len(before.encode(self.encoding, "replace")) + 1


def undecodable_at(text: str) -> int | None:
    """Index of the first character that stands for an undecodable byte, if there is one."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


class BoundedFile(io.BufferedReader):
    """A file, or what is in a compressed one, that refuses to be read when its lines never end."""

    def __init__(self, path: Path, unpacked: Unpacked | None = None) -> None:
        """Open it."""
        super().__init__(unpacked or io.FileIO(path))
        self.path = path
        self._unpacked = unpacked
        self._unended_bytes = 0
        self.has_lines = True
        """Whether what is read has to come in lines."""

    @property
    def fault(self) -> DamagedError | None:
        """Why this is not all of the file, once its end has been reached."""
        return self._unpacked.fault if self._unpacked else None

    @property
    def position(self) -> int:
        """Bytes of the file on disk consumed."""
        return self._unpacked.position if self._unpacked else self.tell()

    @property
    def given(self) -> int:
        """Bytes read so far, after unpacking."""
        return self._unpacked.given if self._unpacked else self.tell()

    def read1(self, size: int = -1, /) -> bytes:
        """As any file; raises SourceError when a line grows past all measure."""
        data = super().read1(size)
        if b"\n" in data or b"\r" in data or not self.has_lines:
            self._unended_bytes = 0
        elif (unended := self._unended_bytes + len(data)) > MAX_LINE_BYTES:
            raise SourceError(
                f"{self.path}: a line before byte {self.given} is longer than {MAX_LINE_BYTES >> 20} MB; "
                f"check that this is a CSV or JSONL file, and cut the damaged line out"
            )
        else:
            self._unended_bytes = unended
        return data

    def stamp(self) -> tuple[int, int]:
        """Size in bytes and time of the last change in ns, now."""
        status = os.fstat(self.fileno())
        return status.st_size, status.st_mtime_ns


class _Keep:
    """A decoding error handler: keeps each undecodable byte as a surrogate, and counts that there was one.

    Clean files pay nothing, since it is never called. As `surrogateescape`, bytes become U+DC80 to U+DCFF;
    unlike it, it also keeps the low bytes that UTF-16 and double-byte encodings may stumble over.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        self.count += 1
        # No codec of Python counts a delimiter or a line end among the undecodable bytes, except as half of a
        # unit of UTF-16 or UTF-32: so what comes back never spoils the neighbours.
        return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_keep = _Keep()
codecs.register_error(_ERRORS, _keep)
