"""What a cell of the job file asks for: its options checked, and the function that judges one text."""

from __future__ import annotations

import difflib
import enum
import re
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from batchrunner.attachments import LARGEST_UPLOAD_BYTES
from batchrunner.config import Cell, RepairTable
from batchrunner.mapping import conversions, files, phones
from batchrunner.mapping.conversions import Convert, canonical
from batchrunner.mapping.distinct import each_once, mostly_distinct
from batchrunner.mapping.maps import about_map, mapped
from batchrunner.mapping.problems import Problem, is_blank, shape
from batchrunner.mapping.rescue import Rescue, rescue_of
from batchrunner.mapping.templates import columns_of, parse_template


@dataclass(frozen=True, slots=True)
class EmptyRule:
    """What the place of a cell in the request says about empty ones."""

    empty: str
    """The rule where the cell has none: omit, null or keep."""
    overrides: bool = False
    """The rule holds whatever the cell says."""
    needed: str | None = None
    """Why a row without it is unusable, or None."""


class Empty(enum.Enum):
    """The type of EMPTY."""

    EMPTY = enum.auto()


EMPTY = Empty.EMPTY
"""What a judge makes of an empty text: what that means is for the place in the request to say."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Turns the text of a cell into its value, into EMPTY, or into a Problem."""

    convert: Convert
    at_once: AtOnce | None
    subject: str
    code: str
    columns: tuple[str, ...] = ()
    rescue: Rescue | None = None
    """What looks at damaged cells again."""

    def __call__(self, text: str) -> object:
        """Judge one text."""
        return self._each((text,))[0]

    def column(self, texts: Sequence[str]) -> list[object]:
        """Judge many texts: what they become is the same as one by one."""
        if not mostly_distinct(texts):
            return each_once(texts, self)
        if self.at_once is None:
            return self._each(texts)
        values: list[object] = []
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            together = self.at_once(block)
            values += self._each(block) if together is None else together
        return values

    def _each(self, texts: Sequence[str]) -> list[object]:
        convert = self.convert
        if all(map(str.strip, texts)):
            try:  # most columns hold nothing else than what they should
                return list(map(convert, texts))
            except ValueError:
                pass  # below it is found out which
        values: list[object] = []
        append = values.append
        for text in texts:
            if not text or text.isspace():
                append(EMPTY)
                continue
            try:
                append(convert(text))
            except ValueError as error:
                append(Problem(self.code, f"{self.subject}: '{shape(text)}' {error}", self.columns))
        return values


AtOnce = Callable[[Sequence[str]], Sequence[str] | None]
"""What all of these texts become, each as by itself; None where one look does not tell, which may be too often."""

_BLOCK = 32
"""Texts looked at together: few enough that one which needs a look of its own costs little."""


def judge_of(cell: Cell, home: Path, repair: RepairTable) -> Judge:
    """The judge of a cell whose options are all right. Files are looked for beneath a folder of `home`."""
    code = f"bad_{'value' if cell.map and cell.as_ == 'text' else cell.as_}"
    convert = converter(cell, home)
    if cell.map is not None or cell.as_ == "list":
        convert = _emptied(convert)
    rescue = rescue_of(cell, repair, convert)
    return Judge(convert, _at_once(cell), subject_of(cell), code, columns_named(cell), rescue)


def _at_once(cell: Cell) -> AtOnce | None:
    if cell.map is None and cell.as_ == "email":
        return conversions.parse_plain_emails
    if cell.map is None and cell.as_ == "phone":
        return phones.phones_parser(cell.region)
    return None


def _emptied(convert: Convert) -> Convert:
    """The conversion, with EMPTY for what it leaves out, and for a list of nothing but separators."""

    def convert_or_empty(text: str) -> object:
        value = convert(text)
        return EMPTY if value is UNSET or value == [] else value

    return convert_or_empty


def is_plain(cell: Cell) -> bool:
    """Whether the cell's text goes into the body as it is."""
    return cell.as_ == "text" and cell.map is None


def blank_of(cell: Cell, rule: EmptyRule, home: Path) -> object:
    """What an empty cell becomes. `keep` means something for texts only: an empty date is no date."""
    if cell.default is not None:
        return _default(cell, converter(cell, home))
    if cell.required or rule.needed:
        are = "are" if len(cell.pick or cell.columns or ()) > 1 else "is"
        text = f"{subject_of(cell)} {are} empty, {rule.needed or 'and the job requires it'}"
        return Problem("missing", text, columns_named(cell))
    match rule.empty if rule.overrides or cell.empty is None else cell.empty:
        case "null":
            return None
        case "keep" if cell.as_ == "text":
            return ""
    return UNSET


def columns_named(cell: Cell) -> tuple[str, ...]:
    """The columns that a cell reads."""
    if cell.template is not None:
        return tuple(dict.fromkeys(columns_of(parse_template(cell.template))))
    return (cell.column,) if cell.column is not None else cell.pick or cell.columns or ()


def subject_of(cell: Cell) -> str:
    """How sentences call the cell."""
    if cell.template is not None:
        return f"template '{cell.template}'"
    names = columns_named(cell)
    quoted = " and ".join(f"'{name}'" for name in names)
    return f"column{'' if len(names) == 1 else 's'} {quoted}"


def converter(cell: Cell, home: Path) -> Convert:
    """What becomes of a text that is not empty, in a cell whose options are all right. Raises ValueError then."""
    convert = _conversion(cell, home)
    return convert if cell.map is None else mapped(cell.map, cell.unmapped, convert)


def _conversion(cell: Cell, home: Path) -> Convert:  # noqa: C901, PLR0912  one case for each conversion
    match cell.as_:
        case "text":
            return conversions.parse_text
        case "int":
            return conversions.parse_int
        case "float":
            return conversions.float_parser(cell.decimal or ".")
        case "bool":
            return conversions.bool_parser(*_words(cell))
        case "date":
            return conversions.date_parser(cell.format or "")
        case "datetime":
            return conversions.datetime_parser(cell.format or "", zoneinfo.ZoneInfo(cell.timezone or "UTC"))
        case "phone":
            return conversions.phone_parser(cell.region)
        case "email":
            return conversions.parse_email
        case "list":
            return conversions.list_parser(cell.separator or ",")
        case "json":
            return conversions.parse_json_canonically
        case "base64":
            return files.parse_base64
        case "file":
            return _file_reader(cell, home)
        case "url":
            return files.url_reader(cell.hosts or ())


def _file_reader(cell: Cell, home: Path) -> Convert:
    folder = cell.folder or ""
    if cell.upload:
        return files.upload_reader(home, folder, cell.max_bytes or LARGEST_UPLOAD_BYTES)
    return files.file_reader(home / folder, cell.max_bytes or files.MAX_BYTES)


def _words(cell: Cell) -> tuple[tuple[str, ...], tuple[str, ...]]:
    true = conversions.TRUE_WORDS if cell.true is None else cell.true
    false = conversions.FALSE_WORDS if cell.false is None else cell.false
    return true, false


# --- defaults ----------------------------------------------------------------------------------


def _default(cell: Cell, convert: Convert) -> object:
    """The default as a value. A text goes the way of a cell's text; anything else must already be what is wanted."""
    default = cell.default
    if isinstance(default, str):
        if is_blank(default):
            raise ValueError("is empty; leave it out, and say what empty cells become with `empty`")
        return convert(default)
    if cell.map is not None:  # what the map gives, not what it is asked
        conversions.check_numbers(default)
        return default
    if cell.as_ == "json":
        conversions.check_numbers(default)
        return canonical(default)
    if type(default) not in _READY.get(cell.as_, ()):
        raise ValueError("is not a text; write it in quotes, as a cell would hold it")
    conversions.check_numbers(default)
    return float(default) if cell.as_ == "float" and default is not None else default


_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*")
"""With a port unless it is 443; no patterns: whoever has a name beneath a domain would be asked."""

_READY: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}


# --- complaints --------------------------------------------------------------------------------


def complaints_about(cell: Cell, home: Path) -> list[str]:
    """What is wrong with the options of a cell of a job in this folder, a sentence each."""
    complaints = [
        *_about_form(cell),
        *_about_zone(cell),
        *_about_region(cell),
        *_about_decimal(cell),
        *_about_words(cell),
        *about_map(cell.map, cell.unmapped),
        *_about_folder(cell, home),
        *_about_hosts(cell),
    ]
    return complaints or _about_default(cell, home)


def _about_form(cell: Cell) -> list[str]:
    if cell.format is None or (complaint := conversions.complaint_about_form(cell.format)) is None:
        return []
    return [f"format '{cell.format}' {complaint}; write it as in '%d.%m.%Y'"]


def _about_zone(cell: Cell) -> list[str]:
    if cell.timezone is None:
        return []
    try:
        zoneinfo.ZoneInfo(cell.timezone)
    except (KeyError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        return [f"timezone '{cell.timezone}' is unknown{_nearest(cell.timezone, known, 'Europe/Moscow')}"]
    return []


def _about_region(cell: Cell) -> list[str]:
    if cell.region is None or cell.region in phones.regions():
        return []
    right = cell.region.upper() if cell.region.upper() in phones.regions() else None
    advice = f"; did you mean '{right}'?" if right else "; write a two-letter country code, as in 'RU'"
    return [f"region '{cell.region}' is unknown{advice}"]


def _about_decimal(cell: Cell) -> list[str]:
    if cell.decimal is None or not re.fullmatch(r"[\w\s+-]", cell.decimal):
        return []
    return [f"decimal '{cell.decimal}' cannot be told from the number itself; write ',' or '.'"]


def _about_words(cell: Cell) -> list[str]:
    if cell.as_ != "bool":
        return []
    true, false = ({word.strip().casefold() for word in words} for words in _words(cell))
    if "" in true | false:
        return ["an empty word cannot mean true or false; say what empty cells become with `default`"]
    if not true or not false:
        return [f"`{'false' if true else 'true'}` has no words"]
    return [f"'{word}' means both true and false; give both `true` and `false`" for word in sorted(true & false)]


def _about_folder(cell: Cell, home: Path) -> list[str]:
    if cell.folder is None or (home / cell.folder).is_dir():
        return []
    return [f"folder '{cell.folder}' is not there; make it, or name another one relative to the job file"]


def _about_hosts(cell: Cell) -> list[str]:
    wrong = [host for host in cell.hosts or () if not _HOST.fullmatch(host)]
    return [f"hosts: '{host}' is no host; write it as in 'files.example.com' or 'localhost:8443'" for host in wrong]


def _about_default(cell: Cell, home: Path) -> list[str]:
    if cell.default is None or cell.as_ == "file":  # whether a file is there is found out when it is needed
        return []
    try:
        _default(cell, converter(cell, home))
    except ValueError as error:
        return [f"default {cell.default!r} {error}"]
    return []


def _nearest(name: str, right: list[str], example: str) -> str:
    close = difflib.get_close_matches(name, right, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; write it as in '{example}'"
