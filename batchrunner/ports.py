"""The protocols at the seams: what the pipeline asks of each room, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from batchrunner.model import (
    Claim,
    Engaged,
    EntryRef,
    Key,
    Mapped,
    Parcel,
    ParcelRecord,
    RequestId,
    Row,
    RunId,
    Settled,
    Source,
    State,
    Step,
    TaskRecord,
    Totals,
    Unusable,
    Value,
    Who,
)

if TYPE_CHECKING:  # pandas takes longer to import than `status` takes to answer
    from batchrunner.chunks import Chunk


RESULT_COLUMNS = ("_row", "_line", "_source", "_outcome", "_profile_id", "_error_code", "_error_text")
"""In front of the source's own columns in every result file: by them it is known when it comes back as a source."""


TEXT_HEADERS = "text_headers"
"""The extension under which answers carry their headers as pairs of texts, their names in lower case. Engines have them
so, and making httpx.Headers of them costs more than a tenth of a request."""


HEAD_LINES = "head_lines"
"""The extension under which a request may carry its headers once more: as the bytes that HTTP/1.1 wants, the empty line
at their end included. What they are made of has been looked at; nothing in them ends a line early."""


class Reader(Protocol):
    """An open source. Reading it twice gives the same rows with the same numbers."""

    @property
    def source(self) -> Source:
        """What is being read."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Column names in file order, then the paths inside their values. For JSONL: as the first records have them."""
        ...

    @property
    def encoding(self) -> str:
        """The codec the file is read with, which its byte-order mark may have chosen."""
        ...

    @property
    def has_bom(self) -> bool:
        """Whether the file begins with a byte-order mark."""
        ...

    @property
    def header(self) -> tuple[str, ...] | None:
        """The header of a CSV file as it is written, where `columns` begins with distinct names; None for JSONL."""
        ...

    def place(self, row: Row) -> str:
        """Where a row that has been read is, for a person: its line, behind the name of its member of a zip."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """All records of the source, in file order, in bounded memory. Raises SourceError."""
        ...


class Mapper(Protocol):
    """Rows to requests: pure."""

    def map(self, chunk: Chunk) -> list[Mapped]:
        """One Request, Unusable or Filtered per row of the chunk (not for its broken records), in row order."""
        ...


class Standing(Value, frozen=True):
    """What the ledger knows of a key: its one entry that no later entry has taken over."""

    ref: EntryRef
    state: State
    request_id: RequestId
    requested_at_ms: int
    replayed: bool


class Onward(Value, frozen=True):
    """What else an exchange makes durable, where rows do not go alone, or not by one request."""

    claims: Sequence[Claim] = ()
    """Claims of this run that go on under another Request-ID."""
    parcels: Sequence[ParcelRecord] = ()
    """Parcels that are about to leave for the first time."""
    tasks: Sequence[TaskRecord] = ()
    """Parcels that the platform has queued."""


class Ledger(Protocol):
    """The memory, as a run uses it. One writer; every method that writes is durable when it returns."""

    def standing(self, keys: Collection[Key]) -> Mapping[Key, Standing]:
        """How each known key stands. Keys never claimed are absent."""
        ...

    def last_served(self, people: Collection[Who]) -> Mapping[Who, RunId]:
        """The latest run in which something was accepted for a person; people it never was for are absent."""
        ...

    def exchange(
        self,
        run: RunId,
        settled: Sequence[Settled],
        claims: Sequence[Claim],
        totals: Totals,
        onward: Onward | None = None,
    ) -> None:
        """In one transaction: settle what came, claim what goes next, and note the run's totals."""
        ...

    def parcels(self, request_ids: Collection[RequestId]) -> Mapping[RequestId, ParcelRecord]:
        """Which of these Request-IDs were those of parcels, and what is known of them."""
        ...

    def steps(self, standing: Collection[Standing]) -> Mapping[EntryRef, Step]:
        """At which step these entries stand; those that went by the job's call are absent."""
        ...

    def engaged(self, people: Collection[Who], since_ms: int) -> Mapping[Who, Engaged]:
        """Who of these was engaged by a request that was claimed no earlier, or may have been; others are absent."""
        ...

    def count_states(self, run: RunId) -> Mapping[State, int]:
        """How many entries of a run stand in each state: the independent count that totals must agree with."""
        ...


class UploadShelf(Protocol):
    """What is known of files that the platform has. Used from the side of HTTP: it has nothing to do with claims."""

    def key_of(self, digest: str, not_before_ms: int) -> str | None:
        """What the platform calls a file with this content, if it was uploaded no earlier."""
        ...

    def remember(self, digest: str, key: str, now_ms: int) -> None:
        """Keep it; durable on return."""
        ...

    def close(self) -> None:
        """Let go of the ledger."""
        ...


class Submitter(Protocol):
    """The HTTP side: knows requests and answers, never the ledger."""

    async def submit(self, claim: Claim) -> Settled:
        """Send a claimed request until it is settled. Never raises for what the network or the API does."""
        ...

    def drain(self) -> None:
        """From now on start nothing: settle what has not been sent and what waits between attempts."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Landing(Protocol):
    """Where a claim comes back that was sent without a task of its own."""

    def landed(self, end: Settled) -> None:
        """It has been settled."""
        ...

    def goes_on(self, claim: Claim, rest: Coroutine[Any, Any, Settled]) -> None:
        """It was sent, and has not ended by that: the rest wants a task."""
        ...


Begin = Callable[[Claim, Landing], bool]
"""Sends a claim at once, and takes no task for it. False: nothing was sent, and it has to be submitted."""


def short_way_of(submitter: object) -> Begin | None:
    """How a submitter sends at once, where it can: where each claim is one request, and nothing has to be seen to."""
    begin: Begin | None = getattr(submitter, "begin", None)
    return begin


Durable = Callable[[Sequence[RequestId]], None]
"""Told of the requests whose outcomes are durable."""


def durable_of(sender: object) -> Durable | None:
    """How a submitter, or what it sends by, wants to hear of that; None for nearly all: over HTTP nothing is kept."""
    wants: Durable | None = getattr(sender, "durable", None)
    return wants


@runtime_checkable
class ParcelSubmitter(Submitter, Protocol):
    """A submitter that takes parcels, too."""

    async def submit_parcel(self, parcel: Parcel) -> list[Settled]:
        """Send a parcel until it is settled: an end for each of its claims. Never raises, as `submit`."""
        ...


class ResultSink(Protocol):
    """Where ends of rows are written as the run goes."""

    def settled(self, ends: Sequence[Settled]) -> None:
        """Write rows whose outcome is durable."""
        ...

    def unusable(self, ends: Sequence[tuple[int, Unusable]]) -> None:
        """Write rows that never became requests, each with the number of its source."""
        ...


class Progress(Protocol):
    """Something that shows how far a run is."""

    def update(self, position: int, totals: Totals, flying: int) -> None:
        """`position` is bytes read of all sources; called often, must be cheap."""
        ...
