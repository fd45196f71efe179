"""What the values of a column look like: e-mail addresses, phones, dates, numbers, words for yes and no, lists."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from batchrunner.guess.dates import DateForm, date_form
from batchrunner.guess.findings import percent
from batchrunner.mapping.phones import region_of
from batchrunner.sources import Declared

Kind = Literal["empty", "email", "phone", "date", "bool", "int", "float", "json", "list", "url", "ip", "text"]

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")
_PHONE = re.compile(r"[+(]?\d[\d\s().\-\u00a0/]{4,22}\d")
_FRACTION = re.compile(r"[+-]?\d{1,6}[.,]\d+")
"""Latitudes and prices are as long as phones, and valid somewhere in the world."""
_INT = re.compile(r"[+-]?\d{1,18}")
_FLOAT = {sign: re.compile(rf"[+-]?\d*{re.escape(sign)}\d+|[+-]?\d+") for sign in ".,"}
_GROUPED = {sign: re.compile(rf"[+-]?\d{{1,3}}(?:[ \u00a0]\d{{3}})+(?:{re.escape(sign)}\d+)?") for sign in ".,"}
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
YES_NO: tuple[tuple[str, str], ...] = (
    ("да", "нет"), ("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("1", "0"), ("+", "-"), ("on", "off"),
    ("истина", "ложь"), ("вкл", "выкл"), ("д", "н"), ("subscribed", "unsubscribed"), ("active", "inactive"),
)  # fmt: skip
_MOST_YES_NO = 20
"""Several pairs of words may be mixed, each in several cases."""
_MOST_WORDS = 3
"""Of an item of a list."""
REGIONS = ("RU", "US", "GB", "DE", "UA", "BY", "KZ", "FR", "IT", "ES", "PL", "NL", "TR", "IN", "BR", "UZ", "GE", "AM")
"""Tried where numbers name no country; whatever the numbers themselves name comes first."""
_TRIED = 200
_NEARLY_ALL = 0.95
_FEW_VALID, _MANY_VALID = 0.3, 0.7
_LOOKED_AT = 4_000
_MOST = 0.6


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in a column."""

    kind: Kind
    rows: int
    filled: int
    distinct: int
    share: float = 1.0
    """Of the filled cells, those that are what the kind says."""
    why: str = ""
    options: dict[str, object] = field(default_factory=dict)
    """Of the conversion that reads it."""
    date: DateForm | None = None
    evidence: tuple[str, ...] = ()

    @property
    def unique(self) -> bool:
        """Each filled cell is another."""
        return self.filled > 0 and self.distinct == self.filled


Hint = Literal["email", "phone", "date", "id", "name", ""]
"""What the header says the values are, as far as it bears on reading them."""


def look_at(texts: Sequence[str], hint: Hint, regions: Sequence[str], declared: Declared | None = None) -> Look:
    """What a column looks like. `regions` are countries to try for phones that name none, likeliest first.

    `declared` is what the file itself says of it: texts that look like numbers are texts there.
    """
    values = [text.strip() for text in texts if text and not text.isspace()]
    distinct = dict.fromkeys(values)
    if not values:
        return Look("empty", len(texts), 0, 0, why="all its cells are empty")
    column = _Column(len(texts), values, list(distinct), hint, regions, declared)
    found = (look for test in _TESTS if (look := test(column)) is not None)
    return next(found, None) or column.look("text", len(values), _count_of(distinct))


def _count_of(distinct: Collection[str]) -> str:
    return f"{len(distinct)} different texts" if len(distinct) > 1 else "the same text in all filled cells"


@dataclass(frozen=True, slots=True)
class _Column:
    """The filled cells of a column."""

    rows: int
    values: list[str]
    distinct: list[str]
    hint: Hint
    regions: Sequence[str]
    declared: Declared | None = None

    def look(self, kind: Kind, count: int, why: str, options: dict[str, object] | None = None) -> Look:
        share = min(1.0, count / len(self.values))
        return Look(kind, self.rows, len(self.values), len(self.distinct), share, why, options or {})

    def matching(self, pattern: re.Pattern[str]) -> int:
        return sum(pattern.fullmatch(value) is not None for value in self.values)

    def says(self, count: int, what: str) -> str:
        return f"{percent(count, len(self.values))} of its filled cells are {what}"


# --- one test for each kind, the most telling first ---------------------------------------------


def _as_declared(column: _Column) -> Look | None:
    if column.declared != "bool":
        return None
    return column.look("bool", len(column.values), "the file declares it so", {"true": ["true"], "false": ["false"]})


def _emails(column: _Column) -> Look | None:
    count = sum(_EMAIL.search(value) is not None for value in column.values)
    if count < len(column.values) * (0.3 if column.hint == "email" else _MOST):
        return None
    return column.look("email", count, column.says(count, "e-mail addresses"))


def _urls(column: _Column) -> Look | None:
    count = column.matching(_URL)
    return (
        column.look("url", count, column.says(count, "web addresses")) if count > _MOST * len(column.values) else None
    )


def _addresses_of_machines(column: _Column) -> Look | None:
    if not all(re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", value) for value in column.distinct[:20]):
        return None
    count = sum(map(_is_ip, column.values))
    return column.look("ip", count, column.says(count, "IP addresses")) if count > _MOST * len(column.values) else None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _structures(column: _Column) -> Look | None:
    if not all(value[0] in "[{" for value in column.distinct[:20]):
        return None
    count = sum(map(_is_json, column.values[:_LOOKED_AT])) * len(column.values) // min(_LOOKED_AT, len(column.values))
    return column.look("json", count, column.says(count, "JSON")) if count > _MOST * len(column.values) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _dates(column: _Column) -> Look | None:
    if column.hint in ("phone", "id", "email"):
        return None
    found = date_form(column.distinct, expected=column.hint == "date")
    if found is None:
        return None
    why = f"{percent(found.read, found.of)} of its different values are dates in the form {found.form}"
    if found.also:
        why = f"its dates can be read as {found.form} and as {found.also}: no value tells days from months"
    if found.serials:
        why += f"; {found.serials} are days as a spreadsheet counts them"
    evidence = (f"{found.form} reads {found.read} of {found.of} different values",)
    look = column.look("date", round(found.share * len(column.values)), why)
    return replace(look, date=found, evidence=evidence)


def _words_for_yes_and_no(column: _Column) -> Look | None:
    words = {value.casefold() for value in column.distinct[:_MOST_YES_NO]}
    if len(column.distinct) > _MOST_YES_NO or column.hint in ("id", "name"):
        return None
    true = [yes for yes, _ in YES_NO if yes in words]
    false = [no for _, no in YES_NO if no in words]
    if words != {*true, *false} or not true or not false:
        return None
    why = f"it holds nothing but {' and '.join(sorted(words))}"
    return column.look("bool", len(column.values), why, {"true": true, "false": false})


def _phones(column: _Column) -> Look | None:
    expected = column.hint == "phone"
    like = column.distinct if expected else [value for value in column.distinct if _like_a_phone(value)]
    if column.hint in ("id", "date", "name") or (not expected and len(like) < _MOST * len(column.distinct)):
        return None
    tried = like[:: max(1, len(like) // _TRIED)]
    region, valid, evidence = _best_region(tried, column.regions)
    if valid <= (_FEW_VALID if expected else _MANY_VALID) * len(tried):
        return None  # a header alone makes no phone of a person's name
    if not expected and not _written_as_phones(tried):
        return None
    count = round(len(column.values) * valid / max(1, len(tried)))
    options: dict[str, object] = {} if region is None else {"region": region}
    look = column.look("phone", count, column.says(count, "valid phone numbers"), options)
    return replace(look, evidence=evidence)


def _like_a_phone(value: str) -> bool:
    return _PHONE.fullmatch(value) is not None and not _FRACTION.fullmatch(value)


def _best_region(values: Sequence[str], regions: Sequence[str]) -> tuple[str | None, int, tuple[str, ...]]:
    """The country that makes most of these valid. None where each of them names its own."""
    named = Counter(found for value in values if (found := region_of(value, None)))
    bare = [value for value in values if region_of(value, None) is None]
    international = sum(value.lstrip().startswith("+") for value in values)
    told = [region for region, _ in named.most_common(3)]
    order = list(dict.fromkeys((*told, *regions, *REGIONS)))
    counts = _valid_in(bare, order)
    evidence = [f"{international} of {len(values)} begin with +"]
    evidence += [f"read in {region}, {count} of the others are valid" for region, count in counts.items() if count][:4]
    if not counts or not max(counts.values()):
        main = named.most_common(1)
        return (main[0][0] if main else None), sum(named.values()), tuple(evidence)
    best = max(counts, key=counts.__getitem__)
    return best, sum(named.values()) + counts[best], tuple(evidence)


def _valid_in(values: Sequence[str], regions: Sequence[str]) -> dict[str, int]:
    """How many are valid in each region, up to the first that makes nearly all of them so."""
    counts: dict[str, int] = {}
    for region in regions if values else ():
        counts[region] = sum(region_of(value, region) is not None for value in values)
        if counts[region] > _NEARLY_ALL * len(values):
            break
    return counts


def _written_as_phones(values: Sequence[str]) -> bool:
    """By a plus, blanks, brackets or hyphens, or by a length that only phones have: ids are plain numbers."""
    dressed = sum(not value.isdigit() for value in values)
    long = sum(value.isdigit() and len(value) in (10, 11, 12) for value in values)
    return dressed > 0.5 * len(values) or dressed + long > 0.9 * len(values)


def _numbers(column: _Column) -> Look | None:
    if column.hint in ("phone", "date") or column.declared == "text":
        return None
    whole = column.matching(_INT)
    if any(re.fullmatch(r"0\d+", value) for value in column.distinct):
        return None  # leading zeros: an id
    if whole == len(column.values):
        return column.look("int", whole, column.says(whole, "whole numbers"))
    counts = {sign: column.matching(_FLOAT[sign]) for sign in ".,"}
    sign = max(counts, key=counts.__getitem__)
    if counts[sign] > 0.9 * len(column.values):
        name = {".": "point", ",": "comma"}[sign]
        why = column.says(counts[sign], f"numbers with a decimal {name}")
        return column.look("float", counts[sign], why, _decimal(sign))
    grouped = {sign: counts[sign] + column.matching(_GROUPED[sign]) for sign in ".,"}
    sign = max(grouped, key=grouped.__getitem__)
    if grouped[sign] > 0.9 * len(column.values):
        why = column.says(grouped[sign], "numbers whose thousands are set apart")
        return column.look("float", grouped[sign], why, {"grouped": True, **_decimal(sign)})
    return None


def _decimal(sign: str) -> dict[str, object]:
    return {} if sign == "." else {"decimal": sign}


def _lists(column: _Column) -> Look | None:
    if column.hint in ("name", "id", "email", "phone"):
        return None
    for separator in ";|,":
        split = [value.split(separator) for value in column.values if separator in value]
        if len(split) < 0.3 * len(column.values) or len(split) < 2:  # noqa: PLR2004  a few are commas in texts
            continue
        items = [item.strip() for parts in split for item in parts]
        short = all(len(item.split()) <= _MOST_WORDS for item in items)
        repeated = len(set(items)) <= 0.7 * len(items)
        if short and repeated:
            why = f"{percent(len(split), len(column.values))} of its filled cells are lists, of {len(set(items))} words"
            return column.look("list", len(column.values), why, {"separator": separator})
    return None


_TESTS: tuple[Callable[[_Column], Look | None], ...] = (
    _as_declared, _structures, _emails, _urls, _addresses_of_machines, _dates, _words_for_yes_and_no, _phones, _numbers,
    _lists,
)  # fmt: skip


def is_value(text: str) -> bool:
    """Whether a text is a value rather than the name of a column."""
    value = text.strip()
    digits = sum(character.isdigit() for character in value)
    return bool(
        _EMAIL.fullmatch(value) or _URL.fullmatch(value) or (digits >= 4 and digits * 2 >= len(value))  # noqa: PLR2004
    )
