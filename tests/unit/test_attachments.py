"""Marks of files in payloads: what they say comes back, whatever the names of files hold."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from batchrunner.attachments import Upload, digest_of, mark, uploads_in, with_names

DIGEST = "0123456789abcdef" * 2
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.lists(st.builds(Upload, st.just(DIGEST), names, names), max_size=4))
def test_a_mark_says_what_was_put_into_it(uploads: list[Upload]) -> None:
    """Through JSON, in order, each once; and every mark is replaced."""
    payload = json.dumps({"attach": [{"file_key": mark(one)} for one in uploads]}, separators=(",", ":")).encode()
    assert uploads_in(payload) == list(dict.fromkeys(uploads))
    sent = json.loads(with_names(payload, lambda one: f"key-{uploads.index(one)}"))
    assert [one["file_key"] for one in sent["attach"]] == [f"key-{uploads.index(one)}" for one in uploads]


def test_a_payload_without_a_mark_is_left_alone() -> None:
    """Whatever it holds."""
    payload = b'{"text":"batchrunner-upload: how it works"}'
    assert uploads_in(payload) == []
    assert with_names(payload, lambda _: "key") == payload


def test_a_digest_is_of_the_content(tmp_path: Path) -> None:
    """And of nothing else."""
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"other")):
        (tmp_path / name).write_bytes(content)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b") != digest_of(tmp_path / "c")
    assert len(digest_of(tmp_path / "a")) == 32
