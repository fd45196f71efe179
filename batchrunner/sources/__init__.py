"""The room that reads exports: CSV and JSONL files as chunks of rows, every record accounted for.

    what a job says -> files (`places`, `spool`; `remote` fetches), unpacked where packed (`packed`, `zips`, `files`)
        -> lines (`lines`) -> records (`csv_records`, `dialects`, `jsonl_records`, `json_arrays`) -> chunks (`reading`)
    workbooks and Parquet files -> records (`workbooks`, `parquet`) -> chunks (`tables`)

A record that cannot become a row becomes an `Unusable` with the number and the line it has in the file:

    extra_fields, missing_fields    the record does not have as many cells as the header (CSV)
    bad_quotes, open_quote          a quoted cell goes on after its closing quote, or never closes (CSV)
    bad_json, not_an_object         the line, or the element of an array, is no JSON, or JSON but no object
    duplicate_keys                  an object has a key twice, with different values (JSON)
    bad_bytes                       the record holds bytes that the declared encoding does not know
"""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path, PurePath
from typing import Literal

from msgspec import structs

from batchrunner.config.source import SourceTable
from batchrunner.errors import SourceError
from batchrunner.model import Source
from batchrunner.ports import RESULT_COLUMNS, Reader
from batchrunner.sources.csv_records import CsvFormat
from batchrunner.sources.dialects import Dialect
from batchrunner.sources.files import InputFile, fingerprint, os_errors, stamp_of
from batchrunner.sources.jsonl_records import JsonlFormat
from batchrunner.sources.packed import HEAD_BYTES, packing_of
from batchrunner.sources.parquet import MAGIC as PARQUET_MAGIC
from batchrunner.sources.parquet import Declared, ParquetTable, types_of
from batchrunner.sources.reading import CHUNK_ROWS, FileReader
from batchrunner.sources.strangers import must_not_be_another_office_file, must_not_be_strange
from batchrunner.sources.tables import TableReader
from batchrunner.sources.workbooks import Sheet, is_workbook, sheets_of

__all__ = [
    "CHUNK_ROWS",
    "Declared",
    "TableKind",
    "fingerprint",
    "is_jsonl",
    "is_whole_only",
    "open_source",
    "sheets_of",
    "table_kind",
    "types_of",
]

TableKind = Literal["xlsx", "parquet"]

_JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_PACKED_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst", ".zstd", ".zip"})


def open_source(path: Path, table: SourceTable, chunk_rows: int = CHUNK_ROWS, *, called: str | None = None) -> Reader:
    """A reader of the file, whose content has been fingerprinted and whose columns are known.

    `called` is the address that the file was copied from, by which the ledger then knows it.

    Raises SourceError when the file is missing, unreadable, not a regular file, empty (CSV), written in an
    unknown encoding, damaged at its very start, or has a header that cannot be decoded; also for a zip whose members
    do not belong together.
    """
    if kind := _table_kind(path, table):
        opened = _table(kind, path, table, chunk_rows)
        return TableReader(_source(path, called), opened, chunk_rows)
    file = InputFile.open(path, table.encoding, table.member)
    source = _source(path, called)
    if _holds_jsonl(file, table):
        return FileReader(file, source, JsonlFormat.of(file, chunk_rows), chunk_rows)
    return FileReader(file, source, CsvFormat.of(file, Dialect.of(path, table)), chunk_rows)


def is_jsonl(path: Path, table: SourceTable) -> bool:
    """Whether a file is read as JSONL: as the job says, or by the end of its name. Raises SourceError."""
    if _table_kind(path, table):
        return False
    return _holds_jsonl(InputFile.open(path, table.encoding, table.member), table)


def _source(path: Path, called: str | None) -> Source:
    source = fingerprint(path)
    return source if called is None else structs.replace(source, path=called)


def _table(kind: TableKind, path: Path, table: SourceTable, chunk_rows: int) -> Sheet | ParquetTable:
    return Sheet(path, table) if kind == "xlsx" else ParquetTable(path, chunk_rows)


def _table_kind(path: Path, table: SourceTable) -> TableKind | None:
    """Whether a file is a table that is no text, by its content. Raises SourceError where the job says otherwise."""
    head = _head(path)
    kind = _kind_of(path, head)
    if table.format in (kind, "auto"):
        return kind
    if table.format in ("xlsx", "parquet") and not _is_result(head):
        raise SourceError(f"{path}: is no {table.format} file; correct `format` under [source], or remove it")
    return None


def table_kind(path: Path) -> TableKind | None:
    """Whether a file is a workbook or a Parquet file, by its content alone. Raises SourceError."""
    return _kind_of(path, _head(path))


def is_whole_only(head: bytes) -> bool:
    """Whether what begins like this cannot be read as it comes: a table, or something packed."""
    return head.startswith(PARQUET_MAGIC) or packing_of(head) is not None


def _head(path: Path) -> bytes:
    stamp_of(path)
    with os_errors(path), path.open("rb", buffering=0) as file:
        return file.read(HEAD_BYTES)


def _kind_of(path: Path, head: bytes) -> TableKind | None:
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if packing_of(head) == "zip":
        if is_workbook(path):
            return "xlsx"
        must_not_be_another_office_file(path)
    must_not_be_strange(path, head)
    return None


def _is_result(head: bytes) -> bool:
    """Result files are CSV, whatever the source was."""
    return head.removeprefix(BOM_UTF8).lstrip(b"\"'").startswith(RESULT_COLUMNS[0].encode())


def _holds_jsonl(file: InputFile, table: SourceTable) -> bool:
    if table.format != "auto":
        return table.format == "jsonl"
    kinds = {_ends_as_jsonl(name) for name in file.data_names}
    if len(kinds) > 1:
        raise SourceError(
            f"{file.path}: holds CSV and JSONL files, which are not read as one; choose by `member` under [source]"
        )
    return kinds == {True}


def _ends_as_jsonl(name: str) -> bool:
    bare = PurePath(name.lower())
    return (PurePath(bare.stem) if bare.suffix in _PACKED_SUFFIXES else bare).suffix in _JSONL_SUFFIXES
