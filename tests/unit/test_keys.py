"""Keys are for ever: fixed examples, worked out from the words of the module and not with its code."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.keys import KeyMaker, Repeat

JOB, INSTALLATION = "crm-welcome", "https://altcraft.example.com"
FINGERPRINT = "0123456789abcdef0123456789abcdef"
PAYLOAD = b'{"email":"ivan@example.com","matching":"email","workflow_id":12}'


def framed(*texts: str) -> bytes:
    """Each text as UTF-8 after its length in 8 bytes, big-endian."""
    return b"".join(struct.pack(">Q", len(text.encode())) + text.encode() for text in texts)


def who_digest(*texts: str) -> bytes:
    """The words of the module, said again with hashlib."""
    return hashlib.blake2b(framed(*texts), digest_size=16, person=b"batchrunner.who").digest()


def what_digest(rest: bytes) -> bytes:
    """The words of the module, said again with hashlib."""
    return hashlib.blake2b(framed(JOB, INSTALLATION) + rest, digest_size=8, person=b"batchrunner.what").digest()


def key(repeat: Repeat, *search: str, payload: bytes = PAYLOAD, row_number: int = 42, matching: str = "email") -> bytes:
    """A key of the example job."""
    return KeyMaker(JOB, INSTALLATION, matching, repeat).key(search, payload, FINGERPRINT, row_number)


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        # who = blake2b-128(person=batchrunner.who, framed(job, installation, "email", "ivan@example.com"))
        #     = 37f0570a399088ac f4fd4a23adb8848a
        # what = blake2b-64(person=batchrunner.what, framed(job, installation) + payload)
        ("unchanged", "37f0570a399088ac6d83b38dfa588030"),
        # the whole of `who`
        ("identity", "37f0570a399088acf4fd4a23adb8848a"),
        # what = blake2b-64(person=batchrunner.what, framed(job, installation, fingerprint, "42"))
        ("file", "37f0570a399088accd24c74b21795c26"),
    ],
)
def test_the_key_of_a_known_request_never_changes(repeat: Repeat, expected: str) -> None:
    """Ledgers outlive programs: another key would send every row again."""
    assert key(repeat, "ivan@example.com").hex() == expected


def test_the_key_of_a_custom_search_never_changes() -> None:
    """The name of the searched field is part of whom the request is about."""
    # blake2b-128(person=batchrunner.who, framed(job, installation, "custom", "client id", "ё-7"))
    assert key("identity", "Client ID", " Ё-7 ", matching="custom").hex() == "d7aa07895504aa8735e4405f52157824"


def test_the_fixed_examples_follow_from_the_words() -> None:
    """The hexadecimal digits above are not only what the code gave one day."""
    who = who_digest(JOB, INSTALLATION, "email", "ivan@example.com")
    assert key("identity", "ivan@example.com") == who
    assert key("unchanged", "ivan@example.com") == who[:8] + what_digest(PAYLOAD)
    assert key("file", "ivan@example.com") == who[:8] + what_digest(framed(FINGERPRINT, "42"))


@pytest.mark.parametrize(
    "spelling", ["IVAN@example.com", "Ivan@Example.COM", "  ivan@example.com ", "ivan@example.com\u00a0"]
)
def test_spellings_of_one_address_are_one_person(spelling: str) -> None:
    """Two requests about one person must never fly at once."""
    assert key("unchanged", spelling)[:8] == key("unchanged", "ivan@example.com")[:8]
    assert key("identity", spelling) == key("identity", "ivan@example.com")


def test_identity_ignores_what_is_sent() -> None:
    """A person is engaged once, whatever changes."""
    assert key("identity", "a@b.cz", payload=b"1", row_number=1) == key(
        "identity", "a@b.cz", payload=b"2", row_number=2
    )


def test_unchanged_follows_the_payload_and_not_the_row() -> None:
    """A row that moved in the file is the same ask."""
    assert key("unchanged", "a@b.cz", row_number=1) == key("unchanged", "a@b.cz", row_number=2)
    assert key("unchanged", "a@b.cz", payload=b"1") != key("unchanged", "a@b.cz", payload=b"2")


def test_file_follows_the_row_and_not_the_payload() -> None:
    """Each row of each file is an ask of its own."""
    assert key("file", "a@b.cz", payload=b"1") == key("file", "a@b.cz", payload=b"2")
    assert key("file", "a@b.cz", row_number=1) != key("file", "a@b.cz", row_number=2)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_search_values_are_different_people(one: list[str], other: list[str]) -> None:
    """Lengths go before texts, so that ("ab", "c") is not ("a", "bc")."""
    same = [text.strip().casefold() for text in one] == [text.strip().casefold() for text in other]
    assert (key("identity", *one) == key("identity", *other)) is same


def test_a_lone_surrogate_has_a_key() -> None:
    """Bytes that are no text are refused with a sentence elsewhere, and must not end the run here."""
    assert len(key("unchanged", "\ud800")) == 16
