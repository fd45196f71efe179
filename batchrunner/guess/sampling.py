"""The start of an export as columns: how it is written is found out, then the product's own readers read it."""

from __future__ import annotations

import codecs
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from batchrunner.config import SourceTable
from batchrunner.errors import SourceError
from batchrunner.guess.dialect import DialectGuess, guess_dialect
from batchrunner.guess.encodings import guess_encoding
from batchrunner.guess.findings import Finding
from batchrunner.guess.head import Head
from batchrunner.guess.looks import is_value
from batchrunner.guess.names import is_a_name
from batchrunner.sources import Declared, open_source

ROWS = 20_000
"""Looked at, of what the head holds."""

_ARRAY = re.compile(r'\[\s*\{\s*(?:"|\})')
_JSONL_ENDINGS = frozenset({".jsonl", ".ndjson", ".json"})
_LOOKED_AT = 500
_NO_TEXT = frozenset(map(chr, range(32))) - frozenset("\t\n\r\x0b\x0c\x1a\x1c\x1d\x1e\x1f")
_TOLD_BY = 100_000
_KINDS_OF_ODD, _MOST_ODD = 8, 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """What the start of an export holds."""

    options: dict[str, Any]
    """Of `[source]`: what differs from the defaults."""
    findings: list[Finding]
    columns: list[str]
    texts: dict[str, list[str]]
    rows: int
    whole: bool
    """The export has no more rows than these."""
    broken: Counter[str] = field(default_factory=Counter)
    """Records that cannot become rows, by code."""
    types: Mapping[str, Declared] = field(default_factory=dict)
    """What the file itself says of its columns."""


def sample_of(head: Head) -> Sample:
    """Find out how an export is written, and read its start. Raises SourceError for one that holds nothing."""
    if not head.data.strip():
        raise SourceError(f"{head.name}: is empty; export it again")
    encoding = guess_encoding(head)
    codec = head.bom_encoding or str(encoding.value)
    start = _whole_lines(head, codec)
    _must_be_text(head.name, start.text)
    options: dict[str, Any] = {}
    findings = [encoding]
    if encoding.value != "utf-8" and not head.bom_encoding:
        options["encoding"] = encoding.value
    if head.bom_encoding and head.bom_encoding != "utf-8":
        options["encoding"] = encoding.value
    if is_json(head, start.text):
        findings.append(_json_finding(head, options))
        return _read(start, options, findings, ".jsonl")
    _csv_options(head, start, options, findings)
    return _read(start, options, findings, ".csv")


def _must_be_text(name: str, text: str) -> None:
    """One kind of odd characters is damage; where there are many kinds, nothing found out would mean anything."""
    odd = [character for character in text[:_TOLD_BY] if character in _NO_TEXT]
    if len(set(odd)) > _KINDS_OF_ODD and len(odd) > _MOST_ODD * len(text[:_TOLD_BY]):
        raise SourceError(f"{name}: is no text, nor a workbook or Parquet file; export it as CSV, JSON Lines or .xlsx")


@dataclass(frozen=True, slots=True)
class _Start:
    """The head as text."""

    text: str
    codec: str
    whole: bool


def _whole_lines(head: Head, codec: str) -> _Start:
    """The head as text, without a last line that may go on behind it. Bytes that are no text are kept."""
    errors = "replace" if _in_wide_units(codec) else "surrogateescape"
    text = codecs.getincrementaldecoder(codec)(errors).decode(head.data, final=head.whole)
    if head.whole:
        return _Start(text, codec, whole=True)
    cut = max(text.rfind("\n"), text.rfind("\r")) + 1
    return _Start(text[:cut] if cut else text, codec, whole=False)


def _in_wide_units(codec: str) -> bool:
    return codec.startswith(("utf-16", "utf-32"))


# --- JSON --------------------------------------------------------------------------------------


def is_json(head: Head, text: str) -> bool:
    """Whether it is read as JSON: by its name, or by how it begins."""
    if PurePath(head.name.lower()).suffix in _JSONL_ENDINGS:
        return True
    start = text.lstrip("\ufeff \t\r\n")
    if _ARRAY.match(start):
        return True
    try:
        return isinstance(json.loads(start.partition("\n")[0]), dict)
    except ValueError:
        return False


def _json_finding(head: Head, options: dict[str, Any]) -> Finding:
    if PurePath(head.name.lower()).suffix in _JSONL_ENDINGS:
        return Finding("format", "jsonl", "sure", "the name of the file says so")
    options["format"] = "jsonl"
    return Finding("format", "jsonl", "sure", "it begins with a JSON object")


# --- CSV ---------------------------------------------------------------------------------------


def _csv_options(head: Head, start: _Start, options: dict[str, Any], findings: list[Finding]) -> None:
    dialect = guess_dialect(start.text.lstrip("\ufeff"), whole=start.whole)
    if PurePath(head.name.lower()).suffix in _JSONL_ENDINGS:
        options["format"] = "csv"
    defaults = SourceTable.model_fields
    written = {
        "delimiter": dialect.delimiter,
        "quote": dialect.quote,
        "escape": dialect.escape,
        "skip_lines": dialect.skip_lines,
        "skip_footer": dialect.skip_footer,
    }
    options.update({key: value for key, value in written.items() if value != defaults[key].default})
    findings.extend(dialect.findings)
    header = guess_header(dialect.records)
    findings.append(header)
    if not header.value:
        options["header"] = False
    elif trailing := _trailing(dialect):
        options["extra_fields"] = "ignore"
        findings.append(trailing)


def guess_header(records: Sequence[Sequence[str]]) -> Finding:
    """Whether the first record names the columns."""
    if not records:
        return Finding("header", value=True, sure="guess", why="there is no record to tell by")
    first, body = records[0], records[1 : _LOOKED_AT + 1]
    names = [cell for cell in first if is_a_name(cell)]
    values = [cell for cell in first if is_value(cell)]
    if names and len(values) * 2 <= len(first):
        why = (
            f"{len(names)} of the {len(first)} cells of the first record are names of columns, as '{names[0].strip()}'"
        )
        return Finding("header", value=True, sure="sure", why=why)
    if values and not names:
        why = f"{len(values)} cells of the first record are values, such as those below them"
        return Finding("header", value=False, sure="likely", why=why)
    said = [cell.strip() for cell in first if cell.strip()]
    again = sum(cell in {row[place].strip() for row in body if place < len(row)} for place, cell in enumerate(first))
    if len(set(said)) < len(said) or again:
        why = "the cells of the first record come again in the records below"
        return Finding("header", value=bool(not again), sure="guess", why=why)
    return Finding("header", value=True, sure="likely", why="nothing in the first record looks like a value")


def _trailing(dialect: DialectGuess) -> Finding | None:
    """Each record ends in a delimiter, and the header does not."""
    if not dialect.records[1:]:
        return None
    width, body = len(dialect.records[0]), dialect.records[1 : _LOOKED_AT + 1]
    longer = [row for row in body if len(row) == width + 1 and not row[-1].strip()]
    if len(longer) < 0.9 * len(body):
        return None
    why = "records end in a delimiter, behind which there is nothing; the header does not"
    return Finding("extra_fields", "ignore", "likely", why)


# --- rows --------------------------------------------------------------------------------------


def _read(start: _Start, options: dict[str, Any], findings: list[Finding], ending: str) -> Sample:
    """The rows, by the very readers that `run` uses."""
    codec, whole = start.codec, start.whole
    as_it_is = {**options, "encoding": codec, "format": "jsonl" if ending == ".jsonl" else "csv"}
    errors = "replace" if _in_wide_units(codec) else "surrogateescape"
    with tempfile.TemporaryDirectory(prefix="batchrunner-") as folder:
        path = Path(folder) / f"start{ending}"
        path.write_bytes(start.text.encode(codec, errors))
        reader = open_source(path, SourceTable(path=path.name, **as_it_is))
        return gathered(reader.columns, reader.chunks(), options, findings, whole=whole)


def _up_to_the_cut(chunks: Iterable[Any], *, whole: bool) -> Iterator[Any]:
    """The chunks; an array that has no end because only its start was read is no damage."""
    given = 0
    try:
        for chunk in chunks:
            yield chunk
            given += 1
    except SourceError:
        if whole or not given:
            raise


def gathered(  # noqa: PLR0913  what was found out so far
    columns: Sequence[str],
    chunks: Iterable[Any],
    options: dict[str, Any],
    findings: list[Finding],
    *,
    whole: bool,
    most: int = ROWS,
    types: Mapping[str, Declared] | None = None,
) -> Sample:
    """The columns of the first rows, `most` of them or a few more."""
    texts: dict[str, list[str]] = {column: [] for column in columns}
    rows, broken = 0, Counter[str]()
    for chunk in _up_to_the_cut(chunks, whole=whole):
        for column, found in texts.items():
            found.extend(chunk.texts(column))
        rows += len(chunk.rows)
        broken.update(each.code for each in chunk.broken)
        if rows >= most:
            whole = False
            break
    return Sample(options, findings, list(columns), texts, rows, whole, broken, types or {})
