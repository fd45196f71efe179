"""JSON records: an object per physical line, or per element of an array; its values as the texts that stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from batchrunner.model import Row, Unusable
from batchrunner.nested import MOST_PATHS, paths_in, text_of
from batchrunner.sources.files import InputFile
from batchrunner.sources.json_arrays import Element, elements
from batchrunner.sources.lines import PhysicalLines
from batchrunner.sources.packed import DamagedError
from batchrunner.sources.reading import Batch, bad_bytes

Texts = tuple[tuple[str, ...], tuple[str, ...]]
"""The keys of an object and its values as cells. Objects of one block with the same keys share them."""

_Keys = tuple[str, ...]

# Floats come as they are written (1.10 stays 1.10); integers are exact as Python reads them.
_quick = msgspec.json.Decoder(dict[str, Any], float_hook=str)
_exact = msgspec.json.Decoder(dict[str, msgspec.Raw])


_LINE_ENDS = re.compile(r"\s*[\r\n]\s*")
_KEY_END = re.compile(r'"\s*:')
_BLOCK_ELEMENTS = 256

_REPEATED = "An object has the same key twice, with different values"


class _RepeatedKeyError(ValueError):
    """A key that occurs twice: which of its values is meant, nobody can tell."""


class _AskRecordError(Exception):
    """The text of a value cannot be told from the value: it could have been written in several ways."""


class JsonlFormat:
    """How a JSONL file is split, and the keys at its start."""

    def __init__(self) -> None:
        """Use `of`."""
        self.columns: _Keys = ()
        self.inner: _Keys = ()
        self.nested = True

    @classmethod
    def of(cls, file: InputFile, rows: int) -> JsonlFormat:
        """Take the keys of the first `rows` objects as the columns. Raises SourceError."""
        objects = chain.from_iterable(batch.values for lines in file.each() for batch in cls().batches(lines))
        form = cls()
        form.columns, form.inner = _with_inner(list(islice(objects, rows)))
        return form

    @property
    def header(self) -> None:
        """There is none: each object names its values."""
        return

    def batches(self, lines: PhysicalLines, first: int = 1) -> Iterator[Batch[Texts]]:
        """The lines that are not blank, or the elements of an array."""
        number = first
        for block in _array_blocks(lines) if lines.is_array else _line_blocks(lines):
            batch = _read(block, number, lines, number - first + 1)
            number += len(batch)
            yield batch

    def table(self, values: Sequence[Texts]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """All keys of some objects in order of appearance; an object that lacks one has an empty cell."""
        columns = _columns(values)
        return columns, [cells if keys == columns else _spread(keys, cells, columns) for keys, cells in values]


def _line_blocks(lines: PhysicalLines) -> Iterator[Iterable[Element]]:
    while block := lines.block():
        yield zip(range(lines.taken - len(block) + 1, lines.taken + 1), block, strict=True)


def _array_blocks(lines: PhysicalLines) -> Iterator[Iterable[Element]]:
    """Elements that were found are given even if the array then turns out to be damaged."""
    each = elements(lines)
    fault: Exception | None = None
    while fault is None:
        block: list[Element] = []
        try:
            block.extend(islice(each, _BLOCK_ELEMENTS))
        except DamagedError as error:
            fault = error
        if not block and fault is None:
            return
        yield block
    raise fault


def _with_inner(objects: Sequence[Texts]) -> tuple[_Keys, _Keys]:
    """The columns, and the paths that lead into their values."""
    columns = _columns(objects)
    inner: dict[str, None] = {}
    for keys, cells in objects:
        for key, cell in zip(keys, cells, strict=True):
            if cell.startswith(("{", "[")):
                inner.update(dict.fromkeys(f"{key}.{path}" for path in paths_in(cell)))
        if len(inner) > MOST_PATHS:
            break
    known = set(columns)
    return columns, tuple(path for path in islice(inner, MOST_PATHS) if path not in known)


def _columns(objects: Iterable[Texts]) -> _Keys:
    shapes = dict.fromkeys(keys for keys, _ in objects)  # objects of an export have few different shapes
    return tuple(dict.fromkeys(chain.from_iterable(shapes)))


def _spread(keys: _Keys, cells: Sequence[str], columns: _Keys) -> Sequence[str]:
    by_key = dict(zip(keys, cells, strict=True))
    return tuple([by_key.get(column, "") for column in columns])


def _read(block: Iterable[Element], number: int, lines: PhysicalLines, element: int) -> Batch[Texts]:
    """The records of some lines or elements, of which the first one has the given number, here and in its array."""
    batch: Batch[Texts] = Batch()
    shapes: dict[_Keys, _Keys] = {}
    for line, text in block:
        record = text.rstrip("\r\n")
        try:
            keys, cells = _texts(record)
        except (ValueError, RecursionError) as error:  # msgspec's own errors and UnicodeEncodeError are ValueErrors
            if not record.strip(" \t"):
                continue
            where = _where(lines, line, element + len(batch))
            code, why = _broken(record, line, where, error, lines)
            batch.broken.append(Unusable(Row(number, line, _one_line(record)), code, why))
        else:
            batch.rows.append(Row(number, line, _one_line(record) if lines.is_array else record))
            batch.values.append((shapes.setdefault(keys, keys), cells))
        number += 1
    return batch


def _texts(record: str) -> Texts:
    """The values of an object as texts: strings as they read, everything else as it is written."""
    decoded: dict[str, Any] | None = None
    values: dict[str, Any]
    try:
        values = decoded = _quick.decode(record)
        cells = [value if type(value) is str else _simple(value, record) for value in values.values()]
    except (msgspec.ValidationError, _AskRecordError):  # also no object, or an integer of thousands of digits
        values = _exact.decode(record)
        cells = [text_of(raw) for raw in values.values()]
    # Each key has a quote and a colon behind it: as many of them as keys, and none was there twice.
    if record.count(":") != len(values) and len(_KEY_END.findall(record)) != _keys_in(decoded):
        _must_not_repeat(record)
    return tuple(values), tuple(cells)


def _keys_in(value: object) -> int:
    """Keys of an object and of those within it; of what was not decoded, none."""
    if type(value) is dict:
        return len(value) + sum(map(_keys_in, value.values()))
    return sum(map(_keys_in, value)) if type(value) is list else 0


def _must_not_repeat(record: str) -> None:
    def pairs(members: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(members)
        if len(found) < len(members) and any(found[key] != value for key, value in members):
            raise _RepeatedKeyError(_REPEATED)
        return found

    # Numbers as they are written: 1 and 1.0 are not the same text.
    json.loads(record, object_pairs_hook=pairs, parse_int=str, parse_float=str)


def _one_line(record: str) -> str:
    """An element of an array may be written over many lines; none of its line ends is part of a value."""
    return _LINE_ENDS.sub(" ", record) if "\n" in record or "\r" in record else record


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


def _where(lines: PhysicalLines, line: int, element: int) -> str:
    told = f"line {lines.told(line)}"
    return f"Element {element}, on {told}," if lines.is_array else f"Line{told.removeprefix('line')}"


def _broken(record: str, line: int, where: str, error: Exception, lines: PhysicalLines) -> tuple[str, str]:
    """Code and sentence for a line that is no object: where and why, never what stands there."""
    if undecodable := lines.where_undecodable([record]):
        return "bad_bytes", bad_bytes(lines, line, undecodable[1])
    if isinstance(error, _RepeatedKeyError):
        place = where.rstrip(",").replace("Line", "line").replace("Element", "element")
        return "duplicate_keys", f"{error} ({place}); remove the wrong one."
    what = "each element a whole object" if lines.is_array else "one whole object per line"
    if isinstance(error, msgspec.ValidationError):
        try:
            msgspec.json.decode(record, type=msgspec.Raw)
        except (ValueError, RecursionError) as deeper:
            error = deeper
        else:
            return "not_an_object", f"{where} is JSON, but not an object; write {what}."
    if isinstance(error, RecursionError):
        return "bad_json", f"{where} is nested too deeply to be read; flatten it."
    reason = str(error).removeprefix("JSON is malformed: ")
    return "bad_json", f"{where} is not valid JSON: {reason}; correct it, with {what}."
