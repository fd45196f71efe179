"""Admission: from judged rows to rows that may be claimed now.

The gate is asked about some hundreds of rows at once; of those, a row waits here while another request about the same
person is in flight, and a repeat of a key that waits or flies is held back although the ledger cannot know it yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import is_
from typing import cast

from batchrunner.gate import Decision, Hold, SendNew, SendSame
from batchrunner.model import (
    EntryRef,
    Filtered,
    Key,
    Known,
    ParcelRecord,
    Request,
    RequestId,
    Skipped,
    SkipReason,
    Step,
    Unusable,
    Value,
    Who,
    people_of,
)

ROWS_A_QUESTION = 1_000
"""Rows about which the gate is asked at once."""

A_PIECE = 100
"""Rows that are admitted at once where all of them are new: so few that one which is not costs little."""

PARKED_AT_MOST = 10_000
"""Rows that may wait for their person's turn before reading pauses: a file about one person stays in flat memory."""


class Judgement(Value, frozen=True):
    """What the gate said of one request, and which entries its claim would take over."""

    decision: Decision
    request_id: RequestId | None = None
    """Of the earlier claim, with SendSame."""
    requested_at_ms: int = 0
    doubtful: bool = False
    takes_over: tuple[EntryRef, ...] = ()
    parcel: ParcelRecord | None = None
    """The earlier claim left as part of it, so it can only be repeated with all the others."""
    step: Step | None = None
    """Where it goes on from, or what it is to be, where that is not the job's call."""


NEW = Judgement(SendNew())
"""Of nearly every row of a first run."""

HELD = {reason: Judgement(Hold(reason)) for reason in SkipReason}
"""Of nearly every row of a second one."""


def apart(judgement: Judgement) -> Judgement:
    """What becomes of a row whose earlier request cannot be made again as it was."""
    if isinstance(judgement.decision, SendSame) and judgement.decision.or_new:
        return Judgement(NEW.decision, doubtful=judgement.doubtful, takes_over=judgement.takes_over)
    return HELD[SkipReason.IN_DOUBT]


class Candidate(Value, frozen=True):
    """A request that may be claimed."""

    source_no: int
    request: Request
    judgement: Judgement


Judged = tuple[Request, Judgement] | Unusable | Filtered | Known
"""A row after the gate, which only requests come to; or a stretch of rows that need not be asked for one by one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one source after the mapper and the gate, in file order."""

    source_no: int
    judged: Sequence[Judged]
    position: int
    """Bytes of all sources read so far."""

    @property
    def rows(self) -> int:
        """How many there are. A stretch is a batch by itself."""
        match self.judged:
            case [Known(rows)]:
                return rows
        return len(self.judged)


@dataclass(slots=True)
class Taken:
    """What one call of `take` found."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped | Filtered | Known] = field(default_factory=list)
    unusable: list[tuple[int, Unusable]] = field(default_factory=list)
    """With the number of their source."""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.candidates or self.skipped or self.unusable)


class Admission:
    """Gives out candidates in file order, one per person at a time."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        """Take rows from `batches` as they are wanted: each is judged at the moment it is asked for."""
        self._batches = batches
        self._source_no = 0
        self._judged: Sequence[Judged] = ()
        self._next = 0
        """How many of them have been looked at."""
        self._flying: set[Who] = set()
        self._parked: dict[Who, deque[Candidate]] = {}
        self._parked_count = 0
        self._released: deque[Candidate] = deque()
        self._unclaimed: set[Key] = set()
        self._claimed_since_asked: set[Key] = set()
        self.exhausted = False
        """Nothing more comes from the file; parked rows may still wait."""
        self._begin = 0
        self._end = 0
        self._rows = 1

    @property
    def position(self) -> int:
        """Bytes of all sources that have been given out, as nearly as the rows of a batch are alike."""
        return self._end - (self._end - self._begin) * self._left // self._rows

    @property
    def waiting(self) -> int:
        """Rows that were read, may be sent, and have not been given out."""
        return self._parked_count + len(self._released)

    @property
    def can_go_on(self) -> bool:
        """Whether `take` could give something out without anybody landing first."""
        return bool(self._released) or (not self.exhausted and self._parked_count < PARKED_AT_MOST)

    def take(self, room: int) -> Taken:
        """Up to `room` candidates, and what was met on the way to them. Reads at most one batch."""
        taken = Taken()
        while self._released and len(taken.candidates) < room:
            taken.candidates.append(self._released.popleft())
        if not self._left and len(taken.candidates) < room and self._parked_count < PARKED_AT_MOST:
            self._pull()
        while self._left and len(taken.candidates) < room and self._parked_count < PARKED_AT_MOST:
            piece = self._judged[self._next : self._next + min(A_PIECE, room - len(taken.candidates))]
            if self._admit_together(piece, taken):
                self._next += len(piece)
            else:
                self._admit_each(piece, room, taken)
        return taken

    def claimed(self, candidates: Sequence[Candidate]) -> None:
        """The ledger knows these now."""
        keys = [candidate.request.key for candidate in candidates]
        self._unclaimed.difference_update(keys)
        # Rows in the queue were judged before these claims, so the gate could not have seen them.
        self._claimed_since_asked.update(keys)

    def all_landed(self, people: Sequence[Who]) -> None:
        """Requests about all of these have ended."""
        if self._parked:
            for who in people:
                self.landed(who)
        else:  # nobody waits for them: as in nearly every file
            self._flying.difference_update(people)

    def landed(self, who: Who) -> None:
        """A request about this person has ended: the next one may go."""
        line = self._parked.get(who)
        if line is None:
            self._flying.discard(who)
            return
        self._released.append(line.popleft())
        self._parked_count -= 1
        if not line:
            del self._parked[who]

    def _pull(self) -> None:
        self._claimed_since_asked.clear()
        batch = next(self._batches, None)
        if batch is None:
            self.exhausted = True
            return
        self._begin, self._end, self._rows = self._end, batch.position, max(1, len(batch.judged))
        self._source_no = batch.source_no
        self._judged, self._next = batch.judged, 0

    @property
    def _left(self) -> int:
        return len(self._judged) - self._next

    def _admit_together(self, piece: Sequence[Judged], taken: Taken) -> bool:
        """Admit them all, if they are new and about different people: a quarter of the time of one by one."""
        if set(map(type, piece)) != {tuple}:
            return False
        requests, judgements = zip(*cast("Sequence[tuple[Request, Judgement]]", piece), strict=True)
        if not all(map(is_, judgements, repeat(NEW))):
            return False
        keys = [request.key for request in requests]
        people = set(people_of(keys))
        # Whoever waits to be claimed flies or is parked, so that only what has landed since is left to ask for.
        if len(people) < len(keys) or not (
            self._flying.isdisjoint(people) and self._claimed_since_asked.isdisjoint(keys)
        ):
            return False
        self._flying |= people
        self._unclaimed.update(keys)
        taken.candidates += map(Candidate, repeat(self._source_no), requests, judgements)
        return True

    def _admit_each(self, piece: Sequence[Judged], room: int, taken: Taken) -> None:
        for judged in piece:
            if len(taken.candidates) >= room or self._parked_count >= PARKED_AT_MOST:
                return
            self._next += 1
            self._admit(judged, taken)

    def _admit(self, judged: Judged, taken: Taken) -> None:
        if not isinstance(judged, tuple):
            if isinstance(judged, Unusable):
                taken.unusable.append((self._source_no, judged))
            else:
                taken.skipped.append(judged)
            return
        request, judgement = judged
        key = request.key
        if isinstance(judgement.decision, Hold):
            taken.skipped.append(Skipped(request, judgement.decision.reason))
        elif key in self._unclaimed or key in self._claimed_since_asked:
            taken.skipped.append(Skipped(request, SkipReason.REPEAT_IN_RUN))
        else:
            self._line_up(Candidate(self._source_no, request, judgement), taken)

    def _line_up(self, candidate: Candidate, taken: Taken) -> None:
        who = candidate.request.who
        self._unclaimed.add(candidate.request.key)
        if who in self._flying:
            self._parked.setdefault(who, deque()).append(candidate)
            self._parked_count += 1
            return
        self._flying.add(who)
        taken.candidates.append(candidate)
