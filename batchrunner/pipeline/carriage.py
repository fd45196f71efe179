"""The carriage: what becomes of rows that leave as parcels, between admission and window and back.

    candidates -> packer -> groups -> claims that share a Request-ID -> parcels
    ends -> refused whole? -> halves under new Request-IDs, claimed before they leave
         -> otherwise the rows have ended

The first parcel for a platform holds one row, and the others wait for an answer to it that is understood: the shape of
these requests is not documented, and a batch that is misread is too much to lose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, repeat
from operator import attrgetter
from typing import Protocol

from msgspec.structs import replace

from batchrunner.errors import ApiRefusedUs, BatchrunnerError
from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    InDoubt,
    Parcel,
    ParcelRecord,
    Rejected,
    Request,
    RequestId,
    Settled,
    TaskRecord,
)
from batchrunner.pipeline.admission import Candidate
from batchrunner.pipeline.bisection import Search, halves, unsearched
from batchrunner.pipeline.claims import claims_under
from batchrunner.pipeline.packing import Group, Packed, Packer, digest_of
from batchrunner.request_ids import new_request_ids

log = logging.getLogger(__name__)

PROBES = 3
"""Rows that are tried one by one before we say that it is not the rows: the first may be a bad one."""

AHEAD = 2
"""Parcels that wait for a connection. More would leave more in doubt after a crash."""


class Understanding(Protocol):
    """The memory of how a platform wants to be asked."""

    def known(self) -> bool:
        """Whether an answer to such a request was ever understood."""
        ...

    def note(self) -> None:
        """One was, now."""
        ...


class Carriage:
    """Puts rows into parcels, and takes them apart again."""

    def __init__(
        self,
        size: int,
        most_bytes: int,
        search: int,
        goes_alone: Callable[[Request], bool] | None,
        understanding: Understanding,
    ) -> None:
        """`search`: requests that may be spent on a parcel that was refused whole."""
        self._packer = Packer(size, most_bytes, goes_alone)
        self._size = size
        self._budget = search
        self._understanding = understanding
        self._known = understanding.known()
        self._probe: RequestId | None = None
        self._probes = 0
        self._refused = 0
        self._searches: dict[RequestId, Search] = {}
        self._parcels: set[RequestId] = set()
        self._tasks: list[TaskRecord] = []
        self.trouble: BatchrunnerError | None = None
        """Why the run has to stop: the platform does not understand us, or we do not understand it."""

    @property
    def waiting(self) -> int:
        """Rows that wait for company."""
        return self._packer.waiting

    def room_for(self, concurrency: int) -> int:
        """Rows in parcels that are in flight or about to be."""
        return (concurrency + AHEAD) * self._size

    # --- out ---------------------------------------------------------------------------------------

    def load(self, candidates: Sequence[Candidate], *, last: bool) -> Packed:
        """Take up candidates, and give out what may be claimed now. `last`: nothing more comes before some leave."""
        self._packer.add(candidates)
        if self._known:
            return self._packer.take(last=last)
        packed = self._packer.take_known(last=last)
        if self._probe is None and self.trouble is None and (probe := self._packer.probe()):
            packed.groups.append(probe)
        return packed

    def claims(self, groups: Sequence[Group], now_ms: int) -> list[list[Claim]]:
        """Claims for each group, under one Request-ID."""
        fresh = new_request_ids(len(groups))
        made = [claims_under(group, repeat(one), now_ms) for group, one in zip(groups, fresh, strict=True)]
        if not self._known and self._probe is None:
            self._probe = next((claims[0].request_id for claims in made if not claims[0].resent), None)
        return made

    def records(self, parcels: Sequence[Sequence[Claim]]) -> list[ParcelRecord]:
        """What the ledger is to keep of parcels that leave for the first time."""
        self._parcels.update(claims[0].request_id for claims in parcels)
        return [
            ParcelRecord(claims[0].request_id, len(claims), digest_of([claim.request for claim in claims]))
            for claims in parcels
            if not claims[0].resent
        ]

    # --- and back ----------------------------------------------------------------------------------

    def unload(self, ends: Sequence[Settled], now_ms: int) -> tuple[list[Settled], list[Parcel]]:
        """Which rows have ended, and what leaves in the place of parcels that were refused whole."""
        ended: list[Settled] = []
        onward: list[Parcel] = []
        for parcel in _by_request(ends):
            request_id = parcel[0].claim.request_id
            if request_id not in self._parcels:  # went alone
                ended += parcel
                continue
            self._parcels.discard(request_id)
            if parcel[0].task is not None:
                self._tasks.append(_task_of(parcel[0].task, parcel))
            search = self._searches.pop(request_id, None) or Search(self._budget)
            if request_id == self._probe:
                self._answered(parcel[0])
            found = halves([end.claim for end in parcel], search) if parcel[0].whole and len(parcel) > 1 else None
            if found is not None:
                onward += self._searching([found.first, found.second], search, now_ms)
            else:
                ended += map(unsearched, parcel) if parcel[0].whole and len(parcel) > 1 else parcel
        return ended, onward

    def tasks(self) -> list[TaskRecord]:
        """What the platform has queued since this was asked last; it is to be kept with the ends of its rows."""
        taken, self._tasks = self._tasks, []
        return taken

    def _searching(self, parts: Sequence[Sequence[Claim]], search: Search, now_ms: int) -> Iterator[Parcel]:
        for part, request_id in zip(parts, new_request_ids(len(parts)), strict=True):
            self._searches[request_id] = search
            yield Parcel(
                tuple(
                    replace(claim, request_id=request_id, requested_at_ms=now_ms, resent=False, takes_over=())
                    for claim in part
                )
            )

    def _answered(self, end: Settled) -> None:
        self._probe = None
        match end.outcome:
            case Accepted() | Rejected() if not end.whole:
                self._known = True
                self._understanding.note()
                return
            case InDoubt("batch_shape" | "unparsable" as code, text):
                self.trouble = _not_understood(f"its answer is not understood ({code}: {text})")
                return
            case Rejected(code, text) | InDoubt(code, text) | Failed(code, text):
                last = f"the last with {code}: {text}"
        self._refused += isinstance(end.outcome, Rejected)
        self._probes += 1
        if self._probes >= PROBES:
            reason = f"each of {PROBES} was refused or failed as a whole, {last}"
            self.trouble = _not_understood(reason) if self._refused else _not_answered(last)


def _task_of(task: str, parcel: Sequence[Settled]) -> TaskRecord:
    places = [(end.claim.source_no, end.claim.request.row.number) for end in parcel]
    log.info("task=%s rows=%d queued", task, len(parcel))
    return TaskRecord(task, parcel[0].claim.request_id, len(parcel), places[0], places[-1])


def _by_request(ends: Sequence[Settled]) -> Iterator[list[Settled]]:
    """The ends of a parcel come side by side."""
    for _, group in groupby(ends, key=attrgetter("claim.request_id")):
        yield list(group)


def _not_answered(last: str) -> ApiRefusedUs:
    return ApiRefusedUs(
        f"stopped after {PROBES} batches of one row, none of which got an answer of the API, {last}. Nothing shows "
        "that it is about how a batch is written: look at the way to the platform with 'batchrunner doctor'; "
        "nothing else was sent"
    )


def _not_understood(reason: str) -> ApiRefusedUs:
    return ApiRefusedUs(
        f"stopped after a batch of one row: {reason}. How this platform wants to be asked about many profiles is not "
        'documented; try batch.item = "flat" or "wrapped", or batch.key, or a call about one profile; nothing else '
        "was sent"
    )
