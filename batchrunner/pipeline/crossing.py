"""What crosses between the process of file and ledger and those that send: framed messages, many rows in each.

Only what the side of HTTP needs goes over: the row itself stays where it is, and an end names its claim by the key,
of which a run never has two in flight. Messages are lists without names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, assert_never

import msgspec

from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    Importing,
    InDoubt,
    Key,
    LimitRecord,
    Outcome,
    Parcel,
    Rejected,
    Request,
    RequestId,
    Row,
    Settled,
    Starting,
    Step,
    Updating,
)

LENGTH_BYTES = 8
"""In front of each message: a request about one row may have a hundred megabytes."""


class _Form(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value as a list."""


class _Step(_Form, frozen=True):
    kind: int
    doubtful: bool = False
    profile_id: str = ""


class _Claim(_Form, frozen=True):
    key: bytes
    payload: bytes
    row: int
    request_id: str
    requested_at_ms: int
    doubtful: bool
    resent: bool
    step: _Step | None


class _End(_Form, frozen=True):
    key: bytes
    kind: int
    code: str | None
    """Of an accepted row: the profile's id."""
    text: str
    attempts: int
    requests: int
    replayed: bool
    elapsed_ms: int
    refusal: str | None
    task: str | None
    whole: bool


# --- to a process that sends ---------------------------------------------------------------------


class Begin(_Form, frozen=True, tag=0):
    """Make ready: nothing was sent before."""

    ledger: bytes
    """Its path, as the system has it."""
    locked: bool
    """The descriptor of the job's lock comes with it."""


class Loads(_Form, frozen=True, tag=1):
    """Claims that are durable."""

    alone: Sequence[_Claim]
    parcels: Sequence[Sequence[_Claim]]


class Durable(_Form, frozen=True, tag=2):
    """The outcomes of these are in the ledger."""

    request_ids: Sequence[RequestId]


class Drain(_Form, frozen=True, tag=3):
    """Start nothing new."""


class Stop(_Form, frozen=True, tag=4):
    """Give up what is in flight, and end."""


ToSender = Begin | Loads | Durable | Drain | Stop


# --- and back ------------------------------------------------------------------------------------


class Loaded(_Form, frozen=True, tag=4):
    """It has begun, and has all that it needs but leave to send."""


class Ready(_Form, frozen=True, tag=0):
    """Claims may come."""

    limit: LimitRecord | None
    wants_durable: bool


class Refused(_Form, frozen=True, tag=1):
    """It cannot be made ready: an error of ours, by its name and sentence."""

    error: str
    sentence: str


class Ends(_Form, frozen=True, tag=2):
    """How claims ended; and what became of an adaptive limit, when that has changed."""

    ends: Sequence[_End]
    limit: LimitRecord | None


class Over(_Form, frozen=True, tag=3):
    """Nothing comes any more."""

    cpu_ns: int
    limit: LimitRecord | None


FromSender = Loaded | Ready | Refused | Ends | Over

_encoder = msgspec.msgpack.Encoder()
_to_sender: msgspec.msgpack.Decoder[ToSender] = msgspec.msgpack.Decoder(ToSender)
_from_sender: msgspec.msgpack.Decoder[FromSender] = msgspec.msgpack.Decoder(FromSender)


def framed(message: ToSender | FromSender) -> bytes:
    """A message as it goes over."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


Message = TypeVar("Message")


class Frames(Generic[Message]):
    """Bytes as they come, and the messages in them."""

    def __init__(self, decode: Callable[[memoryview], Message]) -> None:
        """`to_sender` or `from_sender` make one."""
        self._decode = decode
        self._bytes = bytearray()

    def feed(self, more: bytes) -> list[Message]:
        """The messages that are whole now."""
        self._bytes += more
        at = 0
        found: list[Message] = []
        with memoryview(self._bytes) as seen:
            while len(seen) - at >= LENGTH_BYTES:
                end = at + LENGTH_BYTES + int.from_bytes(seen[at : at + LENGTH_BYTES], "big")
                if end > len(seen):
                    break
                found.append(self._decode(seen[at + LENGTH_BYTES : end]))
                at = end
        del self._bytes[:at]
        return found


def to_sender() -> Frames[ToSender]:
    """For the process that sends."""
    return Frames(_to_sender.decode)


def from_sender() -> Frames[FromSender]:
    """For the process of file and ledger."""
    return Frames(_from_sender.decode)


# --- claims --------------------------------------------------------------------------------------


def loads_of(loads: Sequence[Claim | Parcel]) -> Loads:
    """Claims and parcels as they go over."""
    return Loads(
        [_claim_of(load) for load in loads if isinstance(load, Claim)],
        [[_claim_of(claim) for claim in load.claims] for load in loads if isinstance(load, Parcel)],
    )


def claims_in(loads: Loads) -> list[Claim | Parcel]:
    """And as they arrive: each row without its cells, which nobody needs there."""
    return [*map(_claim_in, loads.alone), *(Parcel(tuple(map(_claim_in, one))) for one in loads.parcels)]


def _claim_of(claim: Claim) -> _Claim:
    request = claim.request
    return _Claim(
        request.key,
        request.payload,
        request.row.number,
        claim.request_id,
        claim.requested_at_ms,
        claim.doubtful,
        claim.resent,
        None if claim.step is None else _step_of(claim.step),
    )


def _claim_in(one: _Claim) -> Claim:
    request = Request(Key(one.key), Row(one.row, 0, ""), one.payload)
    step = None if one.step is None else _step_in(one.step)
    return Claim(
        0, request, RequestId(one.request_id), one.requested_at_ms, one.doubtful, one.resent, takes_over=(), step=step
    )


def _step_of(step: Step) -> _Step:
    match step:
        case Importing(doubtful):
            return _Step(0, doubtful=doubtful)
        case Starting(profile_id):
            return _Step(1, profile_id=profile_id)
        case Updating():
            return _Step(2)
        case _:
            assert_never(step)


def _step_in(step: _Step) -> Step:
    match step.kind:
        case 0:
            return Importing(step.doubtful)
        case 1:
            return Starting(step.profile_id)
        case _:
            return Updating()


# --- ends ----------------------------------------------------------------------------------------

_OUTCOMES = (Accepted, Rejected, Failed, InDoubt)
_KINDS = {kind: number for number, kind in enumerate(_OUTCOMES)}


def ends_of(ends: Sequence[Settled], limit: LimitRecord | None) -> Ends:
    """Ends as they go over."""
    return Ends([_end_of(end) for end in ends], limit)


def settled(one: _End, claim: Claim) -> Settled:
    """And as they arrive, with the claim that has ended."""
    outcome: Outcome
    if one.kind == 0:
        outcome = Accepted(one.code)
    else:
        outcome = (Rejected, Failed, InDoubt)[one.kind - 1](one.code or "", one.text)
    return Settled(
        claim,
        outcome,
        one.attempts,
        one.requests,
        one.replayed,
        one.elapsed_ms,
        one.refusal,
        one.task,
        one.whole,
    )


def _end_of(end: Settled) -> _End:
    outcome = end.outcome
    if isinstance(outcome, Accepted):
        code, text = outcome.profile_id, ""
    else:
        code, text = outcome.code, outcome.text
    return _End(
        end.claim.request.key,
        _KINDS[type(outcome)],
        code,
        text,
        end.attempts,
        end.requests,
        end.replayed,
        end.elapsed_ms,
        end.refusal,
        end.task,
        end.whole,
    )
