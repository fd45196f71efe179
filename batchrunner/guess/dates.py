"""The form of a column of dates, by the whole of it: `03/04/2026` says nothing, one `25/04/2026` says it for all."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from batchrunner.mapping.conversions import date_parser, datetime_parser

_DAY_FIRST = ("%d{}%m{}%Y", "%d{}%m{}%y")
_MONTH_FIRST = ("%m{}%d{}%Y", "%m{}%d{}%y")
_YEAR_FIRST = ("%Y{}%m{}%d",)
DATES = (
    *(form.format(sign, sign) for sign in ".-/" for form in _YEAR_FIRST),
    *(form.format(sign, sign) for sign in "./-" for form in _DAY_FIRST),
    *(form.format(sign, sign) for sign in "/-" for form in _MONTH_FIRST),
    "%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%Y%m%d",
)  # fmt: skip
TIMES = (" %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", "T%H:%M:%S.%f", "T%H:%M", " %I:%M %p", " %I:%M:%S %p")
ZONES = ("", "%z", " %z")

_LIKE_A_DATE = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}(?!\d)|\d{8}$"
    r"|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
_SERIAL = re.compile(r"[1-7]\d{4}(?:[.,]\d+)?")
_ZONED = re.compile(r":\d\d(?:\.\d+)? ?(?:Z|[+-]\d\d:?\d\d)$")
_FEW = 25
_ENOUGH = 0.5
"""Below this share of readable values, a column is no column of dates."""


@dataclass(frozen=True, slots=True)
class DateForm:
    """What a column of dates is written in."""

    form: str
    kind: str
    """`date` or `datetime`."""
    read: int
    """Distinct values that it reads."""
    of: int
    """Distinct values."""
    also: str | None = None
    """Another form that reads just as many, so that nothing tells which is right."""
    serials: int = 0
    """Distinct values that are days as a spreadsheet counts them."""
    decided_by: str | None = None
    """What told the two apart where the column itself did not."""

    @property
    def share(self) -> float:
        """Of what can be read, serial numbers of spreadsheets included."""
        return (self.read + self.serials) / self.of


def date_form(values: Collection[str], *, expected: bool) -> DateForm | None:
    """The form of these distinct values, none of them empty; `expected`: the header says that these are dates."""
    distinct = list(values)
    serials = sum(bool(_SERIAL.fullmatch(value)) for value in distinct) if expected else 0
    likely = [value for value in distinct if _LIKE_A_DATE.match(value)]
    if len(likely) + serials < _ENOUGH * len(distinct) or not distinct:
        return None
    counts = _counts(likely)
    best = max(counts.values(), default=0)
    if not best:
        return DateForm("%Y-%m-%d", "date", 0, len(distinct), serials=serials) if serials > 1 else None
    forms = [form for form, count in counts.items() if count == best]
    form = forms[0]
    if form == "%Y%m%d" and not _plausible_years(likely, expected=expected):
        return None
    kind = "datetime" if "%H" in form or "%I" in form else "date"
    also = next((other for other in forms[1:] if _swapped(other) == form or _swapped(form) == other), None)
    found = DateForm(form, kind, best, len(distinct), also, serials)
    return found if found.share >= _ENOUGH else None


def _counts(values: Sequence[str]) -> dict[str, int]:
    """How many of the values each form reads, in order of preference; forms that read none of a few are left out."""
    few = values[:: max(1, len(values) // _FEW)]
    able = [form for form in _forms(few) if _reads(form, few)]
    return {form: _reads(form, values) for form in able}


def _forms(few: Sequence[str]) -> list[str]:
    """The forms whose signs are there at all: making a parser for each would take seconds."""
    signs = set("".join(few))
    letters = any(map(str.isalpha, signs - set("TZ")))
    days = [day for day in DATES if ("%b" in day.lower()) <= letters and _signs(day) <= signs]
    if ":" not in signs:
        return days
    zones = ZONES[1:] if any(_ZONED.search(one) for one in few) else ZONES[:1]
    times = [time for time in TIMES if _signs(time) <= signs]
    return [
        *days,
        *(f"{day}{time}{zone}" for day in days for time in times for zone in zones),
    ]


def _signs(form: str) -> set[str]:
    return set(re.sub(r"%.", "", form)) - {" "}


def _reads(form: str, values: Sequence[str]) -> int:
    parse = date_parser(form) if "%H" not in form and "%I" not in form else datetime_parser(form)
    count = 0
    for value in values:
        try:
            parse(value)
        except ValueError:
            continue
        count += 1
    return count


def _swapped(form: str) -> str:
    return form.replace("%d", "%*").replace("%m", "%d").replace("%*", "%m")


def _plausible_years(values: Sequence[str], *, expected: bool) -> bool:
    """Eight digits are more often a number than a day."""
    return expected and all("1900" <= value[:4] <= "2100" for value in values)


def decided(found: DateForm, others: Sequence[DateForm]) -> DateForm:
    """Where days and months cannot be told apart: as the other columns of the same file write them, if they agree."""
    if found.also is None:
        return found
    told = {("%d" in one.form.partition("%m")[0]) for one in others if one.also is None and _short(one.form)}
    if len(told) != 1:
        return found
    day_first = told.pop()
    form = next(form for form in (found.form, found.also) if ("%d" in form.partition("%m")[0]) is day_first)
    return DateForm(
        form, found.kind, found.read, found.of, None, found.serials, "the other dates of the file are written so"
    )


def _short(form: str) -> bool:
    return form[:2] in ("%d", "%m") and "%b" not in form.lower()
