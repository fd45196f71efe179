"""Conditions on a row, as `{Country} == RU and ({Age} >= 18 or {VIP} not empty)`: read once, then asked per row.

    condition   = and-part { "or" and-part }
    and-part    = part { "and" part }
    part        = "not" part | "(" condition ")" | operand test
    test        = ("==" | "!=" | "<" | "<=" | ">" | ">=") operand
                | ["not"] "in" "[" operand { "," operand } "]"
                | ["is"] ["not"] "empty"
    operand     = {Column|filters} | 'text' | "text" | word or number

`==`, `!=` and `in` compare texts, without white space around them; the other signs compare numbers, or days written as
2024-12-31. A hand-written reader of this one grammar: nothing of a job file is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

from batchrunner.mapping.problems import shape
from batchrunner.mapping.templates import PLACEHOLDER, Placeholder, placeholder

Texts = Sequence[str]
Test = Callable[[Texts], bool]
"""Decides by the texts of the condition's columns. Raises ValueError where a text cannot be compared."""

_DEEPEST = 50
_TOKEN = re.compile(
    rf"""\s*+(?:{PLACEHOLDER}|'([^']*+)'|"([^"]*+)"|(==|!=|<=|>=|[<>()\[\],])|([^\s{{}}'"=!<>()\[\],]++))""", re.DOTALL
)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXAMPLE = "write it as in {Country} == RU and {Age} >= 18"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that can be asked. Equal texts of its columns, equal answers."""

    columns: tuple[str, ...]
    """The columns it reads, each once."""
    holds: Test
    """Takes one text per column. Raises ValueError with a sentence about the column that cannot be compared."""


def parse_condition(text: str) -> Condition:
    """Read a condition. Raises ValueError with what is wrong in it."""
    reader = _Reader(_tokens(text))
    test = reader.condition(0)
    reader.expect_end()
    if not reader.columns:
        raise ValueError(f"names no {{Column}}; {_EXAMPLE}")
    return Condition(tuple(reader.columns), test)


# --- words -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of the condition: a sign or keyword (`word` in lower case), or an operand."""

    written: str
    word: str = ""
    operand: str | Placeholder | None = None


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"has a part that cannot be read: {text[place:end].strip()[:20]}; {_EXAMPLE}")
        tokens.append(_token(found))
        place = found.end()
    return tokens


def _token(found: re.Match[str]) -> _Token:
    column, filters, single, double, sign, bare = found.groups()
    written = found[0].strip()
    if column is not None:
        return _Token(written, operand=placeholder(column, filters))
    if sign is not None:
        return _Token(written, sign)
    if bare is not None:
        return _Token(written, bare.lower(), bare)
    return _Token(written, operand=single if single is not None else double)


_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "empty"})

# --- grammar -----------------------------------------------------------------------------------

_Get = Callable[[Texts], str]


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison: a constant text, or the text of a placeholder."""

    get: _Get
    constant: str | None
    subject: str


class _Reader:
    """Walks the words from left to right; each method reads one rule of the grammar."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self.columns: list[str] = []

    def condition(self, depth: int) -> Test:
        tests = [self._conjunction(depth)]
        while self._take("or"):
            tests.append(self._conjunction(depth))
        return tests[0] if len(tests) == 1 else lambda texts: any(test(texts) for test in tests)

    def _conjunction(self, depth: int) -> Test:
        tests = [self._part(depth)]
        while self._take("and"):
            tests.append(self._part(depth))
        return tests[0] if len(tests) == 1 else lambda texts: all(test(texts) for test in tests)

    def _part(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise ValueError(f"is nested more than {_DEEPEST} deep; say it in a simpler way")
        if self._take("not"):
            return _not(self._part(depth + 1))
        if self._take("("):
            inner = self.condition(depth + 1)
            self._expect(")")
            return inner
        return self._test(self._operand())

    def _test(self, left: _Operand) -> Test:
        if sign := self._take(*_ORDERS):
            return _order(left, sign, self._operand())
        if sign := self._take("==", "!="):
            equal = _equal(left, self._operand())
            return equal if sign == "==" else _not(equal)
        named = self._take("is")
        denied = self._take("not")
        if not named and self._take("in"):
            found = _among(left, self._list())
        elif self._take("empty"):
            found = _empty(left)
        else:
            raise ValueError(
                f"has {self._here()} where a sign is expected (==, !=, <, <=, >, >=, in, empty); {_EXAMPLE}"
            )
        return _not(found) if denied else found

    def _list(self) -> list[_Operand]:
        self._expect("[")
        items = [self._operand()]
        while self._take(","):
            items.append(self._operand())
        self._expect("]")
        return items

    def _operand(self) -> _Operand:
        token = self._tokens[self._place] if self._place < len(self._tokens) else None
        if token is None or token.operand is None or token.word in _KEYWORDS:
            raise ValueError(
                f"has {self._here()} where a {{Column}} or a value is expected; quote a value that is a word of the "
                f"language; {_EXAMPLE}"
            )
        self._place += 1
        if isinstance(token.operand, str):
            constant = token.operand.strip()
            return _Operand(lambda _: constant, constant, f"'{constant}'")
        return self._placeholder(token.operand)

    def _placeholder(self, one: Placeholder) -> _Operand:
        if one.column not in self.columns:
            self.columns.append(one.column)
        place, apply, subject = self.columns.index(one.column), one.chain.apply, f"column '{one.column}'"

        def get(texts: Texts) -> str:
            try:
                return apply(texts[place]).strip()
            except ValueError as error:
                raise ValueError(f"{subject}: '{shape(texts[place])}' {error}") from None

        return _Operand(get, None, subject)

    # --- one word ---

    def _take(self, *words: str) -> str | None:
        if self._place < len(self._tokens) and self._tokens[self._place].word in words:
            self._place += 1
            return self._tokens[self._place - 1].word
        return None

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise ValueError(f"has {self._here()} where '{word}' is expected; {_EXAMPLE}")

    def expect_end(self) -> None:
        if self._place < len(self._tokens):
            raise ValueError(f"has {self._here()} where 'and' or 'or' is expected; quote texts of several words")

    def _here(self) -> str:
        return f"'{self._tokens[self._place].written}'" if self._place < len(self._tokens) else "its end"


# --- tests -------------------------------------------------------------------------------------


def _not(test: Test) -> Test:
    return lambda texts: not test(texts)


def _equal(left: _Operand, right: _Operand) -> Test:
    one, other = left.get, right.get
    return lambda texts: one(texts) == other(texts)


def _among(left: _Operand, items: Sequence[_Operand]) -> Test:
    get = left.get
    if all(item.constant is not None for item in items):
        constants = frozenset(item.constant for item in items)
        return lambda texts: get(texts) in constants
    return lambda texts: get(texts) in [item.get(texts) for item in items]


def _empty(operand: _Operand) -> Test:
    get = operand.get
    return lambda texts: not get(texts)


def _order(left: _Operand, sign: str, right: _Operand) -> Test:
    """Compare numbers or days. An empty cell is neither more nor less than anything."""
    for side in (left, right):
        if side.constant is not None:
            _comparable(side.constant, side.subject)
    compare = _ORDERS[sign]

    def holds(texts: Texts) -> bool:
        one, other = left.get(texts), right.get(texts)
        if not one or not other:
            return False
        first, second = _comparable(one, left.subject), _comparable(other, right.subject)
        if type(first) is not type(second):
            raise ValueError(f"{left.subject} and {right.subject} are not both numbers or both days")
        return compare(first, second)

    return holds


def _comparable(text: str, subject: str) -> Decimal | date:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError(f"{subject}: '{shape(text)}' is neither a number nor a day such as 2024-12-31")
