"""Request-IDs: random UUIDs (version 4), made by the batch, because one at a time costs five times as much."""

from __future__ import annotations

import os

from batchrunner.model import RequestId

_DIGITS = 32
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The digit that says which kind of UUID this is has two random bits left."""


def new_request_ids(count: int) -> list[RequestId]:
    """So many new Request-IDs, from the system's source of randomness."""
    digits = os.urandom(count * _DIGITS // 2).hex()
    return [_shaped(digits[start : start + _DIGITS]) for start in range(0, len(digits), _DIGITS)]


def _shaped(digits: str) -> RequestId:
    variant = _VARIANT[digits[16]]
    return RequestId(f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}")
