"""Packing: which rows leave together. Decisions only; the run claims, and the window sends.

new rows        side by side, up to a number of rows and of bytes; what may not be in a batch goes alone
rows in doubt   left together before, so they leave again only as the very same parcel: the platform answers a
                Request-ID as it did the first time, whatever the body says now
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, repeat
from operator import attrgetter, is_

from batchrunner.model import Request, RequestId
from batchrunner.pipeline.admission import NEW, Candidate

Group = tuple[Candidate, ...]
"""Candidates that are to leave as one request, in its order."""


def digest_of(requests: Sequence[Request]) -> bytes:
    """16 bytes over payloads in their order: equal digests, equal bodies."""
    payloads = [request.payload for request in requests]
    sizes = list(map(len, payloads))
    frames = {size: size.to_bytes(8, "big") for size in set(sizes)}
    framed = b"".join(chain.from_iterable(zip(map(frames.__getitem__, sizes), payloads, strict=True)))
    return blake2b(framed, digest_size=16, person=b"batchrunner.pack").digest()


@dataclass(slots=True)
class Packed:
    """What may be claimed now."""

    alone: list[Candidate] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    apart: list[Candidate] = field(default_factory=list)
    """Their earlier parcel cannot be put together again."""


class Packer:
    """Gathers candidates until a parcel is full, or until nothing more can come."""

    def __init__(self, size: int, most_bytes: int, goes_alone: Callable[[Request], bool] | None) -> None:
        """At most so many rows, and so many bytes of payloads, in a parcel. `goes_alone`: None where nothing does."""
        self._size = size
        self._most_bytes = most_bytes
        self._goes_alone = goes_alone
        self._fresh: list[Candidate] = []
        self._fresh_bytes = 0
        self._again: dict[RequestId, list[Candidate]] = {}
        self._ready = Packed()

    @property
    def waiting(self) -> int:
        """New rows that wait for company. Those in doubt are as few as a crash left, and take nobody's room."""
        return len(self._fresh) + sum(map(len, self._ready.groups))

    def add(self, candidates: Sequence[Candidate]) -> None:
        """Take up candidates, in file order."""
        place = 0
        while place < len(candidates):
            fitting = candidates[place : place + self._size - len(self._fresh)]
            if not self._pack_together(fitting):
                self._add_each(fitting)
            place += len(fitting)

    def _add_each(self, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            judgement = candidate.judgement
            if judgement.parcel is not None:
                self._gather(candidate, judgement.parcel.request_id, judgement.parcel.rows)
            elif judgement.request_id is not None or self._alone(candidate.request):
                self._ready.alone.append(candidate)
            else:
                self._pack(candidate)

    def take(self, *, last: bool) -> Packed:
        """What may leave now. `last`: nothing more can come before something leaves."""
        if last:
            self._close()
            for group in self._again.values():
                self._ready.apart += group
            self._again.clear()
        ready, self._ready = self._ready, Packed()
        return ready

    def probe(self) -> Group | None:
        """One new row by itself, to see whether its answer is understood; the others go on waiting."""
        if not self._fresh and not self._ready.groups:
            return None
        self._close()
        first, *rest = self._ready.groups.pop(0)
        if rest:
            self._ready.groups.insert(0, tuple(rest))
        return (first,)

    def take_known(self, *, last: bool) -> Packed:
        """What may leave while a probe is under way: nothing in a new parcel."""
        packed = self.take(last=last)
        self._ready.groups = [group for group in packed.groups if group[0].judgement.parcel is None]
        packed.groups = [group for group in packed.groups if group[0].judgement.parcel is not None]
        return packed

    def _alone(self, request: Request) -> bool:
        return self._goes_alone is not None and self._goes_alone(request)

    def _pack_together(self, candidates: Sequence[Candidate]) -> bool:
        """Put them all into the parcel that is being filled, if they are new and there is room for them."""
        if not all(map(is_, map(_judgement, candidates), repeat(NEW))):
            return False
        requests = [one.request for one in candidates]
        if self._goes_alone is not None and any(map(self._goes_alone, requests)):
            return False
        size = sum([len(request.payload) for request in requests]) + len(requests)
        if self._fresh_bytes + size > self._most_bytes:
            return False
        self._fresh += candidates
        self._fresh_bytes += size
        if len(self._fresh) >= self._size:
            self._close()
        return True

    def _pack(self, candidate: Candidate) -> None:
        size = len(candidate.request.payload) + 1
        if self._fresh and (len(self._fresh) >= self._size or self._fresh_bytes + size > self._most_bytes):
            self._close()
        self._fresh.append(candidate)
        self._fresh_bytes += size
        if len(self._fresh) >= self._size:
            self._close()

    def _close(self) -> None:
        if self._fresh:
            # In the order of their entries: so the ledger knows the order without keeping it.
            self._ready.groups.append(tuple(sorted(self._fresh, key=_place)))
        self._fresh, self._fresh_bytes = [], 0

    def _gather(self, candidate: Candidate, request_id: RequestId, rows: int) -> None:
        group = self._again.setdefault(request_id, [])
        group.append(candidate)
        if len(group) < rows:
            return
        del self._again[request_id]
        ordered = tuple(sorted(group, key=_place))
        parcel = ordered[0].judgement.parcel
        same = parcel is not None and digest_of([one.request for one in ordered]) == parcel.digest
        if same:
            self._ready.groups.append(ordered)
        else:
            self._ready.apart += group


_place = attrgetter("source_no", "request.row.number")
_judgement = attrgetter("judgement")
