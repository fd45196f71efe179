"""Packing: which rows leave together, and that many at once are packed as one by one."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st
from ledgers import a_request

from batchrunner.model import Request
from batchrunner.pipeline.admission import NEW, Candidate, Judgement
from batchrunner.pipeline.packing import Packer, digest_of

AS_NEW = Judgement(NEW.decision)
"""Says the same, and is not known for it at a glance: such rows are packed one by one."""

ALONE = b"alone"


def a_sized_request(number: int, size: int, *, alone: bool = False) -> Request:
    """With so many bytes of payload."""
    plain = a_request(number)
    return Request(plain.key, plain.row, (ALONE if alone else b"").ljust(size, b"x"))


def is_alone(request: Request) -> bool:
    """Whether it may not be in a parcel."""
    return request.payload.startswith(ALONE)


def packed(
    requests: Sequence[Request],
    judgement: Judgement,
    size: int,
    most_bytes: int,
    steps: Sequence[int],
    *,
    any_alone: bool,
) -> list[tuple[list[int], list[list[int]], int]]:
    """What leaves at each step: alone, in groups; and how many wait."""
    packer = Packer(size, most_bytes, is_alone if any_alone else None)
    seen, at = [], 0
    for step in [*steps, len(requests)]:
        packer.add([Candidate(1, one, judgement) for one in requests[at : at + step]])
        at += step
        ready = packer.take(last=at >= len(requests))
        alone = [one.request.row.number for one in ready.alone]
        groups = [[one.request.row.number for one in group] for group in ready.groups]
        seen.append((alone, groups, packer.waiting))
    return seen


@given(
    st.lists(st.tuples(st.integers(5, 30), st.booleans()), max_size=30),
    st.integers(1, 7),
    st.integers(20, 120),
    st.lists(st.integers(0, 12), max_size=6),
    st.booleans(),
)
def test_many_rows_are_packed_as_one_by_one(
    asked: list[tuple[int, bool]], size: int, most_bytes: int, steps: list[int], any_alone: bool
) -> None:
    """The same parcels at the same moments, however rows come, within the bounds of rows and of bytes."""
    requests = [
        a_sized_request(number, length, alone=alone and any_alone)
        for number, (length, alone) in enumerate(asked, start=1)
    ]
    together = packed(requests, NEW, size, most_bytes, steps, any_alone=any_alone)
    assert together == packed(requests, AS_NEW, size, most_bytes, steps, any_alone=any_alone)
    groups = [group for _, found, _ in together for group in found]
    assert all(len(group) <= size for group in groups)
    assert all(sum(asked[n - 1][0] + 1 for n in group) <= most_bytes or len(group) == 1 for group in groups)
    left = [*(n for alone, _, _ in together for n in alone), *(n for group in groups for n in group)]
    assert sorted(left) == list(range(1, len(asked) + 1))


def test_the_digest_of_a_parcel_stays_the_same_for_ever() -> None:
    """Ledgers keep it: a parcel that was in doubt when the program was updated must be known again."""
    requests = [a_sized_request(number, size) for number, size in enumerate((0, 1, 300, 1, 70_000), start=1)]
    framed = b"".join(len(one.payload).to_bytes(8, "big") + one.payload for one in requests)
    assert digest_of(requests) == blake2b(framed, digest_size=16, person=b"batchrunner.pack").digest()
    assert digest_of(requests[1:2]).hex() == "57c385d59beb2a19927cbdf9a2045be5"
