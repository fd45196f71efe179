"""How values of the model are written in the ledger's columns. Small, because there are millions of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    InDoubt,
    Outcome,
    Rejected,
    RequestId,
    RunId,
    Settled,
    State,
    Totals,
    Updating,
)

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_OBJECT_ID_BYTES = 12
_TEXT = b"\x00"
"""Before a text. Before an object id, ledgers up to version 9 have another byte."""

ROOM_FOR_PROFILE_ID = bytes(_OBJECT_ID_BYTES)
"""Stands in a claim where the profile id will stand: an entry that grew when it is settled would not fit its page."""

_NONE_YET = (None, ROOM_FOR_PROFILE_ID, bytes(1 + _OBJECT_ID_BYTES))
"""No profile id, room for one, and room as ledgers up to version 9 kept it."""


def pack_profile_id(profile_id: str | None) -> bytes | None:
    """A profile id in 12 bytes where it is the usual 24 hexadecimal digits, else as text with a zero in front.

    No usual one begins with a zero byte: it would have been made before July 1970.
    """
    if profile_id is None:
        return None
    if _OBJECT_ID.fullmatch(profile_id) and not profile_id.startswith("00"):
        return bytes.fromhex(profile_id)
    return _TEXT + profile_id[:64].encode("utf-8", "replace")


def unpack_profile_id(packed: bytes | None) -> str | None:
    """The reverse of `pack_profile_id`; also of what older versions have written."""
    if packed in _NONE_YET or packed is None:
        return None
    if packed[:1] == _TEXT:
        return packed[1:].decode()
    return packed.hex() if len(packed) == _OBJECT_ID_BYTES else packed[1:].hex()


def printable(path: str) -> str:
    """A path as text: file names may hold bytes that are none, and databases refuse those."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def pack_request_id(request_id: RequestId) -> bytes:
    """A UUID as its 16 bytes."""
    return bytes.fromhex(request_id.replace("-", ""))


def unpack_request_id(packed: bytes) -> RequestId:
    """The reverse of `pack_request_id`."""
    digits = packed.hex()
    return RequestId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")


def claim_values(run: RunId, claims: Sequence[Claim]) -> list[tuple[Any, ...]]:
    """The values of new entries, in the order of `statements.INSERT_CLAIM`."""
    return [
        (
            run,
            claim.source_no,
            (row := (request := claim.request).row).number,
            row.line - row.number,
            request.key,
            pack_request_id(claim.request_id),
            claim.requested_at_ms // 1000,  # earlier by less than a second: on the safe side of every window
            ROOM_FOR_PROFILE_ID,
        )
        for claim in claims
    ]


def accepted_values(run: RunId, settled: Iterable[Settled]) -> tuple[list[tuple[Any, ...]], list[Settled]]:
    """The values of those that ended as nearly all do, in the order of `statements.ACCEPT`; and the others.

    By the job's own call, accepted by the first answer there was: all but the profile id is the same for each.
    """
    values: list[tuple[Any, ...]] = []
    others: list[Settled] = []
    for one in settled:
        claim, outcome = one.claim, one.outcome
        if isinstance(outcome, Accepted) and one.attempts == 1 and not one.replayed and claim.step is None:
            values.append((pack_profile_id(outcome.profile_id), run, claim.source_no, claim.request.row.number))
        else:
            others.append(one)
    return values, others


def settled_values(run: RunId, settled: Sequence[Settled]) -> list[tuple[Any, ...]]:
    """The values of outcomes, in the order of `statements.SETTLE`."""
    return [
        (
            *(_ending(one.outcome) if one.claim.step is None else ending_in_steps(one)),
            one.replayed,
            min(one.attempts, 32_767),
            run,
            one.claim.source_no,
            one.claim.request.row.number,
        )
        for one in settled
    ]


_ACCEPTED, _REJECTED, _FAILED, _IN_DOUBT = map(int, (State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT))


def _ending(outcome: Outcome) -> tuple[int, str | None, bytes | None]:
    match outcome:
        case Accepted():
            return _ACCEPTED, None, pack_profile_id(outcome.profile_id)
        case Rejected():
            return _REJECTED, outcome.code[:40], None
        case Failed():
            return _FAILED, outcome.code[:40], None
        case InDoubt():
            return _IN_DOUBT, outcome.code[:40], None


UPDATED = "updated"
"""The code of an accepted entry by which nobody was engaged."""


def ending_in_steps(one: Settled) -> tuple[int, str | None, bytes | None]:
    """How an entry ends that did not go by the job's own call."""
    state, code, profile_id = _ending(one.outcome)
    updated = state == _ACCEPTED and isinstance(one.claim.step, Updating)
    return state, UPDATED if updated else code, profile_id


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
