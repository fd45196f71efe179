"""`file_upload` of the sandbox: the documented example, and what a scenario does with a key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from batchrunner.sandbox import Handle, Settings, running

CALL = {"workflow_id": 12, "matching": "email", "email": "a@example.com"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Handle]:
    """A sandbox of this module."""
    with running(Settings()) as handle:
        yield handle


def post(sandbox: Handle, path: str, body: dict[str, object]) -> dict[str, object]:
    """The answer to a call."""
    answer = httpx.post(f"{sandbox.url}/api/v1.1/{path}", json={"token": sandbox.token, **body}, trust_env=False)
    value: dict[str, object] = answer.json()
    return value


def test_the_documented_example_gets_a_key(sandbox: Handle) -> None:
    """`data.file` in the answer; the content is what the data URL holds."""
    sandbox.reset()
    answer = post(sandbox, "file_upload", {"data": "data:text/csv;base64,SEVMTE8K", "header": "US.csv"})
    assert answer["error"] == 0
    data = answer["data"]
    assert isinstance(data, dict)
    assert list(data) == ["file"]
    kept = sandbox.uploads()[data["file"]]
    assert kept == {"name": "US.csv", "size": 6, "sha256": hashlib.sha256(b"HELLO\n").hexdigest()}


def test_xml_is_answered_in_xml(sandbox: Handle) -> None:
    """With the key in the same place."""
    body = f"<xml><token>{sandbox.token}</token><data>data:text/csv;base64,SEVMTE8K</data><header>US.csv</header></xml>"
    answer = httpx.post(
        f"{sandbox.url}/api/v1.1/file_upload",
        content=body,
        headers={"Content-Type": "application/xml"},
        trust_env=False,
    )
    assert "<data><file>" in answer.text
    assert "<error>0</error>" in answer.text


@pytest.mark.parametrize("body", [{"header": "a"}, {"data": "data:a/b;base64,QQ=="}, {"header": "a", "data": "QQ=="}])
def test_half_an_upload_is_refused(sandbox: Handle, body: dict[str, object]) -> None:
    """A name and a data URL are needed."""
    assert post(sandbox, "file_upload", body)["error"] == 400


def test_a_scenario_takes_a_key_that_it_knows_and_no_other(sandbox: Handle) -> None:
    """In the place of the content."""
    sandbox.reset()
    data = post(sandbox, "file_upload", {"data": "data:text/csv;base64,SEVMTE8K", "header": "US.csv"})["data"]
    assert isinstance(data, dict)
    file = {"name": "US.csv", "mimetype": "text/csv"}
    known = post(sandbox, "workflows/import_and_start", {**CALL, "attach": [{**file, "file_key": data["file"]}]})
    unknown = post(sandbox, "workflows/import_and_start", {**CALL, "attach": [{**file, "file_key": "another"}]})
    assert (known["error"], unknown["error"]) == (0, 400)
