"""Filters of a placeholder: a fixed set of small functions from text to text, chained by bars.

A filter never sees an empty text: it stays empty, until a default (`|friend`) takes its place. What a filter makes of
anything else is the same on every machine: no locale, no clock, no code from the job file.
"""

from __future__ import annotations

import difflib
import mimetypes
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from batchrunner.mapping.conversions import complaint_about_form, date_parser
from batchrunner.mapping.problems import is_blank

Step = Callable[[str], str]

_LIKE_A_FILTER = 0.7
"""How near a bare word must come to a filter's name to be taken for a slip of it."""
_LONGEST_PAD = 64


@dataclass(frozen=True, slots=True)
class Call:
    """A filter as it was written."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """The filters of one placeholder, in order. Equal chains do the same."""

    calls: tuple[Call, ...] = ()
    _steps: tuple[Step, ...] = field(default=(), compare=False, repr=False)

    def __bool__(self) -> bool:
        """Whether there is any filter."""
        return bool(self.calls)

    def apply(self, text: str) -> str:
        """The text after all filters. Raises ValueError where one of them cannot read it."""
        for step in self._steps:
            text = step(text)
        return text

    @property
    def without_defaults(self) -> Chain:
        """The same filters, so that what is empty stays empty."""
        kept = [pair for pair in zip(self.calls, self._steps, strict=True) if pair[0].name != DEFAULT]
        return Chain(tuple(call for call, _ in kept), tuple(step for _, step in kept))


NO_FILTERS = Chain()

DEFAULT = "default"


def parse_chain(written: str) -> Chain:
    """The filters of a placeholder as they are written, each after its bar. Raises ValueError with what is wrong."""
    calls = tuple(map(_call, _segments(written)))
    return Chain(calls, tuple(map(_step, calls)))


def _segments(written: str) -> list[str]:
    """What stands between the bars; quotes may hold bars."""
    found: list[str] = re.findall(r"""\|((?:[^|'"]++|'[^']*+'|"[^"]*+")*+)""", written)
    return [segment.strip() for segment in found]


_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_ -]*?)\s*(?::(.*))?", re.DOTALL)
_ARGUMENT = re.compile(r"""\s*+(?:'([^']*+)'|"([^"]*+)"|([^,'"]*+))\s*+(?:,|\Z)""")
_QUOTED = re.compile(r"""'([^']*+)'|"([^"]*+)\"""")


def _call(segment: str) -> Call:
    if not segment:
        raise ValueError(f"has a bar without a filter or a default behind it; write it as in {_EXAMPLE}")
    if quoted := _QUOTED.fullmatch(segment):
        return Call(DEFAULT, (quoted[1] if quoted[1] is not None else quoted[2],))
    if "'" in segment.partition(":")[0] or '"' in segment.partition(":")[0]:
        raise ValueError(f"has a default that is quoted in part: {segment}; write it as in {_EXAMPLE}")
    named = _NAMED.fullmatch(segment)
    name = re.sub(r"[ -]+", "_", named[1].lower()) if named else ""
    if named and name in FILTERS:
        return _checked(name, _arguments(name, named[2]))
    _refuse_slips(segment, name, has_arguments=bool(named and named[2] is not None))
    return Call(DEFAULT, (segment,))


def _refuse_slips(segment: str, name: str, *, has_arguments: bool) -> None:
    """A mistyped filter must not become a default silently."""
    close = difflib.get_close_matches(name, FILTERS, n=1, cutoff=_LIKE_A_FILTER) if name else []
    if close:
        raise ValueError(
            f"has no filter '{segment}'; did you mean '{close[0]}'? A default that looks like one is quoted: {{…|'…'}}"
        )
    if has_arguments or '"' in segment or "'" in segment:
        raise ValueError(
            f"has no filter '{name}'; there are {', '.join(FILTERS)}. A default with a colon is quoted: {{…|'…'}}"
        )


def _arguments(name: str, written: str | None) -> tuple[str, ...]:
    if written is None or not written.strip():
        return ()
    arguments, place = [], 0
    while place < len(written) or written[place - 1] == ",":
        found = _ARGUMENT.match(written, place)
        if found is None:
            raise ValueError(f"has something beside the quotes of filter '{name}'; write it as in {_form(name)}")
        quoted, double, bare = found.groups()
        arguments.append(next(one for one in (quoted, double, bare.strip() if bare else "") if one is not None))
        if place == found.end():
            break
        place = found.end()
    return tuple(arguments)


def _checked(name: str, arguments: tuple[str, ...]) -> Call:
    kind = FILTERS[name]
    if not kind.fewest <= len(arguments) <= kind.most:
        wants = "no argument" if not kind.most else f"{_number(kind)}, as in {_form(name)}"
        raise ValueError(f"gives filter '{name}' {len(arguments)} arguments; it takes {wants}")
    call = Call(name, arguments)
    _step(call)
    return call


def _number(kind: Filter) -> str:
    words = ("no arguments", "one argument", "two arguments")
    return words[kind.most] if kind.fewest == kind.most else f"{words[kind.fewest]} or two"


def _form(name: str) -> str:
    return f"{{Column|{name}{FILTERS[name].example}}}"


def _step(call: Call) -> Step:
    step = FILTERS[call.name].make(*call.arguments)
    if call.name == DEFAULT:
        return step
    return lambda text: step(text) if not is_blank(text) else ""


# --- the filters -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that can be asked for."""

    make: Callable[..., Step]
    """Makes the function from the arguments. Raises ValueError when they are wrong."""
    fewest: int = 0
    most: int = 0
    example: str = ""
    """Its arguments, as in a job file."""


_EXAMPLE = "{Column|trim} or {Column|'friend'}"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001  the apostrophe of typesetters
_LETTER_AND_APOSTROPHE = re.compile(r"([^\W\d_]['’])(.+)")  # noqa: RUF001  see above


def _plain(step: Step) -> Callable[[], Step]:
    return lambda: step


def _title(text: str) -> str:
    return _WORD.sub(lambda word: _capital(word[0]), text)


def _capital(word: str) -> str:
    if name := _LETTER_AND_APOSTROPHE.fullmatch(word):  # O'Neill, d'Artagnan as a name: D'Artagnan; but It's
        return name[1].upper() + _capital(name[2])
    return word[:1].upper() + word[1:].lower()


def _collapse(text: str) -> str:
    return " ".join(text.split())


def _digits(text: str) -> str:
    return "".join(character for character in text if "0" <= character <= "9")


def _replace(old: str, new: str) -> Step:
    if not old:
        raise ValueError("gives filter 'replace' nothing to look for; write it as in {Column|replace:'a','b'}")
    return lambda text: text.replace(old, new)


def _pad(width: str, sign: str = "0") -> Step:
    if not (width.isascii() and width.isdigit() and 0 < int(width[:4]) <= _LONGEST_PAD) or len(sign) != 1:
        raise ValueError(f"gives filter 'pad' no width of 1 to {_LONGEST_PAD} and one sign; write it as in {{…|pad:6}}")
    return lambda text: text.strip().rjust(int(width), sign)


def _first(width: str) -> Step:
    if not (width.isascii() and width.isdigit() and int(width[:9])):
        raise ValueError("gives filter 'cut' no number of characters; write it as in {Column|cut:40}")
    return lambda text: text[: int(width[:9])]


def _date(form: str, to: str = "%Y-%m-%d") -> Step:
    for one in (form, to):
        if complaint := complaint_about_form(one):
            raise ValueError(f"gives filter 'date' the form '{one}', which {complaint}; write it as in '%d.%m.%Y'")
    parse = date_parser(form)
    if to == "%Y-%m-%d":
        return parse
    return lambda text: datetime.fromisoformat(parse(text)).strftime(to)


def _file_name(text: str) -> str:
    return PurePosixPath(text.strip().replace("\\", "/")).name


def _mime_type(text: str) -> str:
    return _MIME_TYPES.guess_type(_file_name(text))[0] or "application/octet-stream"


_MIME_TYPES = mimetypes.MimeTypes()
"""The table of the standard library alone: what the machine knows besides must not change a request."""

FILTERS: Mapping[str, Filter] = {
    "trim": Filter(_plain(str.strip)),
    "collapse": Filter(_plain(_collapse)),
    "lower": Filter(_plain(str.lower)),
    "upper": Filter(_plain(str.upper)),
    "title": Filter(_plain(_title)),
    "capitalize": Filter(_plain(lambda text: text[:1].upper() + text[1:].lower())),
    "digits": Filter(_plain(_digits)),
    "first_word": Filter(_plain(lambda text: text.split()[0])),
    "last_word": Filter(_plain(lambda text: text.split()[-1])),
    "cut": Filter(_first, 1, 1, ":40"),
    "pad": Filter(_pad, 1, 2, ":6"),
    "replace": Filter(_replace, 2, 2, ":'a','b'"),
    "date": Filter(_date, 1, 2, ":'%d.%m.%Y','%Y-%m-%d'"),
    "file_name": Filter(_plain(_file_name)),
    "mime_type": Filter(_plain(_mime_type)),
    DEFAULT: Filter(lambda words: lambda text: words if is_blank(text) else text, 1, 1, ":'friend'"),
}
"""What may stand behind a bar, by its name; blanks and hyphens in a name are underscores."""


def filter_names() -> Sequence[str]:
    """The names of all filters, in the order of the documentation."""
    return tuple(FILTERS)
