"""A JSON array as its elements, one after the other, in flat memory: nothing is decoded, only ends are found.

Broken elements are given like whole ones, for the reader to judge; the next one is found again where it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from batchrunner.sources.lines import BLOCK_CHARS, MAX_LINE_BYTES, PhysicalLines
from batchrunner.sources.packed import DamagedError

Element = tuple[int, str]
"""The line on which a record begins, and its text."""

_BETWEEN = re.compile(r"[\s,\ufeff]*")
_TEXT = r'"(?:[^"\\]++|\\.)*+"'
_INNER_OBJECT = rf'\{{(?:[^{{}}\[\]"]++|{_TEXT})*+\}}'
_INNER_LIST = rf'\[(?:[^{{}}\[\]"]++|{_TEXT}|{_INNER_OBJECT})*+\]'
_SHALLOW = re.compile(
    rf'\{{(?:[^{{}}\[\]":]++|{_TEXT}|:\s*+(?:{_INNER_OBJECT}|{_INNER_LIST})?+)*+\}}',
    re.DOTALL,
)
"""An object with no more than one level of others in it: what most are, found in one go."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_SCALAR = re.compile(r'(?:"(?:[^"\\\r\n]++|\\[^\r\n])*+"?|[^,\[\]{}"\r\n])+')
_LINE_END = re.compile(r"\r\n|\r|\n")
_LEAST = 1 << 16


def elements(lines: PhysicalLines) -> Iterator[Element]:
    """Each element with its line. Raises DamagedError when the array has no end, after what came before it."""
    yield from _Array(lines)


class _Array:
    """The part of the text that is not yet given, and where it is."""

    def __init__(self, lines: PhysicalLines) -> None:
        self._lines = lines
        self._text = ""
        self._at = 0
        self._ended = False
        self._open = False
        self._begin: re.Pattern[str] | None = None
        """A line end and how the lines of elements begin, once one stood at the start of a line."""
        self._limit = MAX_LINE_BYTES

    def __iter__(self) -> Iterator[Element]:
        while self._come_to_next():
            line, end = self._lines.taken + 1, self._end_of_element()
            if self._ended and end == len(self._text) and self._lines.file.fault:
                break  # half an element is no record
            yield line, self._take(end)
        if self._lines.file.fault:
            raise self._lines.file.fault
        if self._open:
            raise DamagedError(
                f"{self._lines.file.path}: the JSON array has no end, so the file is cut off; "
                f"the rows up to here were read, get the file again for the rest"
            )

    # --- between elements ---

    def _come_to_next(self) -> bool:
        """Go to the first character of the next element, over commas and the brackets of the array itself."""
        gap = ""
        while True:
            gap += self._take(self._between())
            self._learn_how_elements_begin(gap)
            if self._at == len(self._text):
                if not self._more():
                    return False
            elif self._text[self._at] == "]" and self._open:
                self._open = False
                self._take(self._at + 1)
            elif self._text[self._at] == "[" and not self._open:
                self._open = True
                self._take(self._at + 1)
            else:
                return True

    def _between(self) -> int:
        found = _BETWEEN.match(self._text, self._at)
        return found.end() if found else self._at

    def _take(self, end: int) -> str:
        """Give the text up to `end`, and count its lines."""
        taken = self._text[self._at : end]
        if "\n" in taken or "\r" in taken:
            self._lines.taken += len(_LINE_END.findall(taken))
        self._at = end
        return taken

    def _more(self) -> bool:
        """Read on; what was given is let go. More at once when an element is long: it is looked at again each time."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        self._at = 0
        more = self._lines.characters(max(BLOCK_CHARS, len(rest)))
        self._text = rest + more
        self._ended = not more
        return bool(more)

    # --- an element ---

    def _end_of_element(self) -> int:
        if self._text[self._at] not in "{[":
            return self._end_of_scalar()
        while True:
            whole = _SHALLOW.match(self._text, self._at)
            if whole and self._begins_within(self._at, whole.end()) is None:
                return whole.end()
            end = self._end_by_brackets()
            if end is not None:
                return end
            if len(self._text) - self._at > self._limit or not self._more():
                return self._end_of_the_lost()

    def _end_of_scalar(self) -> int:
        while True:
            found = _SCALAR.match(self._text, self._at)
            end = found.end() if found else self._at + 1  # a closing bracket of nothing
            if end < len(self._text) or len(self._text) - self._at > self._limit or not self._more():
                return end

    def _learn_how_elements_begin(self, gap: str) -> None:
        """From what stands in front of one."""
        if self._begin is None and self._text[self._at : self._at + 1] == "{" and ("\n" in gap or "\r" in gap):
            indent = _LINE_END.split(gap)[-1]
            self._begin = re.compile(rf"(?:\r\n|\r|\n){re.escape(indent)}(?=\{{)")

    def _begins_within(self, start: int, end: int) -> int | None:
        """Where the next element begins although this one has not ended: a line that begins as elements do."""
        found = self._begin.search(self._text, start, end) if self._begin else None
        return None if found is None else found.start()

    def _end_by_brackets(self) -> int | None:
        """Behind the bracket that closes the element, or in front of what cannot be part of it; None: read on."""
        closes: list[str] = []
        before = ""
        for token in _TOKEN.finditer(self._text, self._at):
            sign = token[0]
            if sign[0] == '"':
                if (cut := self._cut_in_string(token)) is not None:
                    return cut
            elif sign in "{[":
                if closes and closes[-1] == "}" and before != ":":
                    return token.start()  # an object needs a key here: the one before was never closed
                closes.append("}" if sign == "{" else "]")
            elif sign in "}]":
                if sign not in closes:
                    return token.start()  # the end of the array
                while closes.pop() != sign:
                    pass
                if not closes:
                    return token.end()
            before = sign
        return None

    def _cut_in_string(self, token: re.Match[str]) -> int | None:
        """A text that runs on over the beginning of the next element was never closed."""
        if "\n" not in token[0] and "\r" not in token[0]:
            return None
        return self._begins_within(token.start(), token.end())

    def _end_of_the_lost(self) -> int:
        """The element has no end as far as we look: it ends where the next one may begin, or with its line."""
        self._limit = max(self._limit // 2, _LEAST)
        begins = self._begins_within(self._at + 1, len(self._text))
        if begins is not None:
            return begins
        line_end = _LINE_END.search(self._text, self._at)
        return line_end.start() if line_end else len(self._text)
