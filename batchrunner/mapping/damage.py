"""Damage that spreadsheets and exports do to texts, recognised by itself: pure functions of one text.

Each returns None where the text shows no such damage, else a Mended: the text as it was meant, or no text where that
cannot be told without loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Fault = Literal[
    "nbsp", "encoded_twice", "null_text", "formula", "e_notation", "lost_prefix", "russian_8", "excel_date",
    "several_emails", "email_dots", "look_alikes",
]  # fmt: skip

FAULTS: dict[Fault, str] = {
    "nbsp": "no-break spaces or characters without width",
    "encoded_twice": "text that was encoded twice",
    "null_text": "a word that stands for nothing, as NULL or #N/A",
    "formula": "a spreadsheet formula",
    "e_notation": "a number in scientific notation, or with a point behind it",
    "lost_prefix": "a phone that lost its + or a leading zero",
    "russian_8": "a Russian phone that begins with 8",
    "excel_date": "a date as a spreadsheet counts days",
    "several_emails": "several e-mail addresses",
    "email_dots": "dots or commas at the ends of an e-mail address",
    "look_alikes": "Cyrillic letters in an e-mail address that look like Latin ones",
}
"""How sentences call them."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A damage, and what the text was before it; None where that cannot be told."""

    fault: Fault
    text: str | None


# --- any text ----------------------------------------------------------------------------------

INVISIBLE = "\u00a0\u202f\u2007\u200b\u2060\ufeff\u00ad"
"""No-break spaces of three widths; zero width space, word joiner, byte-order mark, soft hyphen. The joiners of emoji
and of Persian are not among them: they mean something."""
_SPACES = "\u00a0\u202f\u2007"
_WIDTHLESS = str.maketrans("", "", "\u200b\u2060\ufeff\u00ad")
_TO_SPACES = str.maketrans(dict.fromkeys(_SPACES, " "))
_ENDS = re.compile(rf"\A[\s{INVISIBLE}]*[{INVISIBLE}][\s{INVISIBLE}]*|[\s{INVISIBLE}]*[{INVISIBLE}][\s{INVISIBLE}]*\Z")


def nbsp_at_ends(text: str) -> Mended | None:
    """Without what cannot be seen at its ends."""
    trimmed = _ENDS.sub("", text)
    return Mended("nbsp", trimmed) if trimmed != text else None


def nbsp_anywhere(text: str) -> Mended | None:
    """With spaces in place of no-break ones, and without what has no width."""
    plain = text.translate(_WIDTHLESS).translate(_TO_SPACES).strip()
    return Mended("nbsp", plain) if plain != text.strip(" \t\r\n") else None


NULLS = frozenset(
    {"NULL", "(null)", "<null>", "[NULL]", "[null]", "\\N", "#N/A", "#Н/Д", "#N/A N/A", "NaN", "<NA>", "#NULL!"}
)


def null_text(text: str) -> Mended | None:
    """A word that programs write where there is nothing. `Null` is a name, and `null` a word: they stay."""
    return Mended("null_text", "") if text.strip() in NULLS else None


_QUOTED = re.compile(r'\s*="((?:[^"]|"")*)"\s*')
_FORMULA = re.compile(
    r"\s*=\s*(?:[A-ZА-ЯЁ][A-ZА-ЯЁ0-9._]*\(|\$?[A-Z]{1,3}\$?[0-9]+\b|'?[^'=]{1,40}'?!\$?[A-Z]|[+-]?[0-9.,]+\s*[-+*/])|"
    r"\s*#(?:REF|VALUE|DIV/0|NAME|NUM|ССЫЛКА|ЗНАЧ|ДЕЛ/0|ИМЯ|ЧИСЛО)[!?]\s*\Z"
)


def formula(text: str) -> Mended | None:
    """`="00123"` is the text 00123, kept from a spreadsheet; what any other formula came to is not in the file."""
    if quoted := _QUOTED.fullmatch(text):
        return Mended("formula", quoted[1].replace('""', '"'))
    return Mended("formula", None) if _FORMULA.match(text) else None


# --- encoded twice -----------------------------------------------------------------------------

_SIGNS = "\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201e\u2020-\u2022"
_LATIN_PAIR = re.compile(f"[\u00c2-\u00c5\u00d0\u00d1][\u0080-\u00bf{_SIGNS}\u2026\u2030\u2039\u203a\u20ac\u2122]")
_RUN = re.compile(r"[^\x00-\x7f]+")
_FEWEST_CYRILLIC = 2
"""Letters in a run: one pair alone may be an initial and a dot of leaders."""


def encoded_twice(text: str) -> Mended | None:
    """UTF-8 that was read as cp1252 or cp1251 and written as UTF-8 once more: each such run of signs is put back."""
    latin = _LATIN_PAIR.search(text) is not None
    plain = _RUN.sub(lambda run: _once(run[0], latin=latin), text)
    return Mended("encoded_twice", plain) if plain != text else None


def _once(run: str, *, latin: bool) -> str:
    if latin and (found := _decoded(run, "cp1252")) is not None and found.isprintable():
        return found
    found = _decoded(run, "cp1251")
    if found is not None and len(found) >= _FEWEST_CYRILLIC and all("Ѐ" <= one <= "ѿ" for one in found):
        return found
    return run


def _decoded(run: str, codec: str) -> str | None:
    try:
        return b"".join(_byte(one, codec) for one in run).decode()
    except UnicodeError:
        return None


def _byte(character: str, codec: str) -> bytes:
    """As the codec has it; bytes that it leaves undefined came through as control characters."""
    if "\x80" <= character <= "\x9f":
        return character.encode("latin-1")
    return character.encode(codec)


# --- numbers -----------------------------------------------------------------------------------

_SCIENTIFIC = re.compile(r"\s*\+?(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})\s*")
_POINT_ZERO = re.compile(r"\s*(\+?\d{4,18})[.,]0+\s*")


def e_notation(text: str) -> Mended | None:
    """All digits of `7.9001234567E+10` are there; those of `7.9E+10` are lost."""
    if whole := _POINT_ZERO.fullmatch(text):
        return Mended("e_notation", whole[1])
    found = _SCIENTIFIC.fullmatch(text)
    if found is None:
        return None
    first, rest, power = found[1], found[2] or "", int(found[3])
    rest, lost = rest[:power], rest[power:].strip("0")
    return Mended("e_notation", None if len(rest) < power or lost else first + rest)


_EIGHT = re.compile(r"\s*\+?8[\s(.\-\u00a0]*[3-9](?:[\s().\-\u00a0]*\d){9}\s*")


def russian_8(text: str) -> Mended | None:
    """`8 (900) …` as it is dialled inside of Russia, also behind a + that somebody put in front."""
    if not _EIGHT.fullmatch(text):
        return None
    digits = re.sub(r"\D", "", text)
    return Mended("russian_8", f"+7{digits[1:]}")


_SERIAL = re.compile(r"\s*(\d{5})(?:[.,](\d{1,12}))?\s*")
_FIRST, _LAST = 10_000, 73_050
"""1927 to 2099: with fewer digits, a number may be a year."""


def excel_date(text: str, first_day: datetime) -> datetime | None:
    """The moment that a spreadsheet counts from its first day on."""
    found = _SERIAL.fullmatch(text)
    if found is None or not _FIRST <= int(found[1]) <= _LAST:
        return None
    seconds = round(float(f"0.{found[2] or 0}") * 86_400)
    return first_day + timedelta(days=int(found[1]), seconds=seconds)


# --- e-mail addresses --------------------------------------------------------------------------

_TWINS = str.maketrans("асеорухіјѕһԁԛԝкАВЕКМНОРСТУХІЈЅҺ", "aceopyxijshdqwkABEKMHOPCTYXIJSH")
_CYRILLIC = re.compile(r"[Ѐ-ӿԀ-ԯ]")
_LATIN = re.compile(r"[A-Za-z]")
_ADDRESS = r"[^\s,;:<>()\[\]\"@]+@[^\s,;:<>()\[\]\"@]+\.[^\s,;:<>()\[\]\"@]+"
_SEVERAL = re.compile(rf"\s*<?({_ADDRESS})>?(?:[\s,;/|]+<?{_ADDRESS}>?)+[\s,;.]*")
_DOTS = re.compile(rf"[\s.,;:]*({_ADDRESS}?)[.,;:\s]+|[.,;:\s]+({_ADDRESS})")


def several_emails(text: str) -> Mended | None:
    """The first of several."""
    found = _SEVERAL.fullmatch(text)
    return Mended("several_emails", found[1].strip(".,;:")) if found else None


def email_dots(text: str) -> Mended | None:
    """Punctuation at the ends, as behind the last word of a sentence."""
    found = _DOTS.fullmatch(text)
    if found is None:
        return None
    plain = (found[1] or found[2]).strip(".,;: ")
    return Mended("email_dots", plain) if plain != text.strip() else None


def look_alikes(text: str) -> Mended | None:
    """Two alphabets in one word of an address are a slip; a word that is all Cyrillic is one."""
    if text.isascii() or not any(_CYRILLIC.search(word) and _LATIN.search(word) for word in re.split(r"[@.]", text)):
        return None
    plain = text.translate(_TWINS)
    return Mended("look_alikes", plain if plain.isascii() else None)
