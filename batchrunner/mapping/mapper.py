"""A chunk of rows to requests: values first, then bodies, payloads and keys, a whole chunk at each step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from msgspec import UNSET

from batchrunner.config import ANY_OF, AS_IT_STANDS, SEARCH_FIELDS, Job
from batchrunner.endpoints import BATCH_BYTES, FILES_BYTES
from batchrunner.keys import KeyMaker
from batchrunner.mapping.compiling import LeafPart, Plan
from batchrunner.mapping.conditions import Condition
from batchrunner.mapping.damage import NULLS
from batchrunner.mapping.distinct import each_once
from batchrunner.mapping.parts import Constant, Object, Values
from batchrunner.mapping.problems import Problem
from batchrunner.mapping.repairs import Notebook, TextMender
from batchrunner.mapping.sheet import Sheet
from batchrunner.mapping.texts import mapping_text
from batchrunner.model import Filtered, Mapped, Request, Row, Source, Unusable

if TYPE_CHECKING:  # pandas is a big import, and linting a mapping needs none of it
    from batchrunner.chunks import Chunk

SOURCE_COLUMN, ROW_COLUMN = "_source", "_row"
"""What a result file calls the fingerprint and the row number of where a row came from."""

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_ROW_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class RowMapper:
    """The Mapper of one job and one source."""

    def __init__(self, job: Job, source: Source, plan: Plan, notebook: Notebook | None = None) -> None:
        """Join the fields of the body once. Damaged cells are written down in the notebook."""
        self._search = plan.search
        self._body = Object({**plan.search, **plan.body, **plan.constants})
        self._when = plan.when
        self._any_of = job.request.matching in ANY_OF
        self._search_fields = SEARCH_FIELDS[job.request.matching]
        self._keys = KeyMaker(job.name, job.target.keyed_as, job.request.matching, job.rules.repeat)
        self._in_xml = job.target.format == "xml"
        self._most_bytes = job.target.max_bytes or (FILES_BYTES if job.request.attach else BATCH_BYTES)
        self._fed_back = job.rules.repeat == "file"
        self._fingerprint = source.fingerprint
        self._mender = None if job.repair == AS_IT_STANDS else TextMender(job.repair, _words_of(job))
        self._notebook = notebook

    def map(self, chunk: Chunk) -> list[Mapped]:
        """One Request, Unusable or Filtered per row of the chunk, in row order."""
        if not chunk.rows:
            return []
        if self._when is None:
            return list(self._requests(Sheet(chunk, None, self._mender, self._notebook)))
        return self._those_that_pass(chunk, self._when)

    def _those_that_pass(self, chunk: Chunk, when: Condition) -> list[Mapped]:
        answers = _answers(when, Sheet(chunk, mender=self._mender))
        passing = [answer is True for answer in answers]
        sent = iter(self._requests(Sheet(chunk, passing, self._mender, self._notebook)))
        return [
            _unusable(row, [answer]) if isinstance(answer, Problem) else next(sent) if answer else Filtered(row)
            for row, answer in zip(chunk.rows, answers, strict=True)
        ]

    def _requests(self, sheet: Sheet) -> list[Mapped]:
        if not sheet.rows:
            return []
        searches = self._search_texts(sheet)  # first: of several problems, theirs is the one to count by
        payloads = self._body.pieces(sheet, b"", b"")
        if self._any_of:
            self._note_missing_search(sheet)
        if max(map(len, payloads)) > self._most_bytes:
            _note_what_is_too_large(payloads, self._most_bytes, sheet)
        if self._in_xml:
            _note_what_xml_cannot_say(payloads, sheet)
        keys = self._keys.keys(searches, payloads, self._origins(sheet))
        ends: list[Mapped] = list(map(Request, keys, sheet.rows, payloads))
        for place, problems in sheet.problems.items():
            ends[place] = _unusable(sheet.rows[place], problems)
            if self._notebook:
                blamed = {(column, problem.code) for problem in problems for column in problem.columns}
                self._notebook.repairs.problems.update(blamed)
        return ends

    # --- search values ---

    def _note_missing_search(self, sheet: Sheet) -> None:
        """With several ways to look a profile up, a row needs one of them."""
        named = list(self._search.values())
        values = [_values(part, sheet) for part in named]
        for place, row in enumerate(zip(*values, strict=True)):
            if all(value is UNSET for value in row) and place not in sheet.problems:
                columns = " and ".join(f"'{column}'" for part in named for column in part.columns)
                text = f"columns {columns} are empty, and the profile is looked up by one of them"
                sheet.note(place, Problem("missing", text, tuple(column for part in named for column in part.columns)))

    def _search_texts(self, sheet: Sheet) -> list[list[str]]:
        """What keys are made of: a column a field in documented order; a field that is left out is the empty text."""
        return [_texts(self._search.get(name), sheet) for name in self._search_fields]

    # --- where rows come from ---

    def _origins(self, sheet: Sheet) -> Iterable[tuple[str, int]]:
        """Fingerprint and row number for keys. A row of a fed-back result file keeps those of its first file."""
        if not self._fed_back:  # keys do not ask
            return ()
        marks = zip(sheet.rows, sheet.texts(SOURCE_COLUMN), sheet.texts(ROW_COLUMN), strict=True)
        return [self._origin(row, source, number) for row, source, number in marks]

    def _origin(self, row: Row, source: str, number: str) -> tuple[str, int]:
        if _FINGERPRINT.fullmatch(source) and _ROW_NUMBER.fullmatch(number):
            return source, int(number)
        return self._fingerprint, row.number


def _note_what_is_too_large(payloads: Sequence[bytes], most_bytes: int, sheet: Sheet) -> None:
    """Each file may be small enough, and all of a row together too large for one request."""
    for place, payload in enumerate(payloads):
        if len(payload) > most_bytes:
            text = (
                f"the request would have {len(payload)} bytes, and the platform takes {most_bytes}; attach less, "
                "upload files once (upload = true), or set target.max_bytes if it takes more"
            )
            sheet.note(place, Problem("too_large", text))


_NOT_IN_XML = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:[bf]|u00[01][0-9a-f])|\xef\xbf[\xbe\xbf]")
"""In canonical JSON: the characters that XML has no way to write, control characters but for white space."""


def _note_what_xml_cannot_say(payloads: Sequence[bytes], sheet: Sheet) -> None:
    for place, payload in enumerate(payloads):
        if _NOT_IN_XML.search(payload):
            sheet.note(place, Problem("not_in_xml", "a cell holds a control character, which XML cannot carry"))


def _values(part: Constant | LeafPart, sheet: Sheet) -> Values:
    return [part.value] * len(sheet) if isinstance(part, Constant) else part.values(sheet)


def _texts(part: Constant | LeafPart | None, sheet: Sheet) -> list[str]:
    if part is None:
        return [""] * len(sheet)
    values = _values(part, sheet)
    if set(map(type, values)) == {str}:
        return cast("list[str]", values)
    return ["" if value is UNSET else str(value) for value in values]


def _answers(when: Condition, sheet: Sheet) -> list[bool | Problem]:
    """Whether each row is to be sent; the condition is asked once per distinct row of its columns."""

    def ask(texts: tuple[str, ...]) -> bool | Problem:
        try:
            return when.holds(texts)
        except ValueError as error:
            return Problem("bad_when", f"{error}; `when` cannot be decided")

    return each_once(list(zip(*map(sheet.texts, when.columns), strict=True)), ask)


def _words_of(job: Job) -> frozenset[str]:
    """The words for nothing that the job itself speaks of, as in a map or a condition: they mean what it says."""
    text = mapping_text(job)
    return frozenset(word for word in NULLS if json.dumps(word)[1:-1] in text)


def _unusable(row: Row, problems: Sequence[Problem]) -> Unusable:
    texts = dict.fromkeys(problem.text for problem in problems)
    return Unusable(row, problems[0].code, "; ".join(texts))
