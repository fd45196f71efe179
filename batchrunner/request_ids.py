"""Request-IDs: random UUIDs (version 4), made by the batch, because one at a time costs ten times as much."""

from __future__ import annotations

import os
from struct import Struct
from typing import cast

from batchrunner.model import RequestId

_BYTES = 16
_VERSION_AT, _VARIANT_AT = 6, 8
_VERSION = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))
"""The byte that says which kind of UUID this is has six random bits left."""

_GROUPS = Struct("8s4s4s4s12s")
"""The digits between the hyphens."""


def new_request_ids(count: int) -> list[RequestId]:
    """So many new Request-IDs, from the system's source of randomness."""
    drawn = bytearray(os.urandom(count * _BYTES))
    drawn[_VERSION_AT::_BYTES] = drawn[_VERSION_AT::_BYTES].translate(_VERSION)
    drawn[_VARIANT_AT::_BYTES] = drawn[_VARIANT_AT::_BYTES].translate(_VARIANT)
    groups = _GROUPS.iter_unpack(drawn.hex().encode())
    return cast("list[RequestId]", b"\n".join(map(b"-".join, groups)).decode().split())
