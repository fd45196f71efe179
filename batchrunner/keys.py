"""Keys: what makes two asks the same ask. Stable for ever, because ledgers outlive programs.

A key is 16 bytes:

    bytes 0-7    who   the first half of blake2b-128 (person "batchrunner.who") over job, installation, matching mode
                       and search values, these without white space around them and casefolded
    bytes 8-15   what  by the job's `repeat`:
                       unchanged   blake2b-64 (person "batchrunner.what") over job, installation and, as it stands,
                                   the canonical payload
                       identity    the second half of the digest of `who`
                       file        blake2b-64 (person "batchrunner.what") over job, installation, source fingerprint
                                   and row number in decimal

Every text but the payload is hashed as its UTF-8 bytes after their length (8 bytes, big-endian), so that no two
different lists of texts give the same bytes. docs/ledger.md says the same in words, and tests hold both to fixed
examples. A change here is a change of every key: all rows would be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from operator import add
from typing import Literal, cast

from batchrunner.model import Key

Repeat = Literal["unchanged", "identity", "file"]


def _framed(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(8, "big") + text for text in texts)


class KeyMaker:
    """Makes the keys of one job against one installation."""

    def __init__(self, job: str, installation: str, matching: str, repeat: Repeat) -> None:
        """Hash what all keys of a run have in common, once."""
        common = _framed(job.encode(), installation.encode())
        self._who = blake2b(common + _framed(matching.encode()), digest_size=16, person=b"batchrunner.who")
        self._what = blake2b(common, digest_size=8, person=b"batchrunner.what")
        self._repeat = repeat

    def key(self, search: Iterable[str], payload: bytes, fingerprint: str, row_number: int) -> Key:
        """The key of one request. `search` are the values that the profile is looked up by."""
        who_hash = self._who.copy()
        # People write one address in many ways; whom a request is about does not change with its case or margins.
        who_hash.update(_framed(*(value.strip().casefold().encode("utf-8", "surrogatepass") for value in search)))
        who = who_hash.digest()
        if self._repeat == "identity":
            return Key(who)
        what_hash = self._what.copy()
        if self._repeat == "unchanged":
            what_hash.update(payload)
        else:
            what_hash.update(_framed(fingerprint.encode(), str(row_number).encode()))
        return Key(who[:8] + what_hash.digest())

    def keys(
        self, searches: Sequence[Sequence[str]], payloads: Sequence[bytes], origins: Iterable[tuple[str, int]] = ()
    ) -> list[Key]:
        """The keys of many requests, the very same that `key` makes.

        `searches` has a column for each field that profiles are looked up by. `origins`, a fingerprint and a row
        number for each request, are asked for by `file` alone.
        """
        framed = map(b"".join, zip(*map(_framed_column, searches), strict=True))
        copy_who, copy_what = self._who.copy, self._what.copy
        made: list[bytes] = []
        if self._repeat == "identity":
            for search in framed:
                who = copy_who()
                who.update(search)
                made.append(who.digest())
            return cast("list[Key]", made)
        whats = (
            payloads
            if self._repeat == "unchanged"
            else [_framed(fingerprint.encode(), str(number).encode()) for fingerprint, number in origins]
        )
        for search, rest in zip(framed, whats, strict=True):  # one plain loop: each call in it is a tenth of a row
            who = copy_who()
            who.update(search)
            what = copy_what()
            what.update(rest)
            made.append(who.digest()[:8] + what.digest())
        return cast("list[Key]", made)


_LENGTHS = tuple(length.to_bytes(8, "big") for length in range(256))


def _framed_column(values: Sequence[str]) -> list[bytes]:
    """Each value as `key` hashes it."""
    folded = list(map(str.casefold, map(str.strip, values)))
    texts = "\n".join(folded).encode("utf-8", "surrogatepass").split(b"\n")  # one call for all: half the time
    if len(texts) != len(folded):  # a text of several lines, or no text at all
        texts = [text.encode("utf-8", "surrogatepass") for text in folded]
    if texts and max(map(len, texts)) < len(_LENGTHS):
        return list(map(add, map(_LENGTHS.__getitem__, map(len, texts)), texts))
    return [_framed(text) for text in texts]
