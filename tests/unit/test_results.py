"""Result files: every record comes back as it was, behind columns that keep pointing at the export."""

from __future__ import annotations

import csv
import json
import os
import resource
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import a_claim, a_request, ends

from batchrunner.config import SourceTable
from batchrunner.errors import ResultError, UsageError
from batchrunner.model import (
    Accepted,
    Failed,
    InDoubt,
    Outcome,
    Record,
    Rejected,
    Request,
    Row,
    Settled,
    Unusable,
)
from batchrunner.results import COLUMNS, ResultFiles, Shape, write_private
from batchrunner.results.files import AS_IT_CAME
from batchrunner.sources import open_source

FINGERPRINT = "0123456789abcdef" * 2
OTHER_FINGERPRINT = "fedcba9876543210" * 2
TABLE = SourceTable(path="x")
OURS = len(COLUMNS)


def settled(record: Record, outcome: Outcome, *, number: int = 1, source_no: int = 1) -> Settled:
    """A row that ended so."""
    request = a_request(number)
    return ends(a_claim(Request(request.key, Row(number, number + 1, record), b"{}"), source_no=source_no), outcome)


def unusable(record: Record, *, number: int = 1, source_no: int = 1) -> tuple[int, Unusable]:
    """A row that never became a request."""
    return source_no, Unusable(Row(number, number + 1, record), "missing", "column 'email' is empty")


def fed_back(path: Path, table: SourceTable = TABLE) -> list[tuple[Record, str | None]]:
    """All records of a file, each with the code of what is broken about it."""
    found: list[tuple[Row, str | None]] = []
    for chunk in open_source(path, table).chunks():
        found += [(row, None) for row in chunk.rows] + [(one.row, one.code) for one in chunk.broken]
    return [(row.record, code) for row, code in sorted(found, key=lambda one: one[0].number)]


def shape_of(path: Path, table: SourceTable = TABLE) -> Shape:
    """As a run sees a source."""
    reader = open_source(path, table)
    columns = None if path.suffix == ".jsonl" else tuple(reader.columns)
    return Shape(
        reader.source.fingerprint, columns, table.delimiter, table.quote, encoding=reader.encoding, bom=reader.has_bom
    )


def refused(path: Path, directory: Path, table: SourceTable = TABLE) -> Path:
    """Run a file of which no row is usable: its error file."""
    shape = shape_of(path, table)
    with ResultFiles(directory, [shape]) as files:
        for chunk in open_source(path, table).chunks():
            bad = [*chunk.broken, *(Unusable(row, "missing", "a sentence") for row in chunk.rows)]
            files.unusable([(1, one) for one in sorted(bad, key=lambda one: one.row.number)])
    return directory / f"error{shape.suffix}"


def dicts(path: Path) -> list[dict[str, str]]:
    """A result file as any program reads it."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- what goes where ---------------------------------------------------------------------------


def test_each_end_goes_to_its_file_behind_our_columns(tmp_path: Path) -> None:
    """Accepted, in doubt, and everything else that is bad."""
    with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, ("email", "name"))]) as files:
        files.settled(
            [
                settled(("a@x", "Ann"), Accepted("p1"), number=1),
                settled(("b@x", "Bob"), Rejected("304", "bad, very bad"), number=2),
                settled(("c@x", "Cid"), Failed("connect", "refused"), number=3),
                settled(("d@x", "Dan"), InDoubt("reset", "who knows"), number=4),
                settled(("e@x", "Eve"), Accepted(None), number=6),
            ]
        )
        files.unusable([unusable(("", "Fay"), number=5)])

    told = {kind: dicts(tmp_path / "run" / f"{kind}.csv") for kind in ("success", "error", "in_doubt")}
    assert list(told["success"][0]) == [*COLUMNS, "email", "name"]
    assert [list(row.values()) for row in told["success"]] == [
        ["1", "2", FINGERPRINT, "accepted", "p1", "", "", "a@x", "Ann"],
        ["6", "7", FINGERPRINT, "accepted", "", "", "", "e@x", "Eve"],
    ]
    assert [list(row.values()) for row in told["error"]] == [
        ["2", "3", FINGERPRINT, "rejected", "", "304", "bad, very bad", "b@x", "Bob"],
        ["3", "4", FINGERPRINT, "failed", "", "connect", "refused", "c@x", "Cid"],
        ["5", "6", FINGERPRINT, "unusable", "", "missing", "column 'email' is empty", "", "Fay"],
    ]
    assert [list(row.values()) for row in told["in_doubt"]] == [
        ["4", "5", FINGERPRINT, "in_doubt", "", "reset", "who knows", "d@x", "Dan"],
    ]


def test_rows_are_in_the_file_before_the_run_ends(tmp_path: Path) -> None:
    """A kill -9 loses none of those that were told."""
    with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, ("email",))]) as files:
        files.settled([settled(("a@x",), Accepted("p"))])
        files.unusable([unusable(("",))])
        assert len(dicts(tmp_path / "run" / "success.csv")) == 1
        assert len(dicts(tmp_path / "run" / "error.csv")) == 1


def test_jsonl_rows_keep_their_members_as_they_are_written(tmp_path: Path) -> None:
    """Numbers, order and nesting; ours come first."""
    text = '{"email":"a@x","n":1.10,"big":12345678901234567890123,"deep":{"b":[1,null]},"ё":"\\u0451"}'
    with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, None)]) as files:
        files.settled([settled(text, Accepted("p1"), number=3)])

    [line] = (tmp_path / "run" / "success.jsonl").read_text(encoding="utf-8").splitlines()
    ours = (
        f'{{"_row":3,"_line":4,"_source":"{FINGERPRINT}",'
        '"_outcome":"accepted","_profile_id":"p1","_error_code":"","_error_text":"",'
    )
    assert line == ours + text[1:]
    assert list(json.loads(line))[:OURS] == list(COLUMNS)


def test_a_line_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    """As one string, whatever it is made of."""
    for number, text in enumerate(("{oops", "[1]", "\udcff\udc80{", "\udc00x"), start=1):
        with ResultFiles(tmp_path / str(number), [Shape(FINGERPRINT, None)]) as files:
            files.unusable([unusable(text)])
        [line] = (tmp_path / str(number) / "error.jsonl").read_text(encoding="utf-8").splitlines()
        clean = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
        assert json.loads(line)["_record"] == clean


# --- there and back ----------------------------------------------------------------------------

cell = st.one_of(
    st.text(alphabet="ab ,;\"'\r\n\t\\|", max_size=6),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=6),
    st.sampled_from(["_row", "", "\ufeff", "=1+1", "-5"]),
)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.lists(cell, min_size=1, max_size=5), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    quote=st.sampled_from("\"'"),
)
def test_any_record_comes_back_as_it_was(records: list[list[str]], delimiter: str, quote: str) -> None:
    """Cells with line ends, quotes and delimiters; with too many or too few of them, just as broken as before."""
    table = SourceTable(path="x", delimiter=delimiter, quote=quote)
    with TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        shape = Shape(FINGERPRINT, ("a", "b", "c"), delimiter, quote)
        with ResultFiles(directory, [shape]) as files:
            files.unusable([unusable(tuple(record), number=n) for n, record in enumerate(records, start=1)])
        back = fed_back(directory / "error.csv", table)

    assert [list(record[OURS:]) for record, _ in back] == records
    width = {1: "missing_fields", 2: "missing_fields", 3: None, 4: "extra_fields", 5: "extra_fields"}
    assert [code for _, code in back] == [width[len(record)] for record in records]
    assert [record[0] for record, _ in back] == [str(n) for n in range(1, len(records) + 1)]


SOURCES = {
    "ragged": b"email,name\na@x,Ann\nb@x\nc@x,Cid,more\n",
    "line ends in cells": b'email,name\r\na@x,"An\r\nna"\r\nb@x,"B\rob"\r\n',
    "bad bytes": b"email,name\na@x,\xff\xfe\nb@x,Bob\n",
    "a byte-order mark": b"\xef\xbb\xbfemail,name\na@x,\xd0\x81\n",
    "utf-16": "email,name\na@x,Ёж\n".encode("utf-16"),
}


@pytest.mark.parametrize("content", SOURCES.values(), ids=SOURCES)
def test_an_error_file_given_back_twice_still_points_at_the_export(tmp_path: Path, content: bytes) -> None:
    """`_row`, `_line` and `_source` are those of the first file, and the cells are the same, even of broken records."""
    export = tmp_path / "export.csv"
    export.write_bytes(content)
    first = refused(export, tmp_path / "1")
    second = refused(first, tmp_path / "2")
    third = refused(second, tmp_path / "3")

    original = [(list(record), code) for record, code in fed_back(export)]
    source = open_source(export, TABLE).source.fingerprint
    generations = [fed_back(path) for path in (first, second, third)]
    for generation in generations:
        assert [(list(record[OURS:]), code) for record, code in generation] == original
        assert [record[0] for record, _ in generation] == [str(n) for n in range(1, len(original) + 1)]
        assert [record[1] for record, _ in generation] == [record[1] for record, _ in generations[0]]
        assert {record[2] for record, _ in generation} == {source}


def test_bad_bytes_come_back_exactly(tmp_path: Path) -> None:
    """The row is broken, not lost: its bytes stand in the error file as they stood in the export."""
    export = tmp_path / "export.csv"
    export.write_bytes(b"email,name\na@x,\xff\xfe\xc3\n")

    error = refused(export, tmp_path / "run")

    assert error.read_bytes().endswith(b",a@x,\xff\xfe\xc3\r\n")


@pytest.mark.parametrize(("encoding", "name"), [("cp1251", "Ёж"), ("koi8-r", "Ёж"), ("latin-1", "Zoë")])
def test_results_are_written_in_the_encoding_of_the_source(tmp_path: Path, encoding: str, name: str) -> None:
    """An answer's text may hold what the encoding lacks: it is escaped, and neither stops the run nor spoils a cell."""
    export = tmp_path / "export.csv"
    export.write_bytes(f"email,name\na@x,{name}\n".encode(encoding))
    table = SourceTable(path="x", encoding=encoding)
    with ResultFiles(tmp_path / "run", [shape_of(export, table)]) as files:
        files.settled([settled(("a@x", name), Rejected("304", "错 \U0001f600"))])

    [(record, code)] = fed_back(tmp_path / "run" / "error.csv", table)

    assert (record[OURS:], code) == (("a@x", name), None)
    assert record[6] == r"\u9519 \ud83d\ude00"


def test_an_escaped_text_in_jsonl_is_read_as_it_was(tmp_path: Path) -> None:
    """What JSON escapes mean, characters beyond the basic plane included."""
    with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, None, encoding="cp1251")]) as files:
        files.settled([settled('{"email":"a@x"}', Rejected("304", "错 \U0001f600"))])

    text = (tmp_path / "run" / "error.jsonl").read_text(encoding="cp1251")
    assert json.loads(text)["_error_text"] == "错 \U0001f600"


def test_a_record_with_broken_quotes_is_kept_in_every_generation(tmp_path: Path) -> None:
    """Somebody's editor spoilt a line of the error file: its text is not lost on the next round."""
    export = tmp_path / "export.csv"
    export.write_bytes(b'email,name\na@x,"Ann"oops\nb@x,Bob\n')
    first = refused(export, tmp_path / "1")
    assert fed_back(first)[0][0][OURS:] == ('a@x,"Ann"oops',)
    spoilt = first.read_bytes().replace(b"b@x,Bob", b'b@x,"Bob"oops')
    first.write_bytes(spoilt)

    second = refused(first, tmp_path / "2")

    assert [record[-1] for record, _ in fed_back(second)] == ['a@x,"Ann"oops', spoilt.splitlines()[-1].decode()]


def test_a_row_without_a_true_origin_gets_its_own(tmp_path: Path) -> None:
    """An export may have columns that are called like ours and mean something else."""
    columns = ("_row", "_line", "_source", "email")
    records: Sequence[tuple[str, ...]] = [
        ("7", "8", OTHER_FINGERPRINT, "a@x"),
        ("7", "8", "shop", "b@x"),
        ("x", "8", OTHER_FINGERPRINT, "c@x"),
    ]
    with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, columns)]) as files:
        files.unusable([unusable(record, number=n) for n, record in enumerate(records, start=1)])

    told = [(row["_row"], row["_line"], row["_source"]) for row in dicts(tmp_path / "run" / "error.csv")]
    assert told == [("7", "8", OTHER_FINGERPRINT), ("2", "3", FINGERPRINT), ("3", "4", FINGERPRINT)]


def test_jsonl_given_back_twice_still_points_at_the_export(tmp_path: Path) -> None:
    """And does not pile up our members."""
    export = tmp_path / "export.jsonl"
    export.write_text('{"email":"a@x","n":1.10}\n{oops\n{"email":"b@x"}\n', encoding="utf-8")
    path = export
    for generation in range(1, 4):
        path = refused(path, tmp_path / str(generation))

    lines = [json.loads(line, parse_float=str) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["_row"] for line in lines] == [1, 2, 3]
    assert {line["_source"] for line in lines} == {open_source(export, TABLE).source.fingerprint}
    assert [{k: v for k, v in line.items() if k not in COLUMNS} for line in lines] == [
        {"email": "a@x", "n": "1.10"},
        {"_record": "{oops"},
        {"email": "b@x"},
    ]


# --- several sources ---------------------------------------------------------------------------


def test_sources_of_one_shape_share_files_and_others_get_their_own(tmp_path: Path) -> None:
    """Numbered by shape; each row names its own source."""
    shapes = [
        Shape(FINGERPRINT, ("email", "name")),
        Shape(OTHER_FINGERPRINT, ("email", "name")),
        Shape(FINGERPRINT, ("phone",)),
        Shape(FINGERPRINT, None),
        Shape(FINGERPRINT, ("phone",), delimiter=";"),
    ]
    with ResultFiles(tmp_path / "run", shapes) as files:
        files.settled(
            [
                settled(("a@x", "Ann"), Accepted("p"), source_no=1),
                settled(("b@x", "Bob"), Accepted("p"), source_no=2),
                settled(("+7",), Accepted("p"), source_no=3),
                settled('{"email":"c@x"}', Accepted("p"), source_no=4),
                settled(("+8",), Accepted("p"), source_no=5),
            ]
        )

    names = sorted(path.name for path in (tmp_path / "run").glob("success*"))
    assert names == ["success-2.csv", "success-3.jsonl", "success-4.csv", "success.csv"]
    assert [(row["email"], row["_source"]) for row in dicts(tmp_path / "run" / "success.csv")] == [
        ("a@x", FINGERPRINT),
        ("b@x", OTHER_FINGERPRINT),
    ]
    assert [row["phone"] for row in dicts(tmp_path / "run" / "success-2.csv")] == ["+7"]


# --- private, and once -------------------------------------------------------------------------


def test_only_their_owner_can_read_results(tmp_path: Path) -> None:
    """Whatever the umask says: they hold people's addresses."""
    before = os.umask(0)
    try:
        with ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, ("email",)), Shape(FINGERPRINT, None)]):
            write_private(tmp_path / "run" / "summary.json", "{}")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()} == {0o600}


@pytest.mark.parametrize("left", ["success.csv", "success-2.jsonl", "summary.json"])
def test_a_directory_that_holds_results_is_refused(tmp_path: Path, left: str) -> None:
    """Nothing in it changes."""
    (tmp_path / left).write_text("precious")

    with pytest.raises(UsageError, match="holds the results of an earlier run; name another directory with --run-dir"):
        ResultFiles(tmp_path, [Shape(FINGERPRINT, ("email",))])
    assert [path.name for path in tmp_path.iterdir()] == [left]
    assert (tmp_path / left).read_text() == "precious"


def test_no_file_of_another_is_overwritten(tmp_path: Path) -> None:
    """An `error.csv` alone is no earlier run, and is kept all the same."""
    (tmp_path / "error.csv").write_text("precious")

    with pytest.raises(ResultError, match="cannot be written"):
        ResultFiles(tmp_path, [Shape(FINGERPRINT, ("email",))])
    assert (tmp_path / "error.csv").read_text() == "precious"


def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file stands in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="name another directory with --run-dir"):
        ResultFiles(tmp_path / "file" / "run", [Shape(FINGERPRINT, ("email",))])


@contextmanager
def full_disk(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_error_and_not_another_one_at_the_end(tmp_path: Path) -> None:
    """It is told once, as a sentence; closing the files afterwards does not hide it behind a traceback."""
    told = []
    with full_disk(4096), ResultFiles(tmp_path / "run", [Shape(FINGERPRINT, ("email",))]) as files:
        for _ in range(2):
            with pytest.raises(ResultError, match="make room") as caught:
                files.settled([settled(("x" * 5000,), Accepted("p"))])
            told.append(str(caught.value))
    assert told[0].startswith(f"result files in {tmp_path / 'run'} cannot be written (")


def test_a_small_file_is_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    """Whoever reads it sees the old text or the new one."""
    path = tmp_path / "summary.json"
    write_private(path, "old")
    with full_disk(4096), pytest.raises(ResultError):
        write_private(path, "new" * 5000)

    assert path.read_text() == "old"
    write_private(path, "Ё \udcff")
    assert path.read_bytes() == "Ё \\udcff".encode()
    assert path.stat().st_mode & 0o777 == 0o600


# --- all that a commit accepted, in one piece --------------------------------------------------

_CELLS = st.text(st.sampled_from("ab ;,|\t\"'\r\n\x00\ufeffё\u2028\udcff\U0001f600"), max_size=4)
_ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(_CELLS, min_size=max(width - 1, 0), max_size=width).map(tuple), max_size=9)
)


def one_by_one(rows: Sequence[tuple[str, ...]], profile_ids: Sequence[str], shape: Shape) -> bytes:
    """What the standard library makes of accepted rows, in the encoding of their file."""
    text = StringIO(newline="")
    written = csv.writer(text, delimiter=shape.delimiter, quotechar=shape.quote, lineterminator="\r\n")
    written.writerow([*COLUMNS, *(shape.columns or ())])
    for number, (row, profile_id) in enumerate(zip(rows, profile_ids, strict=True), start=1):
        written.writerow(
            [number, shape.place(Row(number, number + 1, row)), FINGERPRINT, "accepted", profile_id, "", "", *row]
        )
    return text.getvalue().encode(shape.encoding, AS_IT_CAME)


@given(
    _ROWS,
    st.sampled_from([",", ";", "\t", "|", " ", "a", "1"]),
    st.sampled_from(['"', "'"]),
    st.sampled_from(["utf-8", "cp1251", "utf-16-le", "koi8-r"]),
    st.sampled_from(["", "5f4b7c8d9e0a1b2c3d4e5f60", 'odd"id', "a,b;c"]),
    st.sampled_from(["", "part,one.csv:"]),
)
def test_accepted_rows_stand_in_their_file_as_the_standard_library_writes_them(  # noqa: PLR0917  what a file may be like
    rows: list[tuple[str, ...]], delimiter: str, quote: str, encoding: str, profile_id: str, member: str
) -> None:
    """Byte for byte, whatever is in cells, numbers, places and ids; rows that need no quotes beside those that do."""
    columns = tuple(f"c{number}" for number in range(4))
    shape = Shape(FINGERPRINT, columns, delimiter, quote, encoding, place=lambda row: f"{member}{row.line}")
    profile_ids = [profile_id if number % 2 else "p" for number in range(len(rows))]
    with TemporaryDirectory() as folder:
        with ResultFiles(Path(folder) / "run", [shape]) as files:
            files.settled([
                settled(row, Accepted(one or None), number=number)
                for number, (row, one) in enumerate(zip(rows, profile_ids, strict=True), start=1)
            ])  # fmt: skip
        found = (Path(folder) / "run" / "success.csv").read_bytes()
    assert found == one_by_one(rows, profile_ids, shape)


def test_accepted_rows_of_sources_that_share_a_file_stay_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    """The first of one source, the second of another, the third of the first."""
    shapes = [Shape(FINGERPRINT, ("email",)), Shape(OTHER_FINGERPRINT, ("email",))]
    with ResultFiles(tmp_path / "run", shapes) as files:
        files.settled(
            [
                settled(("a@x",), Accepted("p"), number=1, source_no=1),
                settled(("b@x",), Accepted("p"), number=1, source_no=2),
                settled(("c@x",), Rejected("304", "bad"), number=2, source_no=2),
                settled(("d@x",), Accepted("p"), number=2, source_no=1),
            ]
        )
    told = [(row["_source"], row["email"]) for row in dicts(tmp_path / "run" / "success.csv")]
    assert told == [(FINGERPRINT, "a@x"), (OTHER_FINGERPRINT, "b@x"), (FINGERPRINT, "d@x")]
