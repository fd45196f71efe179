"""What is guessed about workbooks and Parquet files, and about what is piped in."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchrunner.errors import SourceError
from batchrunner.guess import opening, propose, sample_of_file, sample_of_stream
from batchrunner.guess.sampling import Sample

HEADER = ["Name", "E-mail", "Phone"]
PEOPLE = [[f"Ann {n}", f"a{n}@example.com", 12125550100 + n] for n in range(5)]


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    """A workbook with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def found(sample: Sample) -> dict[str, Any]:
    """What was found out, by key."""
    return {finding.key: finding.value for finding in sample.findings}


def test_titles_above_the_header_and_totals_below_are_no_records(tmp_path: Path) -> None:
    """The header is the first row that says as much as rows do, where Excel shows it."""
    header, people = [*HEADER, "City", "Country"], [[*row, "Omsk", "RU"] for row in PEOPLE]
    rows = [["Clients"], ["of", "today"], [], header, *people, ["Total", None, 5]]
    sample = sample_of_file(workbook(tmp_path / "a.xlsx", Sheet=rows))
    assert sample.options == {"skip_lines": 3, "skip_footer": 1}
    assert (sample.columns, sample.rows, sample.whole) == (header, 5, True)
    assert sample.texts["Phone"][0] == "12125550100"


def test_a_header_whose_last_columns_are_mostly_empty_is_no_title(tmp_path: Path) -> None:
    """A workbook does not write empty cells at the end of a row, so rows are of different lengths."""
    rows = [[*HEADER, "Note", "More"], *PEOPLE, [*PEOPLE[0], "x", "y"]]
    sample = sample_of_file(workbook(tmp_path / "a.xlsx", Sheet=rows))
    assert sample.options == {}
    assert sample.rows == 6


@pytest.mark.parametrize("cover", [[], [["Report"]]])
def test_a_cover_sheet_is_passed_over(tmp_path: Path, cover: list[list[Any]]) -> None:
    """The first sheet that can be a table is named in the job."""
    sample = sample_of_file(workbook(tmp_path / "a.xlsx", Cover=cover, People=[HEADER, *PEOPLE]))
    assert sample.options == {"sheet": "People"}
    assert sample.rows == 5


def test_the_first_of_several_tables_is_read_and_that_is_said(tmp_path: Path) -> None:
    """Whoever meant another sheet sees the key to change."""
    sample = sample_of_file(workbook(tmp_path / "a.xlsx", People=[HEADER, *PEOPLE], Orders=[["id"], [1], [2]]))
    assert "sheet" not in sample.options
    assert found(sample)["sheet"] == "People"


def test_a_workbook_without_a_header_has_columns_by_number(tmp_path: Path) -> None:
    """As a CSV file."""
    sample = sample_of_file(workbook(tmp_path / "a.xlsx", Sheet=PEOPLE))
    assert (sample.options, sample.columns) == ({"header": False}, ["1", "2", "3"])


def test_cells_beyond_the_header_are_left_out_only_where_most_rows_have_them(tmp_path: Path) -> None:
    """A single one makes its row unusable, which is said."""
    beyond = [[*row, "x"] for row in PEOPLE]
    assert sample_of_file(workbook(tmp_path / "a.xlsx", Sheet=[HEADER, *beyond])).options == {"extra_fields": "ignore"}
    sample = sample_of_file(workbook(tmp_path / "b.xlsx", Sheet=[HEADER, *PEOPLE, beyond[0]]))
    assert (sample.options, dict(sample.broken)) == ({}, {"extra_fields": 1})


def test_an_empty_workbook_is_said(tmp_path: Path) -> None:
    """In the sentence of the reader."""
    with pytest.raises(SourceError, match=r"a\.xlsx: the sheet is empty"):
        sample_of_file(workbook(tmp_path / "a.xlsx", Sheet=[]))


def test_the_types_of_a_parquet_file_are_believed(tmp_path: Path) -> None:
    """Digits in a text are a text, a column of nothing but true is one of truths; structures have columns inside."""
    table = pa.table(
        {
            "code": ["17", "18"],
            "count": [17, 18],
            "vip": [True, True],
            "day": [dt.date(1990, 12, 31), None],
            "contact": [{"email": "ann@example.com"}, {"email": "bob@example.com"}],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    sample = sample_of_file(tmp_path / "a.parquet")
    looks = {one.column: one.look.kind for one in propose(sample).proposals}
    assert looks["code"] == "text"
    assert looks["count"] == "int"
    assert looks["vip"] == "bool"
    assert looks["day"] == "date"
    assert looks["contact.email"] == "email"


def test_what_can_only_be_read_whole_is_copied_from_a_pipe(tmp_path: Path) -> None:
    """Workbooks and archives; text is read as far as is needed, and no further."""
    book = workbook(tmp_path / "a.xlsx", Sheet=[HEADER, *PEOPLE]).read_bytes()
    assert sample_of_stream(io.BytesIO(book), "standard input").columns == HEADER
    packed = gzip.compress(b"email,name\na@example.com,Ann\n")
    assert sample_of_stream(io.BytesIO(packed), "standard input").columns == ["email", "name"]


def test_a_fault_of_what_is_piped_in_names_the_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows the name of the copy; and a pipe without end does not fill the disk."""
    with pytest.raises(SourceError, match=r"^standard input: ") as raised:
        sample_of_stream(io.BytesIO(b"PAR1 and nothing else"), "standard input")
    assert "piped" not in str(raised.value)
    monkeypatch.setattr(opening, "_MOST_COPIED", 10)
    with pytest.raises(SourceError, match=r"^standard input: is larger than"):
        sample_of_stream(io.BytesIO(b"PAR1 and nothing else"), "standard input")


def test_what_is_no_text_is_said_instead_of_guessed_at(tmp_path: Path) -> None:
    """A program, a picture; a few NULs are no reason."""
    (tmp_path / "a.csv").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(SourceError, match=r"a\.csv: is no text, nor a workbook"):
        sample_of_file(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"email,name\n" + b"a@example.com,A\0nn\n" * 100)
    assert sample_of_file(tmp_path / "b.csv").rows == 100


def test_a_header_with_nothing_below_it_is_mapped_by_its_names(tmp_path: Path) -> None:
    """An export that is empty today has rows tomorrow; names that are only guessed at stay comments."""
    (tmp_path / "a.csv").write_bytes(b"Email,First Name,Birthday,Something\n")
    plan = propose(sample_of_file(tmp_path / "a.csv"))
    assert (plan.matching, set(plan.search)) == ("email", {"email"})
    assert {one.column: one.on for one in plan.proposals} == {
        "Email": True,
        "First Name": True,
        "Birthday": False,
        "Something": False,
    }


def test_an_array_of_objects_is_json_whatever_it_is_called() -> None:
    """Also on one line, and from a pipe, where there is no name."""
    sample = sample_of_stream(io.BytesIO(b'[{"email": "a@example.com"}, {"email": "b@example.com"}]'), "standard input")
    assert (sample.options, sample.columns, sample.rows) == ({"format": "jsonl"}, ["email"], 2)
