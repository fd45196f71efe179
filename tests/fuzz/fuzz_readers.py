"""The readers: whatever the bytes of an export, it ends in records or in a sentence; none is lost, and again the same.

As bytes: four that say how the file is written (format, options, packing, encoding, delimiter), then what stands in it.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.model import Row
from batchrunner.sources import open_source

ENCODINGS = ("utf-8", "utf-8", "cp1251", "cp1252", "koi8-r", "latin-1", "utf-16", "shift_jis")
WITHOUT_UNITS = frozenset(ENCODINGS[:6])
"""A line end is a byte in these, so that lines can be told without the reader."""
DELIMITERS = ",;\t|"
PACKINGS: tuple[Callable[[bytes], bytes], ...] = (bytes, bytes, bytes, gzip.compress, bz2.compress)
CHOICES = 4
MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff", b"\xef\xbb\xbf")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

SEEDS = (
    b'\0\0\0\0a,b\n1,2\n"x\ny",3\r\n4,"5"6\n7\n8,9,10\n',
    b'\2\0\2\1a;b\r"q""";\0\r\r\n;;\n',
    b'\4\3\3\2a\tb\n"x\\"y"\t1\n',
    b"\x08\0\4\3a|b\n'x|y'|1\n'open|2\n3|4\n",
    b'\1\0\0\0[{"a": 1.10}, {"b": [1, {"c": null}]}, {"a" 2}, 7]',
    b'\1\4\0\0{"a": "\\ud83d\\ude00"}\n\n{"a": 1, "a": 2}\n[1]\n{"a": {"b": 1e5}}\n',
    b"\x70\0\0\xe0title\n\na,b\n1\n1,2,3\nTotal\n",
    b"\0\0\6\0\xff\xfea\0,\0b\0\n\x001\0,\x002\0\n\0\xd8",
)
PIECES = (b'"', b'""', b",", b";", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b'",', b'\n"', b'"\n', b'\\"', b"\\", b"'",
          b"\xff", b"\xd0", b"\xe2\x82", b"{", b"}", b'{"a":', b'"b"', b"1}", b"[", b"]", b"{},", b'"\\ud800"',
          b"1e999", *MARKS, b"PAR1", b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-", b"x" * 300, b"a,b\n" * 40)  # fmt: skip


def try_one(data: bytes) -> None:
    """Records with numbers that have no gap, on lines in order, that hold every line of the file; or a sentence."""
    choices, content = data[:CHOICES].ljust(CHOICES, b"\0"), data[CHOICES:]
    table = _table(choices)
    with tempfile.TemporaryDirectory(prefix="fuzz-readers-") as folder:
        path = Path(folder) / ("any.jsonl" if choices[0] & 1 else "any.csv")
        path.write_bytes(PACKINGS[choices[1] % len(PACKINGS)](content))
        records = _read(path, table)
        assert records == _read(path, table)
    if isinstance(records, str):
        assert "\n" not in records
        return
    assert [row.number for row in records] == list(range(1, len(records) + 1))
    assert [row.line for row in records] == sorted(row.line for row in records)
    left_out = table.get("skip_lines") or table.get("skip_footer")
    if table["encoding"] in WITHOUT_UNITS and not left_out and not content.startswith(MARKS):
        lines = _LINE.findall(content.decode(table["encoding"], "surrogateescape"))
        _no_line_is_lost(records, lines, table, of_json=path.suffix == ".jsonl")


def _table(choices: bytes) -> dict[str, Any]:
    table: dict[str, Any] = {"path": "any", "encoding": ENCODINGS[choices[2] % len(ENCODINGS)]}
    if choices[0] & 1:
        return table
    table["delimiter"] = DELIMITERS[choices[3] % len(DELIMITERS)]
    table |= {"header": False} if choices[0] & 2 else {}
    table |= {"escape": "\\"} if choices[0] & 4 else {}
    table |= {"quote": "'"} if choices[0] & 8 else {}
    table |= {"skip_lines": choices[3] >> 6, "skip_footer": choices[3] >> 5 & 1} if choices[0] & 16 else {}
    table |= {"extra_fields": "ignore"} if choices[0] & 32 else {}
    return table | ({"missing_fields": "pad"} if choices[0] & 64 else {})


def _read(path: Path, table: dict[str, Any]) -> list[Row] | str:
    """All records, good or bad, in file order; or the sentence."""
    try:
        chunks = list(open_source(path, SourceTable.model_validate(table), chunk_rows=5).chunks())
    except SourceError as error:
        return str(error)
    rows = [row for chunk in chunks for row in chunk.rows]
    return sorted([*rows, *(each.row for chunk in chunks for each in chunk.broken)], key=lambda row: row.number)


def _no_line_is_lost(records: list[Row], lines: list[str], table: dict[str, Any], *, of_json: bool) -> None:
    if of_json:
        if not re.match(r"\s*\[", "".join(lines)):  # of an array, records are no lines
            assert [row.line for row in records] == [n for n, line in enumerate(lines, 1) if line.strip(" \t\r\n")]
        return
    signs = {"delimiter": table["delimiter"], "quotechar": table.get("quote", '"'), "escapechar": table.get("escape")}
    begins = [row.line for row in records] + [len(lines) + 1]
    header = [cells for cells in csv.reader(lines[: begins[0] - 1], strict=True, **signs) if cells]
    assert len(header) == table.get("header", True)
    for row, begin, end in zip(records, begins, begins[1:], strict=False):
        of_record = lines[begin - 1 : end - 1]
        if isinstance(row.record, str):  # could not be split
            assert all(not line.strip("\r\n") for line in of_record[1:])
        else:
            assert len([cells for cells in csv.reader(of_record, strict=True, **signs) if cells]) == 1
