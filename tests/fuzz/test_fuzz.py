"""Any bytes, wherever bytes come from outside: no crash, no hang, no lost record.

`make fuzz` goes on for as long as it is told, guided by coverage where atheris installs; here some hundred tries.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import CASES, NAMES, Target, target

TRIES = {"ledgers": 8}
"""Where one try takes long; else a hundred and fifty."""

CASE_LIMIT_S = 60
"""Each case takes milliseconds; on the busiest machine a hang is told from it by this."""

FOUND = [(name, case) for name in NAMES for case in target(name).cases]


def spoilt(one: Target) -> st.SearchStrategy[bytes]:
    """A seed with bytes taken out and pieces put in, several times; or anything."""
    more = st.lists(st.sampled_from(one.pieces) | st.binary(max_size=4), max_size=3).map(b"".join)
    place = st.tuples(st.integers(0, max(map(len, one.seeds))), st.integers(0, 12), more)

    def spoil(seed: bytes, places: list[tuple[int, int, bytes]]) -> bytes:
        for at, gone, put in places:
            seed = seed[:at] + put + seed[at + gone :]
        return seed

    return st.builds(spoil, st.sampled_from(one.seeds), st.lists(place, max_size=4)) | st.binary(max_size=120)


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_end_in_a_value_or_in_a_sentence(name: str) -> None:
    """Seeds as they are, seeds that were spoilt, and noise."""
    one = target(name)
    for seed in one.seeds:
        one.try_one(seed)

    @settings(max_examples=TRIES.get(name, 150), deadline=None, suppress_health_check=list(HealthCheck))
    @given(spoilt(one))
    def tried(data: bytes) -> None:
        one.try_one(data)

    tried()


@pytest.mark.timeout(CASE_LIMIT_S)
@pytest.mark.parametrize(("name", "case"), FOUND, ids=[f"{name}-{case.name}" for name, case in FOUND])
def test_what_was_found_once_stays_mended(name: str, case: object) -> None:
    """Every case of the shelf."""
    assert case in target(name).cases
    target(name).try_one(case.read_bytes())  # type: ignore[attr-defined]


def test_every_case_belongs_to_a_target() -> None:
    """None lies where nobody tries it."""
    assert {path.name for path in CASES.iterdir() if path.is_dir()} <= set(NAMES)
