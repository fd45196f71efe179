"""Addresses: which are read, what they are called, and that no secret of theirs is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.addresses import Address, is_address, without_secrets


@pytest.mark.parametrize(
    ("text", "shown", "name"),
    [
        ("https://crm.example/out/people.csv", "https://crm.example/out/people.csv", "people.csv"),
        ("https://crm.example/a%20b.csv?sign=S3CR3T#x", "https://crm.example/a%20b.csv?…", "a b.csv"),
        ("https://crm.example", "https://crm.example", ""),
        ("http://[::1]:8080/p.csv", "http://[::1]:8080/p.csv", "p.csv"),
        ("s3://bucket/odd?key#1.csv", "s3://bucket/odd?key#1.csv", "odd_key_1.csv"),
        ("gs://bucket/a/..", "gs://bucket/a/..", ""),
        ("sftp://me@host:2222/in/people.csv", "sftp://me@host:2222/in/people.csv", "people.csv"),
    ],
)
def test_an_address_is_shown_without_its_query(text: str, shown: str, name: str) -> None:
    """Nobody can tell that a query is no signature; keys of stores have none."""
    address = Address.of(text)
    assert (address.shown, address.name, address.url) == (shown, name, text)
    assert "S3CR3T" not in repr(address)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://me:S3CR3T@crm.example/a.csv", r"https://crm\.example/a\.csv: passwords do not belong.*netrc"),
        ("https://S3CR3T@crm.example/a.csv", "passwords do not belong"),
        ("sftp://me:S3CR3T@host/a.csv", r"^sftp://host/a\.csv: passwords.*FSSPEC_SFTP_PASSWORD"),
        ("s3://KEY:S3CR3T@bucket/a.csv", "passwords do not belong.*credentials of the environment"),
        ("ftp://me:S3CR3T@host/a.csv", "ftp:// is not read, only https://"),
        ("file:///etc/passwd", "file:// is not read"),
        ("https:///a.csv?x=S3CR3T", "names no host"),
        ("https://host:99999/a.csv", "names no host, or none that can be"),
        ("https://[::1/a.csv", "names no host"),
        ("https://host/a b.csv?S3CR3T", "write a space as %20"),
        ("https://host/a.csv\n", "a character that no address has"),
        ("https://host/in/*.csv?S3CR3T", "name each file"),
        ("s3://bucket", "names no file"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_secrets(text: str, sentence: str) -> None:
    """One sentence with the next step."""
    with pytest.raises(ValueError, match=sentence) as caught:
        Address.of(text)
    assert "S3CR3T" not in str(caught.value)


def test_folders_and_patterns_are_told_from_files() -> None:
    """Only stores list what they hold; a question mark is a query elsewhere."""
    listed = ["s3://b/", "gs://b/in/", "s3://b/in/*.csv", "sftp://h/in/a?.csv", "gs://b/[ab].csv"]
    assert all(Address.of(text).is_listed for text in listed)
    assert not any(Address.of(text).is_listed for text in ("s3://b/in", "https://h/in/", "https://h/in?all=1"))


@pytest.mark.parametrize("query", ["X-Amz-Signature=1", "sv=1&sig=2", "token=", "X-Goog-Credential=a"])
def test_a_signed_address_is_known(query: str) -> None:
    """What is no secret for sure stays readable where a person needs it."""
    assert Address.of(f"https://h/a.csv?{query}").is_signed
    assert not Address.of("https://h/a.csv?format=csv&id=3").is_signed


def test_what_is_no_address_is_left_as_it_is() -> None:
    """Paths of all systems, and options."""
    for text in ("people.csv", "C:\\x.csv", "in/a://b", "--run-dir=x", "-", "a@b.c?d"):
        assert not is_address(text)
        assert without_secrets(text) == text


@given(st.sampled_from(["https", "HTTPS", "sftp", "s3", "ftp", "gs"]), st.text(), st.text(max_size=5))
def test_no_password_is_ever_shown(scheme: str, user: str, path: str) -> None:
    """Whatever stands around it."""
    user = user.replace("/", "")
    assert "S3CR3T" not in without_secrets(f"{scheme}://{user}:S3CR3T@host/{path}")
