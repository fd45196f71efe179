"""Request-IDs are random UUIDs, and no two are alike."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from batchrunner.request_ids import new_request_ids


def test_each_is_a_random_uuid_in_its_canonical_form() -> None:
    """As the platform wants it."""
    made = new_request_ids(500)

    assert len(set(made)) == 500
    for one in made:
        uuid = UUID(one)
        assert (str(uuid), uuid.version, uuid.variant) == (one, 4, RFC_4122)


def test_every_digit_that_may_vary_does() -> None:
    """122 bits are random; only the version is fixed, and the variant is one of four digits."""
    seen = [set(column) for column in zip(*new_request_ids(2_000), strict=True)]

    free = [len(digits) for place, digits in enumerate(seen) if place not in (8, 13, 14, 18, 19, 23)]
    assert set(free) == {16}
    assert seen[14] == {"4"}
    assert seen[19] == set("89ab")


def test_none_can_be_asked_for() -> None:
    """An exchange without claims."""
    assert new_request_ids(0) == []
