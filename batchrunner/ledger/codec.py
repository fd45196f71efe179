"""How values of the model are written in the ledger's columns. Small, because there are millions of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from batchrunner.model import Accepted, Claim, Failed, InDoubt, Rejected, RequestId, RunId, Settled, State, Totals

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_PACKED, _TEXT = b"\x01", b"\x00"


def pack_profile_id(profile_id: str | None) -> bytes | None:
    """A profile id in 13 bytes where it is the usual 24 hexadecimal digits, else as text."""
    if profile_id is None:
        return None
    if _OBJECT_ID.fullmatch(profile_id):
        return _PACKED + bytes.fromhex(profile_id)
    return _TEXT + profile_id[:64].encode("utf-8", "replace")


def unpack_profile_id(packed: bytes | None) -> str | None:
    """The reverse of `pack_profile_id`."""
    if packed is None:
        return None
    return packed[1:].hex() if packed[:1] == _PACKED else packed[1:].decode()


def printable(path: str) -> str:
    """A path as text: file names may hold bytes that are none, and databases refuse those."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def pack_request_id(request_id: RequestId) -> bytes:
    """A UUID as its 16 bytes."""
    return bytes.fromhex(request_id.replace("-", ""))


def unpack_request_id(packed: bytes) -> RequestId:
    """The reverse of `pack_request_id`."""
    return RequestId(str(UUID(bytes=packed)))


def claim_values(run: RunId, claim: Claim) -> tuple[Any, ...]:
    """The values of a new entry, in the order of `store.INSERT_CLAIM`."""
    row = claim.request.row
    return (
        run,
        claim.source_no,
        row.number,
        row.line,
        claim.request.key,
        pack_request_id(claim.request_id),
        claim.requested_at_ms,
    )


def settled_values(run: RunId, settled: Settled) -> tuple[Any, ...]:
    """The values of an outcome, in the order of `store.SETTLE`."""
    state, code, profile_id = _ending(settled)
    claim = settled.claim
    address = (run, claim.source_no, claim.request.row.number)
    return (state, code, profile_id, settled.replayed, min(settled.attempts, 32_767), *address)


def _ending(settled: Settled) -> tuple[int, str | None, bytes | None]:
    match settled.outcome:
        case Accepted(profile_id):
            return int(State.ACCEPTED), None, pack_profile_id(profile_id)
        case Rejected(code, _):
            return int(State.REJECTED), code[:40], None
        case Failed(code, _):
            return int(State.FAILED), code[:40], None
        case InDoubt(code, _):
            return int(State.IN_DOUBT), code[:40], None


def pack_totals(totals: Totals) -> str:
    """Totals as JSON."""
    return msgspec.json.encode(totals).decode()


def unpack_totals(text: str) -> Totals:
    """The reverse of `pack_totals`; a field that an older version did not write is zero."""
    return msgspec.json.decode(text, type=Totals)


def as_dict(totals: Totals) -> Mapping[str, Any]:
    """Totals as plain values, for JSON output."""
    built: Mapping[str, Any] = msgspec.to_builtins(totals)
    return built
