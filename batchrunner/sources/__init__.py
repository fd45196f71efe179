"""The room that reads exports: CSV and JSONL files as chunks of rows, every record accounted for.

    file -> physical lines (`lines`) -> records (`csv_records`, `jsonl_records`) -> chunks (`reading`)

A record that cannot become a row becomes an `Unusable` with the number and the line it has in the file:

    extra_fields, missing_fields    the record does not have as many cells as the header (CSV)
    bad_quotes, open_quote          a quoted cell goes on after its closing quote, or never closes (CSV)
    bad_json, not_an_object         the line is no JSON, or JSON but no object (JSONL)
    bad_bytes                       the record holds bytes that the declared encoding does not know
"""

from __future__ import annotations

from pathlib import Path

from batchrunner.config.job import SourceTable
from batchrunner.ports import Reader
from batchrunner.sources.csv_records import CsvFormat
from batchrunner.sources.files import InputFile, fingerprint
from batchrunner.sources.jsonl_records import JsonlFormat
from batchrunner.sources.reading import CHUNK_ROWS, FileReader

__all__ = ["CHUNK_ROWS", "fingerprint", "is_jsonl", "open_source"]

_JSONL_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})


def open_source(path: Path, table: SourceTable, chunk_rows: int = CHUNK_ROWS) -> Reader:
    """A reader of the file, whose content has been fingerprinted and whose columns are known.

    Raises SourceError when the file is missing, unreadable, not a regular file, empty (CSV), written in an
    unknown encoding, or has a header that cannot be decoded, lacks names or repeats them.
    """
    file = InputFile.open(path, table.encoding)
    source = fingerprint(path)
    if is_jsonl(path, table):
        return FileReader(file, source, JsonlFormat.of(file, chunk_rows), chunk_rows)
    return FileReader(file, source, CsvFormat.of(file, table.delimiter, table.quote), chunk_rows)


def is_jsonl(path: Path, table: SourceTable) -> bool:
    """Whether a file is read as JSONL: as the job says, or by the end of its name."""
    if table.format == "auto":
        return path.suffix.lower() in _JSONL_SUFFIXES
    return table.format == "jsonl"
