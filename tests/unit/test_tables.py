"""Workbooks and Parquet files: their cells as texts."""

from __future__ import annotations

import datetime as dt
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.ports import Reader
from batchrunner.sources import open_source

MOMENT = dt.datetime(2026, 11, 23, 20, 45, 1)  # noqa: DTZ001  tables know no zones

EARLY = ("Anna", "79001234567", "00123", "12.5", "1990-12-31", "2026-11-23 20:45:01")


def workbook(path: Path, rows: list[list[Any]], formats: dict[str, str] | None = None, title: str = "Export") -> Path:
    """A workbook with one sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for place, form in (formats or {}).items():
        sheet[place].number_format = form
    book.create_sheet("Other").append(["only", "here"])
    book.save(path)
    return path


def opened(path: Path, chunk_rows: int = 5_000, **options: Any) -> Reader:
    """As a run would."""
    return open_source(path, SourceTable(path=str(path), **options), chunk_rows)


def cells(reader: Reader) -> list[list[str]]:
    """All cells of all rows."""
    return [row for chunk in reader.chunks() for row in chunk.frame.to_numpy().tolist()]


def test_cells_of_a_workbook_are_their_texts_and_dates_are_dates(tmp_path: Path) -> None:
    """A phone keeps its digits, an id its zeros; what is a number to Excel has no `.0` to us."""
    row = [
        "Anna",
        79001234567,
        123,
        12.5,
        dt.date(1990, 12, 31),
        MOMENT,
        True,
        None,
        "007",
        7.9001234567e10,
        0.1 + 0.2,
        "#N/A",
    ]
    header = [f"c{place}" for place in range(len(row))]
    path = workbook(tmp_path / "a.xlsx", [header, row], {"C2": "00000"})
    reader = opened(path)
    assert list(reader.columns) == header
    assert cells(reader) == [
        [
            "Anna",
            "79001234567",
            "00123",
            "12.5",
            "1990-12-31",
            "2026-11-23 20:45:01",
            "true",
            "",
            "007",
            "79001234567",
            "0.3",
            "#N/A",
        ]
    ]


def test_rows_of_a_workbook_are_known_by_the_number_that_excel_shows(tmp_path: Path) -> None:
    """Blank rows are no records, short rows are filled, and cells beyond the header are said."""
    rows: list[list[Any]] = [["a", "b", None], [], ["1"], ["2", "x"], ["3", "x", "beyond"], [None, None], ["4", "y"]]
    path = workbook(tmp_path / "export.bin", rows)
    reader = opened(path, chunk_rows=2)
    chunks = list(reader.chunks())
    assert [(row.number, row.line, row.record) for chunk in chunks for row in chunk.rows] == [
        (1, 3, ("1",)),
        (2, 4, ("2", "x")),
        (4, 7, ("4", "y")),
    ]
    assert cells(reader) == [["1", ""], ["2", "x"], ["4", "y"]]
    assert [(each.row.number, each.row.line, each.code) for chunk in chunks for each in chunk.broken] == [
        (3, 5, "extra_fields")
    ]
    assert chunks[-1].position == path.stat().st_size
    assert cells(opened(path, extra_fields="ignore"))[2] == ["3", "x"]


def test_the_sheet_the_preamble_and_the_footer_are_the_jobs(tmp_path: Path) -> None:
    """As for CSV; repeated and missing names are told apart in the same way."""
    rows: list[list[Any]] = [["Report of today"], ["a", "a", None, "b"], [1, 2, 3, 4], ["total", 1]]
    path = workbook(tmp_path / "a.xlsx", rows)
    reader = opened(path, skip_lines=1, skip_footer=1)
    assert list(reader.columns) == ["a", "a (2)", "column 3", "b"]
    assert cells(reader) == [["1", "2", "3", "4"]]
    assert cells(opened(path, sheet="Other", header=False, columns=["x", "y"])) == [["only", "here"]]
    with pytest.raises(SourceError, match="has no sheet called 'Third', but 'Export', 'Other'"):
        opened(path, sheet="Third")


def test_a_parquet_file_gives_texts_of_every_type(tmp_path: Path) -> None:
    """Exact, and as a person would write them; values inside of lists and structures go by their path."""
    table = pa.table(
        {
            "text": pa.array(["Ж", None]),
            "whole": pa.array([12345678901234567, None], pa.int64()),
            "float": pa.array([79001234567.0, 1.5]),
            "small": pa.array([0.1, None], pa.float32()),
            "money": pa.array([Decimal("1.10"), None]),
            "yes": pa.array([True, None]),
            "day": pa.array([dt.date(1990, 12, 31), None]),
            "moment": pa.array([MOMENT, MOMENT.replace(hour=0, minute=0, second=0, microsecond=5)]),
            "list": pa.array([["+7900", "x"], []]),
            "contact": pa.array([{"email": "a@example.com"}, None]),
            "bytes": pa.array([b"text", b"\xff"]),
            "kind": pa.array(["A", "B"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    reader = opened(tmp_path / "a.parquet")
    [first, second] = cells(reader)
    assert first[:7] == ["Ж", "12345678901234567", "79001234567", "0.1", "1.10", "true", "1990-12-31"]
    assert first[7:] == ["2026-11-23 20:45:01", '["+7900", "x"]', '{"email": "a@example.com"}', "text", "A"]
    assert second == ["", "", "1.5", "", "", "", "", "2026-11-23 00:00:00.000005", "[]", "", "/w==", "B"]
    assert reader.columns[-3:] == ("contact.email", "list.0", "list.1")
    [chunk] = reader.chunks()
    assert (chunk.texts("contact.email"), chunk.texts("list.0")) == (["a@example.com", ""], ["+7900", ""])
    assert [row.line for row in chunk.rows] == [1, 2]


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_table_that_is_damaged_or_changes_is_said(tmp_path: Path, kind: str) -> None:
    """In a sentence, never in a traceback."""
    path = tmp_path / f"a.{kind}"
    if kind == "xlsx":
        workbook(path, [["a"], *([n] for n in range(3_000))])
    else:
        pq.write_table(pa.table({"a": list(range(3_000))}), path)
    whole = path.read_bytes()
    chunks = opened(path, chunk_rows=100).chunks()
    next(chunks)
    os.utime(path, (1, 1))
    with pytest.raises(SourceError, match="changed while it was read"):
        list(chunks)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError):
        list(opened(path).chunks())


@pytest.mark.parametrize(("kind", "module"), [("xlsx", "openpyxl"), ("parquet", "pyarrow")])
def test_a_missing_extra_is_said_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str
) -> None:
    """They are heavy, and most exports need neither."""
    path = workbook(tmp_path / "a.xlsx", [["a"], [1]])
    if kind == "parquet":
        pq.write_table(pa.table({"a": [1]}), path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SourceError, match=rf"pip install 'batchrunner\[{kind}\]'"):
        opened(path)


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_result_files_of_a_table_are_read_as_the_csv_they_are(tmp_path: Path, kind: str) -> None:
    """error.csv goes back into the same job; another file is refused."""
    path = tmp_path / "error.csv"
    path.write_text("_row,_line,_source,_outcome,_profile_id,_error_code,_error_text,a\n1,2,f,failed,,x,y,7\n")
    assert cells(opened(path, format=kind))[0][-1] == "7"
    path.write_text("a\n7\n")
    with pytest.raises(SourceError, match=f"is no {kind} file"):
        opened(path, format=kind)


def test_a_result_file_of_a_source_with_structures_still_has_their_values(tmp_path: Path) -> None:
    """The job names `contact.email`, and must find it in error.csv as well."""
    path = tmp_path / "error.csv"
    ours = "_row,_line,_source,_outcome,_profile_id,_error_code,_error_text"
    path.write_text(f'{ours},contact\n1,1,f,failed,,x,y,"{{""email"": ""a@example.com""}}"\n')
    reader = opened(path)
    assert reader.columns[-2:] == ("contact", "contact.email")
    [chunk] = reader.chunks()
    assert chunk.texts("contact.email") == ["a@example.com"]
