"""Parquet files, batch by batch. The only door to pyarrow.

A cell is its text: numbers whole where they are whole, dates as 2026-11-23, times behind them, null as nothing, lists
and structures as JSON.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from batchrunner.errors import SourceError
from batchrunner.nested import MOST_PATHS, paths_in
from batchrunner.sources.dialects import distinct
from batchrunner.sources.files import os_errors, stamp_of
from batchrunner.sources.tables import Record, number_text

MAGIC = b"PAR1"
Declared = Literal["text", "int", "float", "bool", "date", "datetime", "json"]
"""What a file says about a column."""

_NO_FRACTION = re.compile(r"\.0+(?=Z?$)")


class ParquetTable:
    """A Parquet file as a table (`tables.Table`)."""

    nested = True

    def __init__(self, path: Path, batch_rows: int) -> None:
        """Open it and read its schema. Raises SourceError."""
        self._path = path
        self._stamp = stamp_of(path)
        self._arrow, self._parquet = _pyarrow(path)
        self._batch_rows = batch_rows
        with self._reading(), self._parquet.ParquetFile(path) as file:
            self.header = tuple(file.schema_arrow.names)
            self.types = tuple(_declared(self._arrow, kind) for kind in file.schema_arrow.types)
            fields = [list(_fields(self._arrow, field)) for field in file.schema_arrow]
        self.columns = tuple(distinct(self.header))
        self.inner = self._paths(fields)

    def records(self) -> Iterator[Record]:
        """All rows; their line is their number."""
        with self._reading(), self._parquet.ParquetFile(self._path) as file:
            count, line = file.metadata.num_rows, 0
            for batch in file.iter_batches(batch_size=self._batch_rows):
                if stamp_of(self._path) != self._stamp:
                    raise SourceError(
                        f"{self._path}: the file changed while it was read; let its export finish, then run again"
                    )
                for cells in zip(*map(self._texts, batch.columns), strict=True):
                    line += 1
                    yield Record(line, cells, line / count)

    def fault(self, record: Record) -> None:
        """There is none: every row has every column."""

    def mended(self, cells: tuple[str, ...]) -> Sequence[str]:
        """As they are."""
        return cells

    def _paths(self, fields: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """Of structures as the schema has them, and places in lists as the first rows do."""
        names = list(zip(self.columns, self.types, strict=True))
        found = {f"{name}.{path}": None for name, paths in zip(self.columns, fields, strict=True) for path in paths}
        nested = [place for place, (_, kind) in enumerate(names) if kind == "json"]
        for record in islice(self.records(), self._batch_rows) if nested else ():
            found.update(
                {f"{self.columns[place]}.{path}": None for place in nested for path in paths_in(record.cells[place])}
            )
            if len(found) > MOST_PATHS:
                break
        return tuple(path for path in islice(found, MOST_PATHS) if path not in self.columns)

    def _texts(self, column: Any) -> list[str]:  # noqa: ANN401  an array of any type
        arrow, kind = self._arrow, column.type
        if arrow.types.is_dictionary(kind):
            return self._texts(column.dictionary_decode())
        if arrow.types.is_nested(kind):
            return [_json(value) for value in column.to_pylist()]
        if arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind) or arrow.types.is_fixed_size_binary(kind):
            return [_of_bytes(value) for value in column.to_pylist()]
        try:
            texts = ["" if text is None else text for text in column.cast(arrow.string()).to_pylist()]
        except arrow.ArrowNotImplementedError:  # such as durations
            return ["" if value is None else str(value) for value in column.to_pylist()]
        if arrow.types.is_floating(kind):
            return [number_text(float(text)) if text and text[-1].isdigit() else text for text in texts]
        if arrow.types.is_timestamp(kind) or arrow.types.is_time(kind):
            return [_NO_FRACTION.sub("", text) for text in texts]
        return texts

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with os_errors(self._path):
            try:
                yield
            except (self._arrow.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:  # the disk, not the data
                    raise
                raise SourceError(
                    f"{self._path}: cannot be read as Parquet ({type(error).__name__}), as if it were cut off or "
                    f"damaged; get the file again"
                ) from error


def types_of(path: Path) -> dict[str, Declared]:
    """The type of each column of a Parquet file that has one. Raises SourceError."""
    table = ParquetTable(path, batch_rows=1)
    return {column: kind for column, kind in zip(table.columns, table.types, strict=True) if kind}


def _fields(arrow: Any, field: Any) -> Iterator[str]:  # noqa: ANN401  pyarrow has no types
    """The paths into a structure, the outer ones first."""
    for inner in field.type if arrow.types.is_struct(field.type) else ():
        yield inner.name
        yield from (f"{inner.name}.{path}" for path in _fields(arrow, inner))


def _declared(arrow: Any, kind: Any) -> Declared | None:  # noqa: ANN401  pyarrow has no types
    types = arrow.types
    if types.is_dictionary(kind):
        return _declared(arrow, kind.value_type)
    tests: tuple[tuple[Declared, tuple[Any, ...]], ...] = (
        ("text", (types.is_string, types.is_large_string)),
        ("bool", (types.is_boolean,)),
        ("int", (types.is_integer,)),
        ("float", (types.is_floating, types.is_decimal)),
        ("date", (types.is_date,)),
        ("datetime", (types.is_timestamp,)),
        ("json", (types.is_nested,)),
    )
    return next((name for name, checks in tests if any(check(kind) for check in checks)), None)


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _of_bytes(value: bytes | None) -> str:
    """Many writers keep texts as bytes; what is none goes as base64."""
    if value is None:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415, ICN001  only for files that need it
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise SourceError(
            f"{path}: is a Parquet file; to read it, run: pip install 'batchrunner[parquet]', or export CSV"
        ) from None
    return pyarrow, pyarrow.parquet
