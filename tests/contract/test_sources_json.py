"""JSON exports: values addressed by their path, arrays of objects, and nothing lost in broken ones."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.config import load_job
from batchrunner.config.source import SourceTable
from batchrunner.errors import ConfigError, SourceError
from batchrunner.mapping import compile_mapping
from batchrunner.model import Request, Row
from batchrunner.nested import paths_in
from batchrunner.ports import Reader
from batchrunner.sources import open_source

PEOPLE = (
    '{"id": 1, "contact": {"email": "a@example.com", "geo.lat": 1.10}, "phones": ["+79000000001", "x"], "a.b": "dot"}',
    '{"id": 2, "contact": {"email": "b@example.com", "geo.lat": 12345678901234567890}, "phones": [], "a.b": ""}',
    '{"id": 3, "contact": "none", "phones": null}',
)
JOB = """
name = "crm"
[source]
path = "people.json"
[target]
url = "http://127.0.0.1:1"
workflow_id = 1
[request]
email = "{contact.email|nobody@example.com}"
[request.data]
phone = "{phones.0}"
lat = { column = "contact.geo.lat" }
contact = "{contact}"
dot = "{a.b}"
%s
"""


def reader_of(path: Path, content: bytes | str, chunk_rows: int = 5_000) -> Reader:
    """The content, as a run would read it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(path, SourceTable(path=str(path)), chunk_rows)


def cells_of(reader: Reader) -> list[dict[str, str]]:
    """The cells that are not empty, row by row."""
    return [
        {name: text for name, text in row.items() if text}
        for chunk in reader.chunks()
        for row in chunk.frame.to_dict("records")
    ]


@pytest.mark.parametrize("written", ["\n".join(PEOPLE), f"[{','.join(PEOPLE)}]"])
def test_values_inside_of_objects_and_lists_are_addressed_by_their_path(tmp_path: Path, written: str) -> None:
    """As they are written: a number keeps its digits. What is not there is empty; a key may have dots in it."""
    job_file = tmp_path / "job.toml"
    job_file.write_text(JOB % "", encoding="utf-8")
    job = load_job(job_file)
    reader = reader_of(tmp_path / ("people.json" if written[0] == "[" else "people.jsonl"), written)
    mapper = compile_mapping(job, reader.source, reader.columns, "people.json")
    ends = [end for chunk in reader.chunks() for end in mapper.map(chunk)]
    bodies: list[Any] = [json.loads(end.payload) for end in ends if isinstance(end, Request)]
    assert [body["email"] for body in bodies] == ["a@example.com", "b@example.com", "nobody@example.com"]
    assert [body["data"].get("phone") for body in bodies] == ["+79000000001", None, None]
    assert [body["data"].get("dot") for body in bodies] == ["dot", None, None]
    assert [body["data"].get("lat") for body in bodies] == ["1.10", "12345678901234567890", None]
    assert bodies[2]["data"]["contact"] == "none"


def test_a_path_that_leads_nowhere_is_a_mistake_with_the_nearest_right_one(tmp_path: Path) -> None:
    """As a column is that a CSV file does not have."""
    job_file = tmp_path / "job.toml"
    job_file.write_text(JOB % 'oops = "{contact.emial}"', encoding="utf-8")
    reader = reader_of(tmp_path / "people.json", f"[{','.join(PEOPLE)}]")
    with pytest.raises(ConfigError, match=re.escape("did you mean 'contact.email'?")):
        compile_mapping(load_job(job_file), reader.source, reader.columns, "people.json")


def test_an_object_that_is_used_as_a_map_does_not_make_thousands_of_columns(tmp_path: Path) -> None:
    """They are told up to a thousand."""
    reader = reader_of(tmp_path / "a.jsonl", json.dumps({"by": {f"k{n}": n for n in range(5_000)}}))
    assert len(reader.columns) == 1_001
    assert [chunk.texts("by.k4999") for chunk in reader.chunks()] == [["4999"]]


def test_texts_that_only_look_like_json_have_nothing_in_them() -> None:
    """A cell that begins with a bracket is no mistake."""
    assert [list(paths_in(text)) for text in ("{x", "[", "{}", "[[", "", "a")] == [[], [], [], [], [], []]


def test_an_array_on_one_line_may_be_longer_than_any_line(tmp_path: Path) -> None:
    """It is read by elements, and memory stays flat: chunks follow each other as in any file."""
    text = "[" + ",".join(f'{{"n":{n},"text":"{"x" * 1000}"}}' for n in range(20_000)) + "]"
    assert len(text) > 16 << 20
    reader = reader_of(tmp_path / "a.json", text, chunk_rows=1_000)
    chunks = [(len(chunk), chunk.position) for chunk in reader.chunks()]
    assert [size for size, _ in chunks] == [1_000] * 20
    assert len({position for _, position in chunks}) > 10


def test_elements_of_an_array_are_told_by_their_place_in_it(tmp_path: Path) -> None:
    """On one line, the number of the line says nothing."""
    reader = reader_of(tmp_path / "a.json", b'[{"a": 1}, {"a" 2}, 7, {"a": 3, "a": 4}]')
    [chunk] = reader.chunks()
    assert [each.text.partition(",")[0] for each in chunk.broken] == [
        "Element 2",
        "Element 3",
        "An object has the same key twice",
    ]
    assert "Element 3, on line 1, is JSON, but not an object" in chunk.broken[1].text
    assert "(element 4, on line 1)" in chunk.broken[2].text
    assert [reader.place(row) for row in chunk.rows] == ["1 (element 1)"]


def test_elements_are_counted_anew_in_each_member_of_a_zip(tmp_path: Path) -> None:
    """As lines are."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.json", '[{"a": 1}, {"a": 2}]')
        archive.writestr("two.json", '[{"a": 3}, {"a" 4}]')
    reader = open_source(tmp_path / "a.zip", SourceTable(path="a.zip"))
    [chunk] = reader.chunks()
    assert [reader.place(row) for row in chunk.rows] == [
        "one.json:1 (element 1)",
        "one.json:1 (element 2)",
        "two.json:1 (element 1)",
    ]
    assert "Element 2, on line 1 of 'two.json', is not valid JSON" in chunk.broken[0].text


def test_an_array_that_is_cut_off_is_said_behind_the_rows_that_were_read(tmp_path: Path) -> None:
    """A download that broke must not look like a short export."""
    reader = reader_of(tmp_path / "a.json", "[" + '{"a":1},\n' * 9_000 + '{"a"', chunk_rows=1_000)
    chunks = reader.chunks()
    assert [len(next(chunks)) for _ in range(9)] == [1_000] * 9
    assert len(next(chunks).broken) == 1
    with pytest.raises(SourceError, match="has no end"):
        next(chunks)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\{}[],:\n\r\u2028я', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab{}.", max_size=2), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text("abc.\n", max_size=3), VALUES, max_size=4), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    objects=OBJECTS,
    indent=st.sampled_from([None, 0, 1, 4, "\t"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    chunk_rows=st.integers(1, 5),
)
def test_an_array_gives_the_rows_that_the_same_objects_give_line_by_line(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[dict[str, Any]],
    indent: int | str | None,
    line_end: str,
    encoding: str,
    chunk_rows: int,
) -> None:
    """However it is laid out, and each element on the line on which it begins."""
    folder = tmp_path_factory.getbasetemp()
    lines = reader_of(folder / "same.jsonl", "".join(json.dumps(each) + "\n" for each in objects), chunk_rows)
    text = json.dumps(objects, indent=indent, ensure_ascii=False).replace("\n", line_end)
    array = reader_of(folder / "same.json", text.encode(encoding), chunk_rows)

    def plain(cells: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [{key: _value(text) for key, text in row.items()} for row in cells]

    assert plain(cells_of(array)) == plain(cells_of(lines))
    rows = [row for chunk in array.chunks() for row in chunk.rows]
    assert [row.number for row in rows] == list(range(1, len(objects) + 1))
    found = [json.loads(row.record) if isinstance(row.record, str) else None for row in rows]
    assert found == objects
    physical = re.split("\r\n|\r|\n", text)
    assert all("{" in physical[row.line - 1] for row in rows)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


SCRAPS = st.sampled_from(
    ['{"a":1}', '{"b":[1,{"c":2}]}', "{", "}", "[", "]", ",", '"', ":", "\\", "\n", "\r\n", " ", "x", "7", '"t"', "\n{"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(scraps=st.lists(SCRAPS, max_size=40), chunk_rows=st.integers(1, 5))
def test_no_letter_of_any_array_is_lost(
    tmp_path_factory: pytest.TempPathFactory, scraps: list[str], chunk_rows: int
) -> None:
    """Whatever is broken, every character but white space, commas and brackets is in exactly one record, in order."""
    text = "[\n{}," + "".join(scraps) + "]" * (1 + scraps.count("["))
    path = tmp_path_factory.getbasetemp() / "any.json"
    records: list[Row] = []
    try:
        for chunk in reader_of(path, text, chunk_rows).chunks():
            records += [*chunk.rows, *(each.row for each in chunk.broken)]
    except SourceError as error:  # so short a file is seen to have no end before a row of it is given
        assert "has no end" in str(error)  # noqa: PT017
        return
    records.sort(key=lambda row: row.number)
    assert [row.number for row in records] == list(range(1, len(records) + 1))
    assert [row.line for row in records] == sorted(row.line for row in records)
    kept = "".join(str(row.record) for row in records)
    assert re.findall(r'[\w":{}\\]', kept) == re.findall(r'[\w":{}\\]', text)
