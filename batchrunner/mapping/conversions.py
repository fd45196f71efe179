"""What a cell's text can become: pure functions from `str` to a value.

They raise ValueError with the end of a sentence ("is not a whole number") that never contains the value. All but
`text` ignore white space around the value, no-break spaces included. Strings come first: nothing here is called
unless the job file asks for it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal

import msgspec

from batchrunner.mapping import phones

Convert = Callable[[str], object]

INT64 = range(-(2**63), 2**63)
"""What every JSON reader that has whole numbers can hold."""

TRUE_WORDS = ("1", "true", "yes", "y", "да")
FALSE_WORDS = ("0", "false", "no", "n", "нет")

_INT = re.compile(r"[+-]?[0-9]+")
_NUMBERS_KEPT = 16_384
"""Prices and balances come back in every chunk."""
_INT_DIGITS = 4000  # `int` refuses longer texts (4,300 digits) with a sentence about the interpreter


def parse_text(text: str) -> str:
    """The text, untouched."""
    return text


def parse_int(text: str) -> int:
    """A whole number of 64 bits with an optional sign: `-5`, `00123` (which is 123)."""
    stripped = text.strip()
    if not _INT.fullmatch(stripped):
        raise ValueError("is not a whole number")
    value = int(stripped) if len(stripped) <= _INT_DIGITS else INT64.stop
    if value not in INT64:
        raise ValueError("is a whole number beyond 64 bits")
    return value


def float_parser(decimal: str = ".") -> Callable[[str], float]:
    """A parser of finite numbers: `12.50`, `1e5`; with `decimal=","`, `12,50`. Thousands are not grouped."""
    sign = re.escape(decimal)
    pattern = re.compile(rf"[+-]?(?:[0-9]+(?:{sign}[0-9]*)?|{sign}[0-9]+)(?:[eE][+-]?[0-9]+)?")
    reason = f"is not a number with '{decimal}' as its decimal sign"

    @functools.lru_cache(_NUMBERS_KEPT)
    def parse_float(text: str) -> float:
        stripped = text.strip()
        if not pattern.fullmatch(stripped):
            raise ValueError(reason)
        value = float(stripped.replace(decimal, "."))
        if not math.isfinite(value):
            raise ValueError("is too large a number")
        return value

    return parse_float


def bool_parser(true: Iterable[str] = TRUE_WORDS, false: Iterable[str] = FALSE_WORDS) -> Callable[[str], bool]:
    """A parser of these words, in any case."""
    true, false = tuple(true), tuple(false)
    meanings = {word.strip().casefold(): False for word in false} | {word.strip().casefold(): True for word in true}
    reason = f"is neither true ({', '.join(true)}) nor false ({', '.join(false)})"

    def parse_bool(text: str) -> bool:
        try:
            return meanings[text.strip().casefold()]
        except KeyError:
            raise ValueError(reason) from None

    return parse_bool


# --- dates -------------------------------------------------------------------------------------

_DIGITS = {"Y": "[0-9]{4}", "m": "[0-9]{2}", "d": "[0-9]{2}", "H": "[0-9]{2}", "M": "[0-9]{2}", "S": "[0-9]{2}"}


_DAYS_KEPT = 65_536
"""All days of a long lifetime, twice over: birth dates come back in every chunk."""


def date_parser(form: str) -> Callable[[str], str]:
    """A parser of dates in a form of strptime; gives `YYYY-MM-DD`."""
    shuffle = _shuffler(form)
    reason = f"is not a date in the form {form}"

    @functools.lru_cache(_DAYS_KEPT)
    def parse_date(text: str) -> str:
        stripped = text.strip()
        try:
            if moment := shuffle(stripped):
                return date.fromisoformat(moment[:10]).isoformat()
            return datetime.strptime(stripped, form).date().isoformat()  # noqa: DTZ007  a date has no zone
        except ValueError:
            raise ValueError(reason) from None

    return parse_date


def datetime_parser(form: str, zone: tzinfo = UTC) -> Callable[[str], str]:
    """A parser of moments in a form of strptime; gives RFC 3339 in UTC. `zone` is for those that name none."""
    shuffle = _shuffler(form)
    reason = f"is not a date and time in the form {form}"

    def parse_datetime(text: str) -> str:
        stripped = text.strip()
        try:
            iso = shuffle(stripped)
            moment = datetime.fromisoformat(iso) if iso else datetime.strptime(stripped, form)  # noqa: DTZ007  see below
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
        except (ValueError, OverflowError):  # the first and last days of the calendar have no UTC
            raise ValueError(reason) from None

    return parse_datetime


def _shuffler(form: str) -> Callable[[str], str | None]:
    """A short cut, ten times as fast as strptime: puts the digits of a text that fills a simple form in ISO order.

    It only moves digits: whether they are a day of the calendar, and what it gives None for, is for others to judge.
    """
    pattern = _digits_only(form)
    if pattern is None:
        return lambda _: None
    fullmatch = pattern.fullmatch
    names = [name for name in _DIGITS if name in pattern.groupindex]
    slots = {name: "%s" if name in names else "00" for name in _DIGITS}
    iso = "{Y}-{m}-{d}T{H}:{M}:{S}".format(**slots)

    def shuffle(text: str) -> str | None:
        found = fullmatch(text)
        return iso % found.group(*names) if found else None

    return shuffle


def _digits_only(form: str) -> re.Pattern[str] | None:
    """A pattern for texts that fill a form of plain numbers exactly, or None if the form has other parts."""
    pieces = re.split(r"%(.)", form)
    literals, directives = pieces[::2], pieces[1::2]
    if not {"Y", "m", "d"} <= set(directives) <= set(_DIGITS) or "%" in "".join(literals):
        return None
    pattern = re.escape(literals[0])
    for directive, literal in zip(directives, literals[1:], strict=True):
        pattern += rf"(?P<{directive}>{_DIGITS[directive]}){re.escape(literal)}"
    return re.compile(pattern)


def complaint_about_form(form: str) -> str | None:
    """What is wrong with a form of strptime, or None."""
    sample = datetime(2004, 11, 23, 21, 47, 58, tzinfo=UTC)
    try:
        back = datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007  only its date is looked at
    except re.error:
        return "names a part twice"
    except ValueError as error:
        known = "directive" in str(error) or "stray" in str(error)
        return f"has {'an unknown' if known else 'an unusable'} % directive"
    return None if back.date() == sample.date() else "does not name a whole date (year, month and day)"


# --- addresses ---------------------------------------------------------------------------------

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+%-]++(?:\.[A-Za-z0-9_+%-]++)*+"
    r"@(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*+\.)+(?!(?i:arpa|invalid|local|localhost|onion|test)\Z)[A-Za-z]{2,}"
)
_PLAIN_LENGTH = 64
"""Addresses that need no second look. They must never take what email-validator refuses (a test holds them to that);
neither part of an address this short is too long."""


def parse_email(text: str) -> str:
    """An address as it was written, but for white space around it and capitals in the domain."""
    stripped = text.strip()
    if len(stripped) > _PLAIN_LENGTH or not _PLAIN_EMAIL.fullmatch(stripped):
        _check_email(stripped)
    if stripped.islower():
        return stripped
    local, _, domain = stripped.rpartition("@")
    return f"{local}@{domain.lower()}"


_PLAIN_EMAILS = re.compile(
    rf"(?:(?=[^\n]{{1,{_PLAIN_LENGTH}}}\n)"
    r"[A-Za-z0-9_+%-]++(?:\.[A-Za-z0-9_+%-]++)*+"
    r"@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)+(?!(?:arpa|invalid|local|localhost|onion|test)\n)[a-z]{2,}\n)*+"
)


def parse_plain_emails(texts: Sequence[str]) -> Sequence[str] | None:
    """The texts, where `parse_email` takes all and changes none: one look at many is a third of a look at each."""
    lines = "\n".join(texts) + "\n"
    return texts if lines.count("\n") == len(texts) and _PLAIN_EMAILS.fullmatch(lines) else None


def _check_email(address: str) -> None:
    from email_validator import validate_email  # noqa: PLC0415  most files never need it

    try:
        validate_email(address, check_deliverability=False)
    except ValueError:
        raise ValueError("is not an e-mail address") from None


def phone_parser(region: str | None = None) -> Callable[[str], str]:
    """A parser of phone numbers; gives E.164. `region` is for numbers that name no country."""
    return phones.phone_parser(region)


# --- structures --------------------------------------------------------------------------------


def list_parser(separator: str = ",") -> Callable[[str], list[str]]:
    """A splitter: items are trimmed, empty ones dropped."""

    def parse_list(text: str) -> list[str]:
        return [item for item in map(str.strip, text.split(separator)) if item]

    return parse_list


def _exact(digits: str) -> Decimal:
    """A JSON number with a point or an exponent, digit for digit: prices are not to become binary fractions."""
    if not math.isfinite(float(digits)):
        raise ValueError("too large")
    return Decimal(digits)


_decode = msgspec.json.Decoder(float_hook=_exact).decode
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def parse_json(text: str) -> object:
    """Any JSON value. Numbers with a fraction are `Decimal`, as exact as they were written."""
    try:
        value = _decode(text.strip())
        check_numbers(value)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except msgspec.ValidationError:
        raise ValueError("holds a number that is too large") from None
    except (msgspec.MsgspecError, UnicodeError, ArithmeticError):
        raise ValueError("is not JSON") from None
    return value


def check_numbers(value: object) -> None:
    """Raise ValueError for numbers that JSON, or its readers, cannot carry."""
    match value:
        case bool() | str() | None:
            return
        case int() if value not in INT64:
            raise ValueError("holds a whole number beyond 64 bits")
        case float() if not math.isfinite(value):
            raise ValueError("holds a number that is not finite")
        case dict():
            for part in value.values():
                check_numbers(part)
        case list() | tuple():
            for part in value:
                check_numbers(part)


def canonical(value: object) -> msgspec.Raw:
    """A value as it will stand in the payload: UTF-8, keys sorted at every level, no spaces."""
    return msgspec.Raw(_encode(value))


def parse_json_canonically(text: str) -> msgspec.Raw:
    """`parse_json`, ready to be put into the payload."""
    return canonical(parse_json(text))
