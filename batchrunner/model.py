"""The words of batchrunner as values: what travels down the straight way.

    source -> Row -> Request -> gate -> Claim -> submit -> Settled -> Totals

Everything here is frozen and knows nothing of files, HTTP or databases.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import NewType, cast

import msgspec

Key = NewType("Key", bytes)
"""16 bytes. Bytes 0-7 digest *who* the request is about, bytes 8-15 *what* is asked (see `keys`)."""

Who = NewType("Who", bytes)
"""The first 8 bytes of a Key: two requests with one Who never fly at once, and go in file order."""

_first_half = itemgetter(slice(8))


def people_of(keys: Iterable[Key]) -> list[Who]:
    """Whom requests with these keys are about, in order: a third of the time of one by one."""
    return cast("list[Who]", list(map(_first_half, keys)))


RunId = NewType("RunId", int)
"""The ledger's number of a run."""

RequestId = NewType("RequestId", str)
"""A UUID in its canonical text form, sent with every attempt of one claim."""

Record = tuple[str, ...] | str
"""A record exactly as it was read: the cells of a CSV record, or the text of a JSONL line."""


class State(enum.IntEnum):
    """How an entry of the ledger stands. The numbers are stored: never reuse one."""

    CLAIMED = 0
    ACCEPTED = 1
    REJECTED = 2
    FAILED = 3
    IN_DOUBT = 4
    RESEND = 5
    """In doubt, and a person has decided that it is to be sent again."""


MAY_HAVE_ARRIVED = (State.ACCEPTED, State.IN_DOUBT, State.RESEND, State.CLAIMED)
"""What must not be sent again only because the job was changed."""


class SkipReason(enum.StrEnum):
    """Why a row was held back: by the gate, or by the job itself."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REPEAT_IN_RUN = "repeat_in_run"
    IN_DOUBT = "in_doubt"
    CHANGED = "changed"
    """It has changed since something was accepted for the person, and the job's `on_change` says to skip it."""
    REPLACED = "replaced"
    """It failed or was rejected, and a later run has sent a newer request about the same person."""
    WINDOW = "window"
    """In doubt, and the Request-ID is too old for the platform to recognise a repeat."""
    FILTERED = "filtered"
    """The job's `when` does not hold for it."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """A frozen value. Made a million times a run: msgspec makes it in a tenth of the time of a frozen dataclass.

    None of them can be part of a cycle, so the collector need not watch them.
    """


class Source(Value, frozen=True):
    """One input file, as it was when it was opened."""

    path: str
    """Absolute path."""
    fingerprint: str
    """32 hexadecimal digits over the whole content."""
    size_bytes: int


class Row(Value, frozen=True):
    """One record as read."""

    number: int
    """1-based number of the data record in its source; broken records count, headers and blank lines do not."""
    line: int
    """1-based physical line on which the record begins."""
    record: Record


class Request(Value, frozen=True):
    """What we would send for a row."""

    key: Key
    row: Row
    payload: bytes
    """The body as canonical JSON (UTF-8, sorted keys, no spaces), without the token."""

    @property
    def who(self) -> Who:
        """The part of the key that says whom the request is about."""
        return Who(self.key[:8])


# --- outcomes: the closed set of ends of a row -------------------------------------------------


class Accepted(Value, frozen=True):
    """The API confirmed the row."""

    profile_id: str | None


class Rejected(Value, frozen=True):
    """Understood and refused: sending the same again changes nothing."""

    code: str
    text: str


class Failed(Value, frozen=True):
    """Certainly had no effect."""

    code: str
    text: str


class InDoubt(Value, frozen=True):
    """It left us, and no trustworthy answer came."""

    code: str
    text: str


class Unusable(Value, frozen=True):
    """Never became a request."""

    row: Row
    code: str
    text: str
    """One sentence for a person: column, shape of the value, reason. Never the value itself."""


class Skipped(Value, frozen=True):
    """Held back by the gate."""

    request: Request
    reason: SkipReason


class Filtered(Value, frozen=True):
    """Not to be sent at all, as the job's `when` says. It never reaches the gate."""

    row: Row

    @property
    def reason(self) -> SkipReason:
        """As a skipped row has one."""
        return SkipReason.FILTERED


class Known(Value, frozen=True):
    """A stretch of consecutive rows each of which was accepted before: held back together, and never mapped again."""

    rows: int

    @property
    def reason(self) -> SkipReason:
        """As each of them would have, asked for by itself."""
        return SkipReason.ACCEPTED


Mapped = Request | Unusable | Filtered
"""What the mapper makes of a row."""

Outcome = Accepted | Rejected | Failed | InDoubt
"""How a claimed row ends."""


# --- steps: of rows that go by more than one request, or by another one than the job's call ----


class Importing(Value, frozen=True):
    """The first of two: the profile is imported, by which nobody is engaged."""

    doubtful: bool = False
    """A request before this step may have engaged the person: only the answer to the second step lifts that doubt."""


class Starting(Value, frozen=True):
    """The second of two: the profile, which is there by now, is engaged."""

    profile_id: str


class Updating(Value, frozen=True):
    """The only one: the person was engaged before, so the profile is imported and nobody is engaged."""


Step = Importing | Starting | Updating


class Engaged(enum.Enum):
    """What the ledger knows of a person whom something was sent for."""

    CERTAINLY = "certainly"
    PERHAPS = "perhaps"
    """A request that would engage the person is in doubt, and none is known to have done so."""


# --- claims and their ends ---------------------------------------------------------------------


class EntryRef(Value, frozen=True):
    """The ledger's address of an entry."""

    run: RunId
    source_no: int
    row_number: int


class Span(Value, frozen=True):
    """Entries of consecutive rows of one source of a run."""

    run: RunId
    source_no: int
    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


class Stretch(Value, frozen=True):
    """Rows that came one after the other, and the entries that their keys have."""

    digest: bytes
    """16 bytes over all that their keys are made from."""
    spans: tuple[Span, ...]


class Claim(Value, frozen=True):
    """The ledger entry that is durable before the first byte of a request leaves."""

    source_no: int
    """1-based number of the source within the run."""
    request: Request
    request_id: RequestId
    requested_at_ms: int
    """When this Request-ID was first claimed (Unix time): the platform's window runs from here."""
    doubtful: bool = False
    """An earlier send under this Request-ID may have taken effect: never call it Failed."""
    resent: bool = False
    """This very Request-ID may have left before: it must not leave again once the platform may have forgotten it."""
    takes_over: tuple[EntryRef, ...] = ()
    """Entries of earlier runs whose place this claim takes."""
    step: Step | None = None
    """What its request is, where that is not the job's call."""


class Settled(Value, frozen=True):
    """A claim and how it ended."""

    claim: Claim
    outcome: Outcome
    attempts: int
    """POSTs that may have been looked at: a throttle (429) or a shutdown is not an attempt."""
    requests: int
    """All POSTs that left, throttled ones included."""
    replayed: bool = False
    """The answer was the platform's stored answer to an earlier request with this Request-ID."""
    elapsed_ms: int = 0
    refusal: str | None = None
    """The API refused us and not the row: why the run must stop."""
    task: str | None = None
    """With the first claim of a parcel that was queued: the platform's number for all of them."""
    whole: bool = False
    """The outcome is that of the whole parcel the claim was part of: which row is to blame was not said."""


class Parcel(Value, frozen=True):
    """Claims that leave as one request, under the one Request-ID that they share."""

    claims: tuple[Claim, ...]

    @property
    def lead(self) -> Claim:
        """A claim that stands for all of them: doubtful when one of them is."""
        first = self.claims[0]
        doubtful = any(claim.doubtful for claim in self.claims)
        return first if first.doubtful == doubtful else msgspec.structs.replace(first, doubtful=True)


class ParcelRecord(Value, frozen=True):
    """What the ledger keeps of a parcel: enough to know whether the very same can be put together again."""

    request_id: RequestId
    rows: int
    digest: bytes
    """16 bytes over the payloads in their order."""


class TaskRecord(Value, frozen=True):
    """A parcel that the platform has queued, and the rows that are in it."""

    task: str
    """What the platform calls it."""
    request_id: RequestId
    rows: int
    first: tuple[int, int]
    """Number of the source, and of the row in it."""
    last: tuple[int, int]


class Shape(Value, frozen=True):
    """How an installation is asked about many profiles at once."""

    installation: str
    endpoint: str
    written: str
    """The format, and how an item is written."""


# --- what a run adds up to ---------------------------------------------------------------------


class Totals(Value, frozen=True):
    """What happened to the rows of a run. `read` must equal the sum of the six outcomes."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    in_doubt: int = 0
    unusable: int = 0
    skipped: Mapping[str, int] = msgspec.field(default_factory=dict)
    """By `SkipReason`."""
    codes: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Of rejected, failed, in-doubt and unusable rows, as `outcome:code`."""
    requests: int = 0
    replays: int = 0
    updated: int = 0
    """Of the accepted rows: those by which nobody was engaged, for they are about people who had been before."""

    @property
    def skipped_in_all(self) -> int:
        """Rows the gate held back, whatever the reason."""
        return sum(self.skipped.values())

    @property
    def ended(self) -> int:
        """Rows that have an outcome."""
        return self.accepted + self.rejected + self.failed + self.in_doubt + self.unusable + self.skipped_in_all

    @property
    def balanced(self) -> bool:
        """Every row read has exactly one outcome."""
        return self.read == self.ended

    def with_open_claims(self, open_claims: int, code: str) -> Totals:
        """These totals once claims that never ended are known to be in doubt; they count as read already."""
        if not open_claims:
            return self
        codes = {**self.codes, f"in_doubt:{code}": self.codes.get(f"in_doubt:{code}", 0) + open_claims}
        return msgspec.structs.replace(self, in_doubt=self.in_doubt + open_claims, codes=codes)


class LimitRecord(Value, frozen=True):
    """What became of an adaptive limit of requests in flight during a run."""

    lowest: int
    highest: int
    final: int
    backed_off: Mapping[str, int] = msgspec.field(default_factory=dict)
    """How often it was lowered, by cause: latency, throttled, failed."""
