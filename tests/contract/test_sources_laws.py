"""Laws that every reader keeps, whatever is in the file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.model import Row, Unusable
from batchrunner.ports import Reader
from batchrunner.sources import open_source

CSV_LINES = (
    b"%d,Anna,Omsk\n",
    b'%d,"Ivan, mld","two\nlines"\r\n',
    b"%d,too few\n",
    b"%d,too,many,cells\r",
    b'%d,"bad "quotes"",x\n',
    b"%d,\xff\xfe,x\n",
    b"\n",
    b"%d,Olga,\n",
)
JSON_LINES = (
    b'{"id": %d, "name": "Anna"}\n',
    b'{"name": "Ivan", "id": %d, "price": 1.10}\n',
    b'{"id": %d,\n',
    b"[%d]\r\n",
    b'{"id": %d, "name": "\xff"}\n',
    b"\n",
    b'{"id": %d, "tags": ["a", "b"]}\n',
)


@dataclass(frozen=True)
class Sample:
    """A file and what is known about it beforehand."""

    path: Path
    records: int

    def open(self, chunk_rows: int = 5_000) -> Reader:
        """As a run would."""
        return open_source(self.path, SourceTable(path=str(self.path)), chunk_rows)


@pytest.fixture(params=["csv", "jsonl"])
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    """1,000 times each kind of line, so that blocks, batches and chunks all come to an end somewhere."""
    header, kinds = (b"id,name,city\n", CSV_LINES) if request.param == "csv" else (b"", JSON_LINES)
    lines = [kind % number if b"%" in kind else kind for number in range(1_000) for kind in kinds]
    path = tmp_path / f"sample.{request.param}"
    path.write_bytes(header + b"".join(lines))
    return Sample(path, sum(line != b"\n" for line in lines))


def ends(reader: Reader) -> Iterator[tuple[Row, object]]:
    """Each record with the cells it became, or why it did not, in file order."""
    for chunk in reader.chunks():
        cells = chunk.frame.to_dict("records")
        good: list[tuple[Row, Any]] = [
            (row, {name: text for name, text in values.items() if text})
            for row, values in zip(chunk.rows, cells, strict=True)
        ]
        bad: list[tuple[Row, Any]] = [(each.row, each) for each in chunk.broken]
        yield from sorted(good + bad, key=lambda end: end[0].number)


def test_numbers_ascend_without_gaps_over_rows_and_broken_records(sample: Sample) -> None:
    """Retry finds rows by number."""
    numbers = [row.number for row, _ in ends(sample.open(700))]
    assert numbers == list(range(1, sample.records + 1))


def test_lines_ascend(sample: Sample) -> None:
    """A record begins behind the one before it."""
    lines = [row.line for row, _ in ends(sample.open())]
    assert lines == sorted(set(lines))


def test_reading_twice_gives_the_same(sample: Sample) -> None:
    """By one reader, and by two."""
    reader = sample.open()
    first = list(ends(reader))
    assert list(ends(reader)) == first
    assert list(ends(sample.open())) == first
    assert sample.open().source == reader.source


@pytest.mark.parametrize("chunk_rows", [7, 333, 100_000])
def test_rows_do_not_depend_on_the_size_of_chunks(sample: Sample, chunk_rows: int) -> None:
    """Chunks are a way of travelling."""
    assert list(ends(sample.open(chunk_rows))) == list(ends(sample.open()))


def test_chunks_are_full_but_for_the_last_and_positions_lead_to_the_end(sample: Sample) -> None:
    """Broken records count: a file of nothing else would otherwise be held whole."""
    reader = sample.open(999)
    sizes, positions = [], []
    for chunk in reader.chunks():
        sizes.append(len(chunk) + len(chunk.broken))
        positions.append(chunk.position)
    assert set(sizes[:-1]) == {999}
    assert sizes[-1] <= 999
    assert positions == sorted(positions)
    assert positions[-1] == reader.source.size_bytes == sample.path.stat().st_size


def test_a_pass_that_is_given_up_leaves_the_next_one_alone(sample: Sample) -> None:
    """Each call of chunks() reads anew from the start."""
    reader = sample.open(100)
    started = reader.chunks()
    first = next(started)
    again = reader.chunks()
    assert next(again).rows == first.rows
    assert next(started).rows[0].number > first.rows[0].number


def test_sentences_about_broken_records_do_not_quote_them(sample: Sample) -> None:
    """No personal data in logs."""
    for chunk in sample.open().chunks():
        for each in chunk.broken:
            assert each.text.endswith(".")
            assert not re.search(r"Anna|too few|many|OOO|\udcff", each.text)


# --- whatever csv.writer writes comes back -----------------------------------------------------

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1251", "cp1252", "koi8-r", "latin-1")
NASTY = st.sampled_from("\"',;\t\n\r a1\0")
CHARACTERS = {
    encoding: NASTY | st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff")
    if encoding.startswith("utf")
    else NASTY | st.sampled_from(bytes(range(256)).decode(encoding, "ignore"))
    for encoding in ENCODINGS
}


@dataclass(frozen=True)
class Written:
    """A table as some program exports it."""

    encoding: str
    delimiter: str
    quote: str
    quoting: Any
    line_end: str
    cells: list[list[str]]

    def records(self) -> list[str]:
        """Each record as text, the header first."""
        header = [f"column {number}" for number in range(len(self.cells[0]))]
        return [self._record(record) for record in (header, *self.cells)]

    def _record(self, cells: Sequence[str]) -> str:
        buffer = io.StringIO(newline="")
        writer = csv.writer(
            buffer, delimiter=self.delimiter, quotechar=self.quote, quoting=self.quoting, lineterminator=self.line_end
        )
        writer.writerow(cells)
        return buffer.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> Written:
    """Any cells that the encoding knows, with the characters that hurt more often than not."""
    encoding = draw(st.sampled_from(ENCODINGS))
    width = draw(st.integers(1, 4))
    record = st.lists(st.text(CHARACTERS[encoding], max_size=6), min_size=width, max_size=width)
    cells = draw(st.lists(record, min_size=1, max_size=8))
    # csv.writer quotes a lone CR or LF only if it is part of the line end, so other line ends need all cells quoted
    quoting, line_end = draw(
        st.sampled_from(
            [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r"), (csv.QUOTE_NONNUMERIC, "\r\n")]
        )
    )
    return Written(encoding, draw(st.sampled_from(",;\t|")), draw(st.sampled_from("\"'")), quoting, line_end, cells)


@settings(max_examples=100, deadline=None)
@given(table=tables(), chunk_rows=st.integers(1, 9))
def test_what_csv_writer_writes_comes_back_with_its_line_numbers(
    tmp_path_factory: pytest.TempPathFactory, table: Written, chunk_rows: int
) -> None:
    """Any texts, delimiter, quote style, line end and encoding."""
    path = tmp_path_factory.getbasetemp() / "written.csv"
    records = table.records()
    path.write_bytes("".join(records).encode(table.encoding))
    source = SourceTable(path=str(path), encoding=table.encoding, delimiter=table.delimiter, quote=table.quote)
    chunks = list(open_source(path, source, chunk_rows).chunks())

    lines, line = [], 1
    for record in records:
        lines.append(line)
        line += len(re.findall("\r\n|\r|\n", record))
    expected = [Row(number, lines[number], tuple(cells)) for number, cells in enumerate(table.cells, 1)]
    assert [row for chunk in chunks for row in chunk.rows] == expected
    assert [cells for chunk in chunks for cells in chunk.frame.to_numpy().tolist()] == table.cells
    assert not any(chunk.broken for chunk in chunks)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(objects=st.lists(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=4)), ascii_only=st.booleans())
def test_what_json_writes_comes_back_as_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]], ascii_only: bool
) -> None:
    """Strings as they read, null as empty, everything else as its JSON text."""
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    lines = [json.dumps(each, ensure_ascii=ascii_only) for each in objects]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    [*chunks] = open_source(path, SourceTable(path=str(path))).chunks()

    def text(value: object) -> str:
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=ascii_only)

    columns = dict.fromkeys(key for each in objects for key in each)
    assert [row for chunk in chunks for row in chunk.rows] == [Row(n, n, line) for n, line in enumerate(lines, 1)]
    for chunk in chunks:
        assert list(chunk.frame.columns) == list(columns)
        assert chunk.frame.to_numpy().tolist() == [[text(each.get(key)) for key in columns] for each in objects]


# --- whatever is in the file, no line is lost --------------------------------------------------

SCRAPS = st.sampled_from(
    [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b" ", b"\0", b'",', b'\n"', b'"\n', b"\xff", b"\xd0", b"\xd0\x96",
     b"\xe2\x82", b"{", b"}", b'{"a":', b'"b"', b"1}", b"[", b"\\ud800", b"\xef\xbb\xbf", b"\xff\xfe"]
)  # fmt: skip
BYTES = st.lists(SCRAPS | st.binary(max_size=3), max_size=60).map(b"".join)


def physical_lines(content: bytes) -> list[str]:
    """As a person counts them, with undecodable bytes as surrogates."""
    text = content.decode("utf-8", "surrogateescape")
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def records_of(reader: Reader) -> list[Row]:
    """All records, good or bad, in file order."""
    return [row for row, _ in ends(reader)]


@settings(max_examples=300, deadline=None)
@given(content=BYTES)
def test_each_physical_line_of_any_csv_belongs_to_exactly_one_record(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """From its line to the next record's, the stdlib reads each record again as it was read, or cannot."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    content = b"a,b\n" + content
    path.write_bytes(content)
    lines = physical_lines(content)
    records = records_of(open_source(path, SourceTable(path=str(path)), chunk_rows=7))
    assert [row.number for row in records] == list(range(1, len(records) + 1))
    begins = [row.line for row in records] + [len(lines) + 1]
    assert all(not line.strip("\r\n") for line in lines[1 : begins[0] - 1])
    for row, begin, end in zip(records, begins, begins[1:], strict=False):
        of_record = lines[begin - 1 : end - 1]
        if isinstance(row.record, str):
            assert row.record == of_record[0].rstrip("\r\n")
            assert all(not line.strip("\r\n") for line in of_record[1:])
        else:
            again = [tuple(cells) for cells in csv.reader(of_record, strict=True) if cells]
            assert again == [row.record]


@settings(max_examples=300, deadline=None)
@given(content=BYTES)
def test_each_line_of_any_jsonl_is_one_record(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Unless it is blank."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    content = b"{}\n" + content
    path.write_bytes(content)
    lines = [(number, line.rstrip("\r\n")) for number, line in enumerate(physical_lines(content), 1)]
    records = records_of(open_source(path, SourceTable(path=str(path)), chunk_rows=7))
    assert [(row.line, row.record) for row in records] == [(n, line) for n, line in lines if line.strip(" \t")]


@settings(max_examples=200, deadline=None)
@given(
    content=BYTES,
    encoding=st.sampled_from([*ENCODINGS, "shift_jis", "gb18030", "cp037", "iso2022_jp"]),
    kind=st.sampled_from(["csv", "jsonl"]),
)
def test_arbitrary_bytes_end_in_rows_or_in_a_source_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, encoding: str, kind: str
) -> None:
    """Nothing else ever comes out, in any encoding."""
    path = tmp_path_factory.getbasetemp() / f"bytes.{kind}"
    path.write_bytes(content)
    try:
        chunks = list(open_source(path, SourceTable(path=str(path), encoding=encoding), chunk_rows=3).chunks())
    except SourceError:
        chunks = []
    for chunk in chunks:
        assert all(isinstance(each, Unusable) for each in chunk.broken)
        "".join(text for column in chunk.frame.columns for text in chunk.texts(column)).encode()
