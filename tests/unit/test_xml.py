"""XML both ways: byte for byte as documented; and an answer that attacks its reader is no answer."""

from __future__ import annotations

import json
import tomllib
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from batchrunner.api import ERROR_CODES, Api, read_answer
from batchrunner.api.xml import HEAD, as_xml, from_xml
from batchrunner.chunks import Chunk
from batchrunner.config import Job
from batchrunner.endpoints import DEFAULT
from batchrunner.mapping import compile_mapping
from batchrunner.model import Accepted, Claim, Key, Rejected, Request, RequestId, Row, Source, Unusable
from batchrunner.retrying import Answered, Doubtful
from batchrunner.sandbox.wire import read_body

DOCUMENTED = {
    "token": "abcdefghkijlmnopqrstuv0123456789",
    "data": {"subscriptions": [{"email": "example001@example.com", "resource_id": 7}]},
    "matching": "email",
    "email": "example001@example.com",
    "content": {"one": "My email = example001@example.com", "two": "Timestamp: 1595512477", "three": "Three"},
    "workflow_id": 12,
}
"""The example of the documentation, in its order."""

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda c: c >= " " or c in "\t\n\r"
    )
)
VALUE = st.recursive(
    TEXT.filter(bool) | st.integers(-(2**40), 2**40),
    lambda inner: (
        st.lists(inner.filter(lambda one: not isinstance(one, list)), min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "_fname", "x-1", "имя"]), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def as_texts(value: object) -> object:
    """What is left of a value in XML: objects, arrays and texts."""
    match value:
        case dict():
            return {name: as_texts(part) for name, part in value.items()}
        case list():
            return [as_texts(part) for part in value]
    return str(value)


def test_the_documented_example_byte_for_byte() -> None:
    """Root `<xml>`, an element for each field, `array='true'` at each item of an array."""
    assert (
        as_xml(json.dumps(DOCUMENTED).encode())
        == (
            HEAD + "<xml><token>abcdefghkijlmnopqrstuv0123456789</token>"
            "<data><subscriptions array='true'><email>example001@example.com</email>"
            "<resource_id>7</resource_id></subscriptions></data>"
            "<matching>email</matching><email>example001@example.com</email>"
            "<content><one>My email = example001@example.com</one>"
            "<two>Timestamp: 1595512477</two><three>Three</three></content>"
            "<workflow_id>12</workflow_id></xml>"
        ).encode()
    )


@given(st.dictionaries(st.sampled_from(["data", "content", "other"]), VALUE, min_size=1))
def test_the_platform_reads_what_we_write(fields: dict[str, Any]) -> None:
    """The sandbox has a reader of its own, which shares nothing with our writer."""
    assert as_texts(read_body("application/xml", as_xml(msgspec.json.encode(fields)))) == as_texts(fields)


def test_numbers_and_what_is_empty_are_written_as_they_stand() -> None:
    """A float keeps its digits; null, an empty text and an empty array are elements without a text."""
    payload = b'{"a":1.50,"b":1e5,"c":null,"d":"","e":[],"f":{},"g":true,"h":"\\r\\n<&>"}'
    assert as_xml(payload).decode().removeprefix(HEAD) == (
        "<xml><a>1.50</a><b>1e5</b><c></c><d></d><e array='true'></e><f></f>"
        "<g>true</g><h>&#13;\n&lt;&amp;&gt;</h></xml>"
    )


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("<xml><error>0</error><error_text>x</error_text><profile_id>5eeb</profile_id></xml>", Accepted("5eeb")),
        (f"{HEAD}<xml>\n <error> 0 </error>\n</xml>", Accepted(None)),
        ("<xml><error>435</error><error_text>many &lt;5&gt;</error_text></xml>", Rejected("435", "many <5>")),
    ],
)
def test_an_answer_in_xml_means_what_it_means_in_json(body: str, outcome: object) -> None:
    """The same three fields."""
    assert read_answer(httpx.Response(200, stream=httpx.ByteStream(body.encode()))) == Answered(outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [*ERROR_CODES, 440, 999])
def test_every_code_means_the_same_in_both_formats(code: int) -> None:
    """The documented ones, and others."""
    in_xml = f"<xml><error>{code}</error><error_text>why</error_text></xml>".encode()
    in_json = f'{{"error":{code},"error_text":"why"}}'.encode()
    said = [read_answer(httpx.Response(200, stream=httpx.ByteStream(body))) for body in (in_xml, in_json)]
    assert said[0] == said[1]


BOMB = (
    '<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><xml><error>0</error><error_text>&b;</error_text></xml>'
)
OUTSIDE = (
    '<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><error>0</error><error_text>&a;</error_text></xml>'
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        OUTSIDE,
        '<!DOCTYPE xml SYSTEM "http://127.0.0.1:1/x.dtd"><xml><error>0</error></xml>',
        "<xml><error>0</error>",
        "<html><error>0</error></html>",
        "<xml><error array='true'>0</error></xml>",
        "<xml><error></error></xml>",
        "<a>" * 50_000 + "</a>" * 50_000,
        '<?xml version="1.0" encoding="no-such"?><xml><error>0</error></xml>',
    ],
)
def test_what_is_no_answer_is_in_doubt(body: str) -> None:
    """Entities and document types are refused unread; nothing outside is looked at."""
    verdict = read_answer(httpx.Response(200, stream=httpx.ByteStream(body.encode())))
    assert isinstance(verdict, Doubtful)
    assert verdict.code == "unparsable"


def test_entities_are_not_expanded() -> None:
    """Not one of them."""
    assert from_xml(BOMB.encode()) is None
    assert from_xml(OUTSIDE.encode()) is None


@pytest.mark.parametrize("token_in", ["header", "body"])
def test_a_request_in_xml_asks_for_an_answer_in_xml(token_in: str) -> None:
    """And a preview shows everything but the token."""
    target = SimpleNamespace(
        url="https://a.example", token_in=token_in, connect_timeout=timedelta(seconds=1), timeout=timedelta(seconds=1)
    )
    api = Api(target, "s3cret", DEFAULT, "xml")  # type: ignore[arg-type]
    claim = Claim(1, Request(Key(b"k" * 16), Row(1, 2, ("a",)), b'{"email":"a@b.cz"}'), RequestId("x"), 0)
    request = api.request_for(claim)
    in_body = "<token>s3cret</token>" if token_in == "body" else ""
    assert request.read().decode() == f"{HEAD}<xml>{in_body}<format>xml</format><email>a@b.cz</email></xml>"
    assert (request.headers["content-type"], request.headers["accept"]) == ("application/xml", "application/xml")
    assert request.headers["content-length"] == str(len(request.read()))
    shown = api.masked(request)
    assert "s3cret" not in repr(shown)
    assert "***" in repr(shown)


def job_of(request: str, rules: str = "") -> Job:
    """A job that speaks XML."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": {"url": "https://a.example", "workflow_id": 1, "format": "xml"},
            "request": {"email": "{A}", **tomllib.loads(request)},
            "rules": tomllib.loads(rules),
        }
    )


@pytest.mark.parametrize(
    ("request_", "rules", "sentence"),
    [
        ("", 'empty = "null"', "'rules.empty': XML has no null"),
        ('data.a = { column = "A", empty = "null" }', "", "'request.data.a': XML has no null"),
        (
            'data.a = [ { b = { column = "A", as = "json" } } ]',
            "",
            "'request.data.a[0].b': as = \"json\" may give names",
        ),
        ('content."1st" = "x"', "", "'request.content.1st': no XML element can have this name"),
        ('data."a b" = "x"', "", "'request.data.a b': no XML element can have this name"),
    ],
)
def test_what_xml_cannot_say_is_told_before_a_row_is_read(request_: str, rules: str, sentence: str) -> None:
    """With the key, and what to write instead."""
    with pytest.raises(ValidationError) as caught:
        job_of(request_, rules)
    assert sentence in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("cell", "usable"),
    [
        ("tab\tand\nline", True),
        ("\\u0001 as text", True),
        ("bell\x07", False),
        ("\b", False),
        ("a\f", False),
        ("\uffff", False),
    ],
)
def test_a_row_that_xml_cannot_carry_is_unusable(cell: str, usable: bool) -> None:
    """A control character in a cell: the row would never be read."""
    job = job_of('data.a = "{B}"')
    row = ("a@b.cz", cell)
    source = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)
    (end,) = compile_mapping(job, source, ["A", "B"], "crm.csv").map(Chunk(["A", "B"], [Row(1, 2, row)], [row]))
    if usable:
        assert isinstance(end, Request)
        assert read_body("application/xml", as_xml(end.payload))["data"] == {"a": cell}
    else:
        assert isinstance(end, Unusable)
        assert end.code == "not_in_xml"
