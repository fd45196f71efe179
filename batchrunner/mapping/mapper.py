"""A chunk of rows to requests: values first, then bodies, payloads and keys, a whole chunk at each step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from batchrunner.config import ANY_OF, SEARCH_FIELDS, Job
from batchrunner.keys import KeyMaker
from batchrunner.mapping.compiling import Plan
from batchrunner.mapping.parts import Constant, Part, Sheet, Values, shape_of_object
from batchrunner.mapping.problems import Problem
from batchrunner.model import Request, Row, Source, Unusable

if TYPE_CHECKING:  # pandas is a big import, and linting a mapping needs none of it
    from batchrunner.chunks import Chunk

SOURCE_COLUMN, ROW_COLUMN = "_source", "_row"
"""What a result file calls the fingerprint and the row number of where a row came from."""

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_ROW_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_encode = msgspec.json.Encoder().encode  # the parts see to the order of keys


class RowMapper:
    """The Mapper of one job and one source."""

    def __init__(self, job: Job, source: Source, plan: Plan) -> None:
        """Fix the order of the body's fields once."""
        self._search = plan.search
        self._parts = {**plan.search, **plan.body, **plan.constants}
        self._order = sorted(self._parts)
        self._body = shape_of_object(self._order)
        self._any_of = job.request.matching in ANY_OF
        self._search_fields = SEARCH_FIELDS[job.request.matching]
        self._keys = KeyMaker(job.name, job.target.origin, job.request.matching, job.rules.repeat)
        self._fed_back = job.rules.repeat == "file"
        self._fingerprint = source.fingerprint
        self._columns = tuple(dict.fromkeys(c for part in self._parts.values() for c in part.columns))

    def map(self, chunk: Chunk) -> list[Request | Unusable]:
        """One Request or Unusable per row of the chunk, in row order."""
        if not chunk.rows:
            return []
        sheet = Sheet(chunk)
        values = {name: part.values(sheet) for name, part in self._parts.items()}
        if self._any_of:
            self._note_missing_search(values, sheet)
        bodies = map(self._body, *[values[name] for name in self._order])
        payloads = self._payloads(list(bodies), sheet)
        key_of = self._keys.key
        keys = [
            key_of(search, payload, fingerprint, number)
            for search, payload, (fingerprint, number) in zip(
                self._search_texts(values, len(chunk)), payloads, self._origins(chunk), strict=True
            )
        ]
        ends: list[Request | Unusable] = list(map(Request, keys, chunk.rows, payloads))
        for place, problems in sheet.problems.items():
            ends[place] = _unusable(chunk.rows[place], problems)
        return ends

    # --- search values ---

    def _note_missing_search(self, values: dict[str, Values], sheet: Sheet) -> None:
        """With several ways to look a profile up, a row needs one of them."""
        named = list(self._search.values())
        for place, row in enumerate(zip(*(values[name] for name in self._search), strict=True)):
            if all(value is UNSET for value in row) and place not in sheet.problems:
                columns = " and ".join(f"'{column}'" for part in named for column in part.columns)
                text = f"columns {columns} are empty, and the profile is looked up by one of them"
                sheet.note(place, Problem("missing", text))

    def _search_texts(self, values: dict[str, Values], rows: int) -> Iterable[tuple[str, ...]]:
        """What keys are made of, in documented order; a field that is left out counts as the empty text."""
        columns = [_texts(self._search.get(name), values.get(name, []), rows) for name in self._search_fields]
        return zip(*columns, strict=True)

    # --- payloads ---

    def _payloads(self, bodies: Sequence[msgspec.Struct], sheet: Sheet) -> list[bytes]:
        try:
            return list(map(_encode, bodies))
        except UnicodeEncodeError:  # rare: bytes that were no text and came through as lone surrogates
            return [self._payload(place, body, sheet) for place, body in enumerate(bodies)]

    def _payload(self, place: int, body: msgspec.Struct, sheet: Sheet) -> bytes:
        try:
            return _encode(body)
        except UnicodeEncodeError:
            for column in self._columns:
                if _SURROGATE.search(sheet.chunk.texts(column)[place]):
                    sheet.note(place, Problem("bad_text", f"column '{column}' holds bytes that are not text"))
            return b""

    # --- where rows come from ---

    def _origins(self, chunk: Chunk) -> Iterable[tuple[str, int]]:
        """Fingerprint and row number for keys. A row of a fed-back result file keeps those of its first file."""
        if not self._fed_back:  # keys do not ask
            return repeat((self._fingerprint, 0), len(chunk))
        marks = zip(chunk.rows, chunk.texts(SOURCE_COLUMN), chunk.texts(ROW_COLUMN), strict=True)
        return [self._origin(row, source, number) for row, source, number in marks]

    def _origin(self, row: Row, source: str, number: str) -> tuple[str, int]:
        if _FINGERPRINT.fullmatch(source) and _ROW_NUMBER.fullmatch(number):
            return source, int(number)
        return self._fingerprint, row.number


def _texts(part: Part | None, values: Values, rows: int) -> list[str]:
    if part is None:
        return [""] * rows
    if isinstance(part, Constant):  # its values are already encoded
        return [str(part.value)] * rows
    return ["" if value is UNSET else str(value) for value in values]


def _unusable(row: Row, problems: Sequence[Problem]) -> Unusable:
    texts = dict.fromkeys(problem.text for problem in problems)
    return Unusable(row, problems[0].code, "; ".join(texts))
