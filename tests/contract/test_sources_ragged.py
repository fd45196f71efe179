"""Records with more or fewer cells than the header: each pair of policies, over any table."""

from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from batchrunner.config.source import SourceTable
from batchrunner.sources import open_source

WIDTH = 3
EXTRA = ("unusable", "ignore")
MISSING = ("unusable", "ignore", "pad")
POLICIES = list(product(EXTRA, MISSING))


def became(cells: list[str], extra: str, missing: str) -> list[str] | str:
    """What the rule says of one record: its cells, or the code of its fault."""
    if len(cells) > WIDTH:
        return cells[:WIDTH] if extra == "ignore" else "extra_fields"
    if len(cells) < WIDTH:
        return [*cells, *[""] * (WIDTH - len(cells))] if missing != "unusable" else "missing_fields"
    return cells


def read(path: Path, **policy: Any) -> dict[int, list[str] | str]:
    """Each record by its number: the cells of a row, or the code of a fault."""
    found: dict[int, list[str] | str] = {}
    for chunk in open_source(path, SourceTable(path=str(path), **policy), chunk_rows=4).chunks():
        rows = zip(chunk.rows, chunk.frame.to_numpy().tolist(), strict=True)
        found |= {row.number: cells for row, cells in rows}
        found |= {each.row.number: each.code for each in chunk.broken}
    return found


@pytest.mark.parametrize(("extra", "missing"), POLICIES)
@settings(max_examples=40, deadline=None)
@given(records=st.lists(st.lists(st.sampled_from(["a", "", "x,y", 'q"', "two\nlines"]), min_size=1, max_size=6)))
def test_each_record_becomes_what_its_policies_say(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]], extra: str, missing: str
) -> None:
    """And no record is lost by any of them."""
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *records])
    path = tmp_path_factory.getbasetemp() / "ragged.csv"
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    expected = {number: became(cells, extra, missing) for number, cells in enumerate(records, 1)}
    assert read(path, extra_fields=extra, missing_fields=missing) == expected


@pytest.mark.parametrize(("extra", "missing"), POLICIES)
def test_the_record_itself_stays_ragged_whatever_becomes_of_it(tmp_path: Path, extra: str, missing: str) -> None:
    """Result files hold the source's own cells."""
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1\n1,2,3,4\n", encoding="utf-8")
    [chunk] = open_source(
        path, SourceTable.model_validate({"path": "a.csv", "extra_fields": extra, "missing_fields": missing})
    ).chunks()
    records = {row.number: row.record for row in [*chunk.rows, *(each.row for each in chunk.broken)]}
    assert records == {1: ("1",), 2: ("1", "2", "3", "4")}


def test_extra_cells_cannot_be_padded() -> None:
    """The policy belongs to the other key, and the sentence says so."""
    with pytest.raises(ValidationError, match=r'none to pad: write "ignore".*"pad" goes with missing_fields'):
        SourceTable.model_validate({"path": "a.csv", "extra_fields": "pad"})


@pytest.mark.parametrize("extra", EXTRA)
def test_a_workbook_knows_no_missing_cells_and_the_same_extra_ones(tmp_path: Path, extra: str) -> None:
    """Excel does not write empty cells at the end of a row."""
    book = openpyxl.Workbook()
    for row in (["a", "b", "c"], ["1"], ["1", "2", "3", "4"], ["1", "2", "3"]):
        assert book.active is not None
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    expected = [["1", "", ""], "extra_fields" if extra == "unusable" else ["1", "2", "3"], ["1", "2", "3"]]
    assert list(dict(sorted(read(tmp_path / "a.xlsx", extra_fields=extra).items())).values()) == expected
