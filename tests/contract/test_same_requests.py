"""The same people in every format that is read: identical requests, whoever wrote the file."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchrunner.config import Job, load_job
from batchrunner.mapping import compile_mapping
from batchrunner.model import Request
from batchrunner.sources import open_source

SAMPLES = Path(__file__).parents[2] / "sample_data"
ROWS = 300

Table = tuple[list[str], list[list[str]]]


def sample(job: Job) -> Table:
    """The first rows of the sample export that can be sent: their cells."""
    reader = open_source(job.beside(job.source.path), job.source, ROWS)
    chunk = next(reader.chunks())
    return list(reader.columns), chunk.frame.to_numpy().tolist()


def payloads(job: Job, path: Path) -> list[bytes]:
    """What would be sent for the rows of a file."""
    reader = open_source(path, job.source)
    mapper = compile_mapping(job, reader.source, reader.columns, path.name)
    return [end.payload for chunk in reader.chunks() for end in mapper.map(chunk) if isinstance(end, Request)]


def csv_text(table: Table, line_end: str = "\n") -> bytes:
    """Every cell in quotes."""
    columns, rows = table
    return line_end.join(",".join('"' + c.replace('"', '""') + '"' for c in row) for row in [columns, *rows]).encode()


def objects(table: Table) -> list[dict[str, str]]:
    """By column."""
    columns, rows = table
    return [dict(zip(columns, row, strict=True)) for row in rows]


def write_workbook(path: Path, table: Table) -> None:
    """All cells as texts."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in [table[0], *table[1]]:
        sheet.append(row)
    book.save(path)


def write_zip(path: Path, table: Table) -> None:
    """One member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", csv_text(table))


WRITERS: dict[str, Callable[[Path, Table], object]] = {
    "people.csv": lambda path, table: path.write_bytes(csv_text(table)),
    "people-bom.csv": lambda path, table: path.write_bytes(b"\xef\xbb\xbf" + csv_text(table)),
    "people-utf16.csv": lambda path, table: path.write_bytes(csv_text(table).decode().encode("utf-16")),
    "people-crlf.csv": lambda path, table: path.write_bytes(csv_text(table, "\r\n")),
    "people.csv.gz": lambda path, table: path.write_bytes(gzip.compress(csv_text(table))),
    "people.csv.bz2": lambda path, table: path.write_bytes(bz2.compress(csv_text(table))),
    "people.csv.xz": lambda path, table: path.write_bytes(lzma.compress(csv_text(table))),
    "people.zip": write_zip,
    "people.jsonl": lambda path, table: path.write_text("\n".join(map(json.dumps, objects(table)))),
    "people.json": lambda path, table: path.write_text(json.dumps(objects(table), ensure_ascii=False, indent=2)),
    "people.xlsx": write_workbook,
    "people.parquet": lambda path, table: pq.write_table(pa.Table.from_pylist(objects(table)), path),
}


@pytest.fixture(scope="module")
def job() -> Job:
    """The job of the sample export."""
    return load_job(SAMPLES / "crm-contacts.toml")


@pytest.fixture(scope="module")
def table(job: Job) -> Table:
    """The sample, without records that are broken as CSV."""
    return sample(job)


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_people_become_the_same_requests_in_every_format(
    tmp_path: Path, job: Job, table: Table, name: str
) -> None:
    """Byte for byte, in the same order: a CRM that changes its export format sends nobody anything twice."""
    (tmp_path / "plain.csv").write_bytes(csv_text(table))
    expected = payloads(job, tmp_path / "plain.csv")
    assert len(expected) > ROWS / 2
    WRITERS[name](tmp_path / name, table)
    assert payloads(job, tmp_path / name) == expected
