"""How values are written in the ledger's columns, and read back."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ledgers import OUTCOMES, a_claim, a_request, a_uuid, ends
from msgspec.structs import fields

from batchrunner.ledger import codec
from batchrunner.model import Rejected, RequestId, RunId, State, Totals, Updating

counts = st.integers(0, 10**12)
by_name = st.dictionaries(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), counts, max_size=4)
some_totals = st.builds(
    Totals,
    read=counts,
    accepted=counts,
    rejected=counts,
    failed=counts,
    in_doubt=counts,
    unusable=counts,
    skipped=by_name,
    codes=by_name,
    requests=counts,
    replays=counts,
)


@given(some_totals)
def test_totals_come_back_as_they_were(totals: Totals) -> None:
    """Every field of them."""
    assert codec.unpack_totals(codec.pack_totals(totals)) == totals
    assert json.loads(codec.pack_totals(totals)) == codec.as_dict(totals)
    assert set(codec.as_dict(totals)) == {field.name for field in fields(Totals)}


def test_totals_of_another_version_are_read() -> None:
    """A field that it did not write is zero, and one that we do not know is passed over."""
    assert codec.unpack_totals('{"read":3,"accepted":3,"news":7}') == Totals(read=3, accepted=3)


@given(st.uuids())
def test_request_ids_come_back_as_they_were(value: UUID) -> None:
    """In 16 bytes; the text is what the platform compares."""
    packed = codec.pack_request_id(RequestId(str(value)))
    assert len(packed) == 16
    assert codec.unpack_request_id(packed) == str(value)


@pytest.mark.parametrize(
    ("profile_id", "size"),
    [
        (None, None),
        ("5f1e9c0a5f1e9c0a5f1e9c0a", 12),
        ("000000000000000000000000", 25),
        ("0123456789", 11),
        ("0123456789a", 12),
        ("001e9c0a5f1e9c0a5f1e9c0a", 25),
        ("0123456789ab", 13),
        ("5F1E9C0A5F1E9C0A5F1E9C0A", 25),
        ("5f1e9c0a5f1e9c0a5f1e9c0", 24),
        ("", 1),
        ("12", 3),
        ("Ж", 3),
    ],
)
def test_profile_ids_come_back_as_they_were(profile_id: str | None, size: int | None) -> None:
    """The usual ones small; no answer differs from an empty one."""
    packed = codec.pack_profile_id(profile_id)
    assert codec.unpack_profile_id(packed) == profile_id
    assert (None if packed is None else len(packed)) == size


@given(st.text())
def test_no_profile_id_can_stop_a_run(profile_id: str) -> None:
    """Whatever a platform answers: it is cut, and what is no text is replaced."""
    assume(not profile_id or profile_id.strip("\0"))  # of nothing but these there is none
    unpacked = codec.unpack_profile_id(codec.pack_profile_id(profile_id))
    assert unpacked == profile_id[:64].encode("utf-8", "replace").decode()


def test_the_addresses_of_a_claim_and_of_its_end_are_the_same() -> None:
    """Or an outcome would settle another row."""
    claim = a_claim(a_request(7), source_no=3, request_id=a_uuid(5), at_ms=99_999)

    written = (2, 3, 7, 1, claim.request.key, UUID(int=5).bytes, 99, codec.ROOM_FOR_PROFILE_ID)
    assert codec.claim_values(RunId(2), [claim]) == [written]
    assert codec.settled_values(RunId(2), [ends(claim)])[0][-3:] == (2, 3, 7)


def test_the_room_that_a_claim_keeps_for_a_profile_id_is_none() -> None:
    """A claim that never ended has no profile id."""
    assert codec.unpack_profile_id(codec.ROOM_FOR_PROFILE_ID) is None
    assert len(codec.ROOM_FOR_PROFILE_ID) == len(codec.pack_profile_id("5eeb54a2ce9448518e85fdad") or b"")


def test_profile_ids_of_older_ledgers_are_read() -> None:
    """Up to version 9 a byte stood before the usual ones, and a claim kept room for it."""
    assert codec.unpack_profile_id(bytes.fromhex("015eeb54a2ce9448518e85fdad")) == "5eeb54a2ce9448518e85fdad"
    assert codec.unpack_profile_id(bytes(13)) is None
    assert codec.unpack_profile_id(b"\0AC-00012345") == "AC-00012345"  # as long as a usual one is now
    assert codec.unpack_profile_id(b"\0AC-000123456") == "AC-000123456"


def test_what_is_accepted_at_once_is_told_from_all_else() -> None:
    """Only what the shorter statement writes as it is: one attempt, an answer of its own, the job's own call."""
    at_once = ends(a_claim(7))
    others = [
        ends(a_claim(1), attempts=2),
        ends(a_claim(2), replayed=True),
        ends(a_claim(3), State.REJECTED),
        ends(a_claim(4, step=Updating())),
        ends(a_claim(5), attempts=0),
    ]
    packed = codec.pack_profile_id("5f1e9c0a5f1e9c0a5f1e9c0a")
    assert codec.accepted_values(RunId(2), [*others[:2], at_once, *others[2:]]) == ([(packed, 2, 1, 7)], others)


@pytest.mark.parametrize("state", OUTCOMES)
def test_each_outcome_is_written_as_its_state(state: State) -> None:
    """The numbers are stored for ever."""
    written = codec.settled_values(RunId(1), [ends(a_claim(), state, attempts=2, replayed=True)])[0]
    assert (written[0], written[3], written[4]) == (state.value, True, 2)
    assert [one.value for one in State] == [0, 1, 2, 3, 4, 5]


def test_what_is_too_long_for_a_column_is_cut() -> None:
    """And never refused."""
    written = codec.settled_values(RunId(1), [ends(a_claim(), Rejected("c" * 99, "text"), attempts=10**6)])[0]
    assert (written[1], written[4]) == ("c" * 40, 32_767)


def test_paths_are_kept_as_text() -> None:
    """Bytes of file names that are none are escaped; everything else stands as it is."""
    assert codec.printable("/exports/выгрузка.csv") == "/exports/выгрузка.csv"
    assert codec.printable("/exports/\udcef.csv") == r"/exports/\xef.csv"
