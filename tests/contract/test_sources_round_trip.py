"""Any table, written in any way an export may be written, comes back identical: cells, numbers, lines and names."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sources_laws import CHARACTERS, ENCODINGS

from batchrunner.config.source import SourceTable
from batchrunner.sources import lines, open_source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINE_END = re.compile("\r\n|\r|\n")


def zipped(members: list[bytes]) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, member in enumerate(members):
            archive.writestr(f"part {place}.csv", member)
    return file.getvalue()


PACKINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "none": lambda members: members[0],
    "gz": lambda members: gzip.compress(members[0]),
    "bz2": lambda members: bz2.compress(members[0]),
    "xz": lambda members: lzma.compress(members[0]),
    "zst": lambda members: zstd.compress(members[0]),
    "zip": zipped,
}


@dataclass(frozen=True)
class Export:
    """Tables as some program exports them: one, or one per member of a zip."""

    encoding: str
    delimiter: str
    quote: str
    escape: str | None
    header: list[str] | None
    preamble: list[str]
    footer: list[str]
    tables: list[list[list[str]]]
    ends: list[str]
    """Line ends, in turn; an empty one stands for a blank line behind a record."""
    packing: str

    @property
    def source(self) -> dict[str, Any]:
        """`[source]` of the job."""
        return {
            "path": "export",
            "format": "csv",
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "quote": self.quote,
            "escape": self.escape,
            "header": self.header is not None,
            "skip_lines": len(self.preamble),
            "skip_footer": len(self.footer),
        }

    def written(self) -> tuple[bytes, list[tuple[int, list[str]]]]:
        """The file, and each record with the line it begins on."""
        members, records, taken = [], [], 0
        for table in self.tables:
            text, starts = self._text(table)
            members.append(text.encode(self.encoding))
            lines = [taken + 1 + len(LINE_END.findall(text[:start])) for start in starts]
            records += list(zip(lines, table, strict=True))
            taken += len(LINE_END.findall(text)) - len(self.footer)
        return PACKINGS[self.packing](members), records

    def _text(self, table: list[list[str]]) -> tuple[str, list[int]]:
        text = "".join(f"{line}\n" for line in self.preamble)
        starts = []
        for place, cells in enumerate([*([] if self.header is None else [self.header]), *table]):
            end = self.ends[place % len(self.ends)]
            starts.append(len(text))
            text += self._record(cells) + (end or "\n\r\n")
        text += "".join(f"{line}\n" for line in self.footer)
        return text, starts if self.header is None else starts[1:]

    def _record(self, cells: list[str]) -> str:
        buffer = io.StringIO(newline="")
        csv.writer(
            buffer, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape,
            doublequote=self.escape is None, quoting=csv.QUOTE_ALL, lineterminator="",
        ).writerow(cells)  # fmt: skip
        return buffer.getvalue()


@st.composite
def exports(draw: st.DrawFn) -> Export:
    """All habits at once, each drawn for itself."""
    encoding = draw(st.sampled_from(ENCODINGS))
    escape = draw(st.sampled_from([None, None, "\\"]))
    width = draw(st.integers(1, 4))
    cell = st.text(CHARACTERS[encoding] | st.just("\\"), max_size=6)
    record = st.lists(cell, min_size=width, max_size=width)
    packing = draw(st.sampled_from(sorted(PACKINGS)))
    tables = draw(st.lists(st.lists(record, min_size=1, max_size=5), min_size=1, max_size=3))
    name = st.sampled_from(["Email", "Email", "", " ", "Email (2)", "column 2"])
    return Export(
        encoding=encoding,
        delimiter=draw(st.sampled_from(",;\t|")),
        quote=draw(st.sampled_from("\"'")),
        escape=escape,
        header=draw(st.none() | st.lists(name, min_size=width, max_size=width)),
        preamble=draw(st.lists(st.sampled_from(["Report", "of; 2026, all", ""]), max_size=2)),
        footer=draw(st.lists(st.sampled_from(["Total", "3 rows, in all"]), max_size=2)),
        tables=tables if packing == "zip" else tables[:1],
        ends=draw(st.lists(st.sampled_from(["\n", "\r\n", "\r", ""]), min_size=1, max_size=4)),
        packing=packing,
    )


@settings(max_examples=120, deadline=None)
@given(export=exports(), chunk_rows=st.integers(1, 9), block_chars=st.sampled_from([1, 20, lines.BLOCK_CHARS]))
def test_what_is_exported_in_any_way_comes_back(
    tmp_path_factory: pytest.TempPathFactory, export: Export, chunk_rows: int, block_chars: int
) -> None:
    """Dialect, escapes, mixed line ends, blank lines, preamble, footer, header or none, encoding, packing: at once."""
    content, records = export.written()
    path = tmp_path_factory.getbasetemp() / "export"
    path.write_bytes(content)
    with mock.patch.object(lines, "BLOCK_CHARS", block_chars):
        reader = open_source(path, SourceTable.model_validate(export.source), chunk_rows)
        chunks = list(reader.chunks())
    assert not any(chunk.broken for chunk in chunks)
    rows = [row for chunk in chunks for row in chunk.rows]
    assert [(row.number, row.line) for row in rows] == [(n, line) for n, (line, _) in enumerate(records, 1)]
    assert [cells for chunk in chunks for cells in chunk.frame.to_numpy().tolist()] == [cells for _, cells in records]
    assert len(set(reader.columns)) == len(reader.columns)
    if export.header is not None:
        assert list(reader.header or ()) == export.header
