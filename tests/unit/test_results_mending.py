"""Result files made whole: whatever a crash has left of them, every row stands in them once, and whole."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import a_claim, a_request, ends

from batchrunner.model import Accepted, Failed, InDoubt, Outcome, Record, Rejected, Request, Row, Unusable
from batchrunner.results import Mending, ResultFiles, Shape, spreadsheet_copies
from batchrunner.results.spreadsheet import harmless

FINGERPRINT = "0123456789abcdef" * 2
FILES = ("success", "error", "in_doubt")

CELLS = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('",;\r\n\udcff\udc80=')), max_size=8)
RECORDS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6, unique=True)
ENDS = [Accepted("5f1e9c0a5f1e9c0a5f1e9c0a"), Rejected("400", 'no, "never"\r\n'), Failed("x", ""), InDoubt("y", "?")]
OUTCOMES = st.sampled_from(ENDS)
ENCODINGS = st.sampled_from([("utf-8", False), ("utf-8", True), ("cp1251", False), ("utf-16-le", True)])

Told = list[tuple[Row, Outcome | Unusable]]


def csv_shape(encoding: str = "utf-8", *, bom: bool = False) -> Shape:
    return Shape(FINGERPRINT, ("a", "b"), ";", '"', encoding=encoding, bom=bom)


def write(directory: Path, shape: Shape, told: Told) -> None:
    """As a run does."""
    with ResultFiles(directory, [shape]) as files:
        for row, end in told:
            if isinstance(end, Unusable):
                files.unusable([(1, end)])
            else:
                request = Request(a_request(row.number).key, row, b"{}")
                files.settled([ends(a_claim(request), end)])


def mended(directory: Path, shape: Shape, told: Told) -> int:
    """As the next run does; how many rows were missing."""
    with Mending(directory, [shape]) as mending:
        for row, end in told:
            mending.add(1, row, end)
        mending.finish()
    return mending.added


def contents(directory: Path, shape: Shape) -> dict[str, list[bytes]]:
    """Each file, as its sorted records: a row that is told later stands lower."""
    end = "\r\n".encode(shape.encoding) if shape.columns else b"\n"
    return {kind: sorted((directory / f"{kind}{shape.suffix}").read_bytes().split(end)) for kind in FILES}


def rows(records: list[Record], outcomes: list[Outcome]) -> Told:
    told: Told = [
        (Row(n, n + 1, record), end) for n, (record, end) in enumerate(zip(records, outcomes, strict=True), 1)
    ]
    return [(row, Unusable(row, "missing", "a sentence") if row.number % 5 == 0 else end) for row, end in told]


@settings(max_examples=150, deadline=None)
@given(st.data(), RECORDS, ENCODINGS)
def test_a_file_that_was_cut_anywhere_becomes_what_it_would_have_been(
    data: st.DataObject, records: list[tuple[str, str]], encoding: tuple[str, bool]
) -> None:
    """Whatever stands in the cells, and in whichever letter, cell or line the writing stopped."""
    outcomes = data.draw(st.lists(OUTCOMES, min_size=len(records), max_size=len(records)))
    shape, told = csv_shape(encoding[0], bom=encoding[1]), rows([*records], outcomes)
    with TemporaryDirectory() as name:
        cut, uncut = Path(name, "cut"), Path(name, "uncut")
        write(uncut, shape, told)
        write(cut, shape, told)
        path = cut / f"{data.draw(st.sampled_from(FILES))}.csv"
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, path.stat().st_size))])
        mended(cut, shape, told)
        assert contents(cut, shape) == contents(uncut, shape)
        assert mended(cut, shape, told) == 0
        assert not list(cut.glob("*.part"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_jsonl_file_that_was_cut_anywhere_becomes_what_it_would_have_been(data: st.DataObject) -> None:
    """Objects, and lines that are none."""
    texts = ['{"a": 1.50, "b": "x\\n"}', '{"a": "\u00e9"}', "no JSON \udcff", '{"_row": 7, "_line": 9, "_source": "f"}']
    outcomes = data.draw(st.lists(OUTCOMES, min_size=4, max_size=4))
    shape, told = Shape(FINGERPRINT, None), rows([*texts], outcomes)
    with TemporaryDirectory() as name:
        cut, uncut = Path(name, "cut"), Path(name, "uncut")
        write(uncut, shape, told)
        write(cut, shape, told)
        path = cut / f"{data.draw(st.sampled_from(FILES))}.jsonl"
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, path.stat().st_size))])
        mended(cut, shape, told)
        assert contents(cut, shape) == contents(uncut, shape)


def test_files_that_are_gone_are_written_anew_for_their_owner_only(tmp_path: Path) -> None:
    """From what the ledger and the source know."""
    shape, told = csv_shape(), rows([("1", "one"), ("2", "two")], [Accepted("p"), Rejected("400", "x")])
    assert mended(tmp_path / "new", shape, told) == 2
    (success,) = csv.DictReader((tmp_path / "new" / "success.csv").open(newline=""), delimiter=";")
    assert (success["_row"], success["_profile_id"], success["b"]) == ("1", "p", "one")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()} == {0o600}


def test_the_texts_of_the_api_are_kept_where_they_stand(tmp_path: Path) -> None:
    """The ledger keeps codes only: what stands in a file knows more."""
    shape, told = csv_shape(), rows([("1", "one")], [Rejected("435", "two profiles match")])
    write(tmp_path / "run", shape, told)
    assert mended(tmp_path / "run", shape, [(told[0][0], Rejected("435", "forgotten"))]) == 0
    assert "two profiles match" in (tmp_path / "run" / "error.csv").read_text()


def test_a_row_whose_outcome_was_decided_since_is_not_told_twice(tmp_path: Path) -> None:
    """It stood in doubt when the run ended, and a person has said that it arrived."""
    shape, told = csv_shape(), rows([("1", "one")], [InDoubt("no_answer", "?")])
    write(tmp_path / "run", shape, told)
    assert mended(tmp_path / "run", shape, [(told[0][0], Accepted(None))]) == 0


def test_a_mending_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The files that are there stay as they are until all new ones are on disk."""
    shape, told = csv_shape(), rows([("1", "one")], [Accepted("p")])
    write(tmp_path / "run", shape, told)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(KeyError), Mending(tmp_path / "run", [shape]) as mending:
        mending.add(2, told[0][0], Accepted("p"))
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


HOSTILE = (
    '=HYPERLINK("http://evil")', "@SUM(1+1)*cmd|' /C calc'!A0", "+1+1", "-2+3", "\t=1", "\uff1d1", " =1", "%0A=1", "|x",
)  # fmt: skip


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_formula_stands_behind_an_apostrophe(cell: str) -> None:
    """Whatever a spreadsheet may begin one with."""
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Ann", "+79161234567", "-5", "-1,5", "a=b", "ann@example.com"])
def test_a_text_or_a_number_stays_as_it_is(cell: str) -> None:
    """Telephone numbers above all."""
    assert harmless(cell) == cell


def test_copies_for_spreadsheets_leave_the_files_themselves_alone(tmp_path: Path) -> None:
    """Byte for byte, for they are fed back."""
    shape, told = csv_shape("cp1251"), rows([("=1+1", "Анна")], [Rejected("400", "=bad()")])
    write(tmp_path / "run", shape, told)
    before = (tmp_path / "run" / "error.csv").read_bytes()
    copies = spreadsheet_copies(tmp_path / "run", [shape])
    assert [path.name for path in copies] == [f"{kind}.spreadsheet.csv" for kind in FILES]
    (row,) = csv.DictReader(copies[1].open(encoding="utf-8-sig", newline=""), delimiter=";")
    assert (row["a"], row["b"], row["_error_text"]) == ("'=1+1", "Анна", "'=bad()")
    assert (tmp_path / "run" / "error.csv").read_bytes() == before


def test_a_record_of_numbers_is_known_again_digit_for_digit(tmp_path: Path) -> None:
    """JSON numbers are compared as they are written: 1.0 and 1.00 are two records."""
    shape = Shape(FINGERPRINT, None)
    told = rows(['{"a": 1.0}', '{"a": 1.00}'], [Accepted(None), Accepted(None)])
    write(tmp_path / "run", shape, told[:1])
    assert mended(tmp_path / "run", shape, told) == 1
    lines = (tmp_path / "run" / "success.jsonl").read_text().splitlines()
    assert [json.loads(line)["_row"] for line in lines] == [1, 2]
