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
from typing import Literal

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
        who = self._who_digests(searches)
        if self._repeat == "identity":
            return [Key(one) for one in who]
        whats = (
            payloads
            if self._repeat == "unchanged"
            else [_framed(fingerprint.encode(), str(number).encode()) for fingerprint, number in origins]
        )
        copy = self._what.copy
        made = []
        for one, rest in zip(who, whats, strict=True):
            hashed = copy()
            hashed.update(rest)
            made.append(Key(one[:8] + hashed.digest()))
        return made

    def _who_digests(self, searches: Sequence[Sequence[str]]) -> list[bytes]:
        copy = self._who.copy
        made = []
        for framed in map(b"".join, zip(*map(_framed_column, searches), strict=True)):
            hashed = copy()
            hashed.update(framed)
            made.append(hashed.digest())
        return made


def _framed_column(values: Sequence[str]) -> list[bytes]:
    """Each value as `key` hashes it. Columns of one value in all rows are common: the name of a searched field."""
    texts = [value.strip().casefold().encode("utf-8", "surrogatepass") for value in values]
    return [len(text).to_bytes(8, "big") + text for text in texts]
