"""What must come out of each file of the shelf."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batchrunner.config.source import SourceTable
from batchrunner.model import Row
from batchrunner.sources import open_source

SHELF = Path(__file__).with_name("files")
FILES: dict[str, bytes] = runpy.run_path(str(Path(__file__).with_name("make_shelf.py")))["FILES"]

Good = tuple[int, int, tuple[str, ...]]
"""Number, line, cells."""
Bad = tuple[int, int, str]
"""Number, line, code."""


@dataclass(frozen=True)
class Expected:
    """What a file holds."""

    columns: tuple[str, ...]
    rows: list[Good] = field(default_factory=list)
    broken: list[Bad] = field(default_factory=list)
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'


ID_NAME = ("id", "name")
ID_NOTE = ("id", "note")
EXPECTED: dict[str, Expected] = {
    "crlf_excel.csv": Expected(ID_NAME, [(1, 2, ("1", "Anna")), (2, 3, ("2", "Ivan"))]),
    "mixed_line_ends.csv": Expected(
        ID_NAME, [(1, 2, ("1", "Anna")), (2, 3, ("2", "Ivan")), (3, 4, ("3", "Olga")), (4, 6, ("4", "Petr"))]
    ),
    "cr_cr_lf.csv": Expected(ID_NAME, [(1, 3, ("1", "Anna")), (2, 5, ("2", "Ivan"))]),
    "blank_lines.csv": Expected(ID_NAME, [(1, 5, ("1", "Anna")), (2, 8, ("2", "Ivan"))]),
    "no_last_line_end.csv": Expected(ID_NAME, [(1, 2, ("1", "Anna"))]),
    "header_only.csv": Expected(ID_NAME),
    "quoted_newlines.csv": Expected(
        ID_NOTE, [(1, 2, ("1", "two\nlines")), (2, 4, ("2", 'cr\r\nlf, and "quotes"')), (3, 6, ("3", "plain"))]
    ),
    "bad_quotes.csv": Expected(ID_NOTE, [(1, 2, ("1", "fine")), (3, 4, ("3", "fine"))], [(2, 3, "bad_quotes")]),
    "bad_quotes_later.csv": Expected(
        ID_NOTE,
        [(2, 3, ("2", "fine")), (3, 4, ("3", "here, the quote ends")), (4, 5, ("4", "fine"))],
        [(1, 2, "bad_quotes")],
    ),
    "open_quote.csv": Expected(
        ID_NOTE, [(1, 2, ("1", "fine")), (3, 4, ("3", "fine")), (4, 6, ("4", "fine"))], [(2, 3, "open_quote")]
    ),
    "open_quotes_thrice.csv": Expected(ID_NOTE, [(2, 3, ("2", "fine")), (3, 4, ("3", 'a"b'))], [(1, 2, "bad_quotes")]),
    "inch_marks.csv": Expected(("id", "size"), [(1, 2, ("1", '5" pipe')), (2, 3, ("2", 'a "quoted" word'))]),
    "single_quotes.csv": Expected(ID_NAME, [(1, 2, ("1", "a;b")), (2, 3, ("2", "it's"))], delimiter=";", quote="'"),
    "ragged.csv": Expected(
        ("id", "name", "city"),
        [(1, 2, ("1", "Anna", "Omsk")), (4, 5, ("4", "", "")), (7, 8, ("6", "Petr", "Ufa"))],
        [(2, 3, "missing_fields"), (3, 4, "extra_fields"), (5, 6, "missing_fields"), (6, 7, "missing_fields")],
    ),
    "nul_bytes.csv": Expected(ID_NAME, [(1, 2, ("1", "An\0na")), (3, 4, ("2", "Ivan"))], [(2, 3, "missing_fields")]),
    "fed_back_error.csv": Expected(
        ("id", "name", "_row", "_line", "_source", "_outcome", "_profile_id", "_error_code", "_error_text"),
        [(1, 2, ("7", "Anna", "7", "8", "/data/a.csv", "rejected", "", "400", "bad e-mail, it says"))],
    ),
    "utf8_bom.csv": Expected(("id", "имя"), [(1, 2, ("1", "Ян"))]),
    "utf8_bom_twice.csv": Expected(ID_NAME, [(1, 2, ("1", "Anna"))]),
    "utf16_excel.csv": Expected(
        ("id", "имя"), [(1, 2, ("1", "Ян")), (2, 3, ("2", "\U0001f600"))], encoding="utf-16", delimiter="\t"
    ),
    "utf16_half_pair.csv": Expected(
        ("id", "n"), [(1, 2, ("1", "a")), (3, 4, ("3", "c"))], [(2, 3, "bad_bytes")], encoding="utf-16"
    ),
    "cp1251.csv": Expected(("id", "имя"), [(1, 2, ("1", "Ёжик №5"))], encoding="cp1251", delimiter=";"),
    "cp1251_undefined.csv": Expected(
        ("id", "имя"),
        [(1, 2, ("1", "Ян")), (3, 4, ("3", ""))],
        [(2, 3, "bad_bytes")],
        encoding="windows-1251",
        delimiter=";",
    ),
    "cp1252.csv": Expected(ID_NAME, [(1, 2, ("1", "Zoë “Œuvre” €5"))], encoding="cp1252"),
    "koi8_r.csv": Expected(("id", "имя"), [(1, 2, ("1", "Ян"))], encoding="koi8-r"),
    "latin_1.csv": Expected(ID_NAME, [(1, 2, ("1", "Zoë\x85"))], encoding="latin-1"),
    "bad_byte.csv": Expected(ID_NAME, [(1, 2, ("1", "Anna")), (3, 4, ("3", "Ivan"))], [(2, 3, "bad_bytes")]),
    "bad_byte_cut_off.csv": Expected(
        ID_NAME, [(3, 4, ("3", "Ivan"))], [(1, 2, "bad_bytes"), (2, 3, "bad_bytes"), (4, 5, "bad_bytes")]
    ),
    "bad_byte_in_quotes.csv": Expected(ID_NOTE, [(2, 4, ("2", "fine"))], [(1, 2, "bad_bytes")]),
    "line_separators.csv": Expected(ID_NOTE, [(1, 2, ("1", "a\u2028b\x0bc\x0cd\x85e\x1cf"))]),
    "exact_numbers.jsonl": Expected(
        ("id", "price", "big", "zero", "none", "yes", "big.0", "big.1", "big.1.a"),
        [
            (1, 1, ("12345678901234567890", "1.10", "1E400", "-0", "", "true")),
            (2, 2, ("1", "0", '[1.50, {"a": -0}]', "{}", "", "false")),
        ],
    ),
    "keys_that_come_and_go.jsonl": Expected(
        ("a", "b", "c"),
        [(1, 1, ("1", "2", "")), (2, 2, ("", "", "3")), (3, 3, ("", "", "")), (4, 4, ("5", "4", ""))],
    ),
    "broken_lines.jsonl": Expected(
        ("a",),
        [(1, 1, ("1",)), (10, 12, ("2",))],
        [
            (2, 2, "bad_json"),
            (3, 3, "not_an_object"),
            (4, 4, "not_an_object"),
            (5, 5, "bad_json"),
            (6, 6, "bad_json"),
            (7, 9, "bad_bytes"),
            (8, 10, "bad_json"),
            (9, 11, "not_an_object"),
        ],
    ),
    "utf8_bom.jsonl": Expected(("a",), [(1, 1, ("1",)), (2, 2, ("2",))]),
    "escapes.jsonl": Expected(("a",), [(1, 1, ('Ж\U0001f600\n"\0',)), (2, 2, ("2",))]),
    "empty.jsonl": Expected(()),
    "nested.jsonl": Expected(
        ("id", "contact", "phones", "contact.email", "contact.note", "phones.0", "phones.1", "phones.1.n"),
        [
            (1, 1, ("1", '{"email":"a@example.com","note":null}', '["+7900",{"n":1.10}]')),
            (2, 2, ("2", "none", "[]")),
        ],
    ),
    "duplicate_keys.jsonl": Expected(
        ("a",),
        [(2, 2, ("1",)), (4, 4, ('b:c, "d": e',))],
        [(1, 1, "duplicate_keys"), (3, 3, "duplicate_keys"), (5, 5, "duplicate_keys")],
    ),
    "array.json": Expected(("a", "b", "b.0", "b.1"), [(1, 2, ("1.10", '["]", "}"]')), (2, 7, ("2", ""))]),
    "array_on_one_line.json": Expected(("a",), [(1, 1, ("1",)), (2, 1, ("2",)), (3, 1, ("",)), (4, 1, ("[{",))]),
    "array_empty.json": Expected(()),
    "array_broken.json": Expected(
        ("a",),
        [(3, 5, ("3",)), (5, 7, ("5",)), (9, 11, ("9",))],
        [
            (1, 2, "bad_json"),
            (2, 4, "bad_json"),
            (4, 6, "bad_json"),
            (6, 8, "bad_json"),
            (7, 9, "not_an_object"),
            (8, 10, "bad_bytes"),
            (10, 13, "bad_json"),
        ],
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_nasty_file_comes_out_as_the_table_says(name: str) -> None:
    """Columns, cells, numbers, lines and codes."""
    expected = EXPECTED[name]
    table = SourceTable(path=name, encoding=expected.encoding, delimiter=expected.delimiter, quote=expected.quote)
    reader = open_source(SHELF / name, table)
    chunks = list(reader.chunks())
    rows = [
        (row.number, row.line, tuple(cells))
        for chunk in chunks
        for row, cells in zip(chunk.rows, chunk.frame.to_numpy().tolist(), strict=True)
    ]
    broken = [(each.row.number, each.row.line, each.code) for chunk in chunks for each in chunk.broken]
    assert (tuple(reader.columns), rows, broken) == (expected.columns, expected.rows, expected.broken)


def test_every_file_of_the_shelf_has_an_expectation_and_is_as_the_script_makes_it() -> None:
    """A file that is changed by hand, or by a version control system that mends line ends, is found out."""
    on_disk = {path.name: path.read_bytes() for path in SHELF.iterdir() if not path.name.startswith(".")}
    assert on_disk == FILES
    assert on_disk.keys() == EXPECTED.keys()


BYTES_WHERE = {
    "bad_byte.csv": (2, "2,Zo\udceb", "Byte 5 of the record, on line 3,"),
    "bad_byte_cut_off.csv": (1, "1,\udce2\udc82", "Byte 3 of the record, on line 2,"),
    "bad_byte_in_quotes.csv": (1, "1,Ж\nline \udcff", "Byte 12 of the record, on line 3,"),
    "utf16_half_pair.csv": (2, "2,\udc00\udcd8b", "Byte 5 of the record, on line 3,"),
    "broken_lines.jsonl": (7, '{"a":"\udcff"}', "Byte 7 of the record, on line 9,"),
}


@pytest.mark.parametrize("name", BYTES_WHERE)
def test_undecodable_bytes_are_kept_and_the_first_one_is_pointed_at(name: str) -> None:
    """The record keeps each such byte as a surrogate; the sentence says where the first one is."""
    number, record, where = BYTES_WHERE[name]
    reader = open_source(SHELF / name, SourceTable(path=name))
    found = {each.row.number: each for chunk in reader.chunks() for each in chunk.broken}[number]
    kept = found.row.record if isinstance(found.row.record, str) else ",".join(found.row.record)
    assert (found.code, kept) == ("bad_bytes", record)
    assert found.text.startswith(where)


def test_a_record_that_cannot_be_split_is_kept_as_the_text_of_its_line() -> None:
    """Without the line end; nothing of it is in the sentence."""
    reader = open_source(SHELF / "bad_quotes.csv", SourceTable(path="bad_quotes.csv"))
    [broken] = [each for chunk in reader.chunks() for each in chunk.broken]
    assert broken.row == Row(2, 3, '2,"OOO "Daisy" Ltd"')
    assert "Daisy" not in broken.text
