"""Compressed files as streams of the bytes in them: gzip, bzip2, xz, Zstandard, and the members of a zip.

Known by their first bytes, never by their names. What is damaged or cut off ends the stream with a fault that the
reader must ask for: it never looks like the end of the data.
"""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

from batchrunner.errors import SourceError

Packing = Literal["gzip", "bzip2", "xz", "zstd", "zip"]

_MAGIC: tuple[tuple[bytes, Packing], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # without members
    (b"PK\x07\x08", "zip"),  # in several volumes, or once meant to be
)
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte 0x50 to 0x5f: a frame of notes that some writers begin with
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after "BZh" and a digit, which alone could begin a header

HEAD_BYTES = 512
"""How much of a file tells what it is: a tar archive says so behind its first 257 bytes."""

_PIECE = 1 << 16
_XZ_MEMORY = 256 << 20  # four times what `xz -9` asks for

MOST_TIMES = 250
FREE_BYTES = 128 << 20
"""Real exports shrink to a tenth, repetitive ones to a fiftieth. What grows beyond both is no export."""


def packing_of(head: bytes) -> Packing | None:
    """How a file that begins like this is compressed, if it is."""
    for magic, packing in _MAGIC:
        if head.startswith(magic):
            return packing
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in _BZIP2_BLOCKS:
        return "bzip2"
    if head[1:4] == _ZSTD_SKIPPABLE and head[0] & 0xF0 == 0x50:  # noqa: PLR2004  see above
        return "zstd"
    return None


def archive_in(head: bytes) -> str | None:
    """What else is packed in what has been unpacked, if it is: such files are not opened twice."""
    return "tar" if head[257:262] == b"ustar" else packing_of(head)


class DamagedError(SourceError):
    """A compressed file cannot be read on; what came before is as it was written."""


class Unpacked(io.RawIOBase):
    """The bytes in a compressed file, in flat memory. At a fault it ends, and the fault says why."""

    def __init__(self, path: Path, packing: Packing, member: zipfile.ZipInfo | None = None, before: int = 0) -> None:
        """Open the file; of a zip, one member, whose data follow `before` bytes of those read earlier."""
        super().__init__()
        self.fault: DamagedError | None = None
        self.given = 0
        """Unpacked bytes so far."""
        self._path = path
        self._member = member
        self._before = before
        self._consumed = 0
        self._disk = io.FileIO(path)
        self._rest = memoryview(b"")
        self._pieces = self._of_member(member) if member else self._of_streams(packing)

    @property
    def position(self) -> int:
        """Bytes of the file on disk that were needed so far."""
        if self._member is None:
            return self._consumed
        # zipfile does not tell: data are packed about as tightly at the start of a member as at its end.
        share = min(1.0, self.given / max(1, self._member.file_size))
        return self._before + int(self._member.compress_size * share)

    def readable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Of the file on disk."""
        return self._disk.fileno()

    def close(self) -> None:
        """Close the file on disk too."""
        self._disk.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  any writable buffer
        """As any raw stream; nothing more at a fault."""
        if not self._rest:
            self._rest = memoryview(self._next_piece())
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next_piece(self) -> bytes:
        if self.fault:
            return b""
        try:
            piece = next(self._pieces, b"")
        except DamagedError as fault:
            self.fault = fault
            return b""
        self.given += len(piece)
        self._must_be_plausible()
        return b"" if self.fault else piece

    def _must_be_plausible(self) -> None:
        packed = self._member.compress_size if self._member else self._consumed
        if self.given > FREE_BYTES and self.given > MOST_TIMES * packed:
            self.fault = DamagedError(
                f"{self._name()} grows to more than {MOST_TIMES} times its size when it is unpacked, as decompression "
                f"bombs do and exports do not; if it is one all the same, unpack it and name the unpacked file"
            )

    def _name(self) -> str:
        return f"{self._path}: {shown(self._member.filename)}" if self._member else f"{self._path}:"

    # --- streams ---

    def _of_streams(self, packing: Packing) -> Iterator[bytes]:
        """One compressed stream after the other: writers that append or work in parallel make several."""
        new = _decoders(self._path, packing)
        data = self._read()
        while data:
            decoder = new()
            while not decoder.eof:
                if decoder.needs_input and not data and not (data := self._read()):
                    raise self._damaged(packing, "it is cut off")
                try:
                    piece = decoder.decompress(data, _PIECE)
                except _damages() as error:
                    raise self._damaged(packing, _reason(error)) from None
                data = b""
                if piece:
                    yield piece
            data = self._after_padding(decoder.unused_data)

    def _after_padding(self, data: bytes) -> bytes:
        """What follows the zeros that some writers (tapes, xz) leave behind a stream."""
        while not (data := data.lstrip(b"\0")):
            data = self._read()
            if not data:
                break
        return data

    def _read(self) -> bytes:
        data = self._disk.read(_PIECE)
        self._consumed += len(data)
        return data

    # --- members ---

    def _of_member(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(self._disk) as archive, archive.open(member) as opened:
                while piece := opened.read(_PIECE):
                    yield piece
        except OSError as error:
            if error.errno is not None:  # the disk, not the data
                raise
            raise self._damaged("zip", _reason(error)) from None
        except _zip_damages() as error:
            raise self._damaged("zip", _reason(error)) from None

    def _damaged(self, packing: str, why: str) -> DamagedError:
        return DamagedError(
            f"{self._name()} cannot be unpacked to its end ({packing}: {why}); "
            f"the rows up to here were read, get the file again for the rest"
        )


def _reason(error: Exception) -> str:
    text = str(error).rstrip(".") or "it is cut off"
    return text if len(text) < 200 and text.isprintable() else type(error).__name__  # noqa: PLR2004  one sentence


def shown(name: str) -> str:
    """The name of a member for a sentence: it was written by others."""
    return repr(name)


# --- decoders ----------------------------------------------------------------------------------


class _Decoder(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Gzip:
    """zlib, with the face of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)  # with gzip's header, length and checksum

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _decoders(path: Path, packing: Packing) -> Callable[[], _Decoder]:
    match packing:
        case "gzip":
            return _Gzip
        case "bzip2":
            return bz2.BZ2Decompressor
        case "xz":
            return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        case "zstd":
            new: Callable[[], _Decoder] = _zstd(path).ZstdDecompressor
            return new
        case "zip":
            raise AssertionError("a zip is read by its members")


def _zstd(path: Path) -> Any:  # noqa: ANN401  one module under two names
    """The standard library's module from Python 3.14 on, and before that its backport."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415  only for files that need it
        else:
            from backports import zstd  # noqa: PLC0415  only for files that need it
    except ImportError:
        raise SourceError(
            f"{path}: is compressed with Zstandard, which this Python cannot read; install backports.zstd, or unpack it"
        ) from None
    return zstd


def _damages() -> tuple[type[Exception], ...]:
    """What decoders raise at data that are not theirs."""
    known: tuple[type[Exception], ...] = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
    module = sys.modules.get("compression.zstd") or sys.modules.get("backports.zstd")
    return (*known, module.ZstdError) if module else known


def _zip_damages() -> tuple[type[Exception], ...]:
    """What zipfile raises besides: it also meets ways of packing that it does not know."""
    return (*_damages(), zipfile.BadZipFile, RuntimeError)
