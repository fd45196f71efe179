"""JSONL records: one JSON object per physical line, its values as the texts that stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from batchrunner.model import Row, Unusable
from batchrunner.sources.files import InputFile
from batchrunner.sources.lines import PhysicalLines
from batchrunner.sources.reading import Batch, bad_bytes

Texts = tuple[tuple[str, ...], tuple[str, ...]]
"""The keys of an object and its values as cells. Objects of one block with the same keys share them."""

_Keys = tuple[str, ...]

# Floats come as they are written (1.10 stays 1.10); integers are exact as Python reads them.
_quick = msgspec.json.Decoder(dict[str, Any], float_hook=str)
_exact = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _AskRecordError(Exception):
    """The text of a value cannot be told from the value: it could have been written in several ways."""


class JsonlFormat:
    """How a JSONL file is split, and the keys at its start."""

    def __init__(self, columns: _Keys = ()) -> None:
        """Use `of`."""
        self.columns = columns

    @classmethod
    def of(cls, file: InputFile, rows: int) -> JsonlFormat:
        """Take the keys of the first `rows` objects as the columns. Raises SourceError."""
        objects = chain.from_iterable(batch.values for lines in file.each() for batch in cls().batches(lines))
        return cls(_columns(islice(objects, rows)))

    @property
    def header(self) -> None:
        """There is none: each object names its values."""
        return

    def batches(self, lines: PhysicalLines, first: int = 1) -> Iterator[Batch[Texts]]:
        """The lines that are not blank."""
        number = first
        while block := lines.block():
            batch = _read(block, number, lines)
            number += len(batch)
            yield batch

    def table(self, values: Sequence[Texts]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """All keys of some objects in order of appearance; an object that lacks one has an empty cell."""
        columns = _columns(values)
        return columns, [cells if keys == columns else _spread(keys, cells, columns) for keys, cells in values]


def _columns(objects: Iterable[Texts]) -> _Keys:
    shapes = dict.fromkeys(keys for keys, _ in objects)  # objects of an export have few different shapes
    return tuple(dict.fromkeys(chain.from_iterable(shapes)))


def _spread(keys: _Keys, cells: Sequence[str], columns: _Keys) -> Sequence[str]:
    by_key = dict(zip(keys, cells, strict=True))
    return tuple([by_key.get(column, "") for column in columns])


def _read(block: Sequence[str], number: int, lines: PhysicalLines) -> Batch[Texts]:
    """The records of some lines, of which the first one has the given number."""
    batch: Batch[Texts] = Batch()
    shapes: dict[_Keys, _Keys] = {}
    for line, text in enumerate(block, lines.taken - len(block) + 1):
        record = text.rstrip("\r\n")
        try:
            keys, cells = _texts(record)
        except (ValueError, RecursionError) as error:  # msgspec's own errors and UnicodeEncodeError are ValueErrors
            if not record.strip(" \t"):
                continue
            code, why = _broken(record, line, error, lines)
            batch.broken.append(Unusable(Row(number, line, record), code, why))
        else:
            batch.rows.append(Row(number, line, record))
            batch.values.append((shapes.setdefault(keys, keys), cells))
        number += 1
    return batch


def _texts(record: str) -> Texts:
    """The values of an object as texts: strings as they read, everything else as it is written."""
    try:
        values = _quick.decode(record)
        cells = [value if type(value) is str else _simple(value, record) for value in values.values()]
        return tuple(values), tuple(cells)
    except (msgspec.ValidationError, _AskRecordError):  # also no object, or an integer of thousands of digits
        raws = _exact.decode(record)
        return tuple(raws), tuple(map(_as_written, raws.values()))


def _simple(value: object, record: str) -> str:
    """The text of a number, a truth or nothing."""
    kind = type(value)
    if kind is int and (value or "-0" not in record):
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return ""
    raise _AskRecordError


def _as_written(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode()
    if text == "null":
        return ""
    if text.startswith('"'):
        return msgspec.json.decode(text, type=str)
    return text


def _broken(record: str, line: int, error: Exception, lines: PhysicalLines) -> tuple[str, str]:
    """Code and sentence for a line that is no object: where and why, never what stands there."""
    if where := lines.where_undecodable([record]):
        return "bad_bytes", bad_bytes(lines, line, where[1])
    told = lines.told(line)
    if isinstance(error, msgspec.ValidationError):
        try:
            msgspec.json.decode(record, type=msgspec.Raw)
        except (ValueError, RecursionError) as deeper:
            error = deeper
        else:
            return "not_an_object", f"Line {told} is JSON, but not an object; write one {{…}} per line."
    if isinstance(error, RecursionError):
        return "bad_json", f"Line {told} is nested too deeply to be read; flatten it."
    reason = str(error).removeprefix("JSON is malformed: ")
    return "bad_json", f"Line {told} is not valid JSON: {reason}; correct it, with one whole object per line."
