"""Phone numbers to E.164. The only door to phonenumbers, which is a big import: opened when a job converts phones."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

_NATIONAL = "is not a phone number in the international form (+…), and no `region` says how to read others"
_ANY = "is not a phone number"
_PUNCTUATION = str.maketrans("", "", " -().\u00a0")
_DIGITS = re.compile(r"\+?[0-9]{6,15}")
_MAX_CALLING_CODE = 3


def regions() -> Collection[str]:
    """Two-letter codes of the regions that can be asked for."""
    import phonenumbers  # noqa: PLC0415  see the top

    known: Collection[str] = phonenumbers.SUPPORTED_REGIONS
    return known


def phones_parser(region: str | None) -> Callable[[Sequence[str]], Sequence[str] | None]:
    """A parser of many plain numbers that are written alike, at a fifth of the time that one by one takes.

    It gives what `phone_parser` would for each, or None where a look at all of them together does not tell.
    """
    short_cut: list[ShortCut] = []

    def parse_phones(texts: Sequence[str]) -> Sequence[str] | None:
        if not short_cut:  # a job is compiled more often than it is run
            short_cut.append(ShortCut(region))
        return short_cut[0].read_many(texts)

    return parse_phones


def phone_parser(region: str | None) -> Callable[[str], str]:
    """A parser of phone numbers; `region` is for numbers that name no country."""
    import phonenumbers  # noqa: PLC0415  see the top

    reason = _NATIONAL if region is None else _ANY
    short_cut = ShortCut(region)

    def parse_phone(text: str) -> str:
        if quick := short_cut.read(text):
            return quick
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            raise ValueError(reason if "+" not in text else _ANY) from None
        if not phonenumbers.is_possible_number(number):
            raise ValueError("is not a possible phone number")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return parse_phone


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a country's numbering plan says, as far as the short cut asks."""

    calling_code: str
    number: re.Pattern[str]
    """A whole national number."""
    prefix: re.Pattern[str] | None
    """What may stand before it inside the country."""
    prefix_is_plain: bool
    abroad: re.Pattern[str] | None
    """What is dialled before a foreign number."""
    bare: re.Pattern[str]
    """A text that can only be a national number, written without its prefix."""
    trunk: re.Pattern[str] | None
    """A text that can only be a national number behind its prefix, where that is nothing but digits."""
    lines_abroad: re.Pattern[str]
    """Lines that are whole numbers of this country with a + and its calling code."""
    lines_at_home: re.Pattern[str] | None
    """Lines of which each is what `trunk` takes."""
    trunk_prefix: str

    @classmethod
    def of(cls, metadata: Any) -> Self:  # noqa: ANN401  phonenumbers has no public type for it
        prefix = metadata.national_prefix_for_parsing
        pattern = re.compile(prefix) if prefix else None
        plain = pattern is not None and not pattern.groups and not metadata.national_prefix_transform_rule
        abroad = metadata.international_prefix
        number = metadata.general_desc.national_number_pattern
        code = str(metadata.country_code)
        bare = rf"(?!{prefix})(?:{number})" if prefix else number
        trunk, at_home = None, None
        if plain and prefix.isdigit() and abroad:
            trunk = re.compile(rf"(?!{abroad})(?!(?:{number})\Z)(?!{code}){prefix}(?P<rest>{number})")
            at_home = _lines(rf"(?!{abroad})(?!(?:{number})\n)(?!{code}){prefix}(?:{number})")
        return cls(
            calling_code=code,
            number=re.compile(number),
            bare=re.compile(bare),
            trunk=trunk,
            lines_abroad=_lines(rf"\+{code}(?:{bare})"),
            lines_at_home=at_home,
            trunk_prefix=prefix or "",
            prefix=pattern,
            prefix_is_plain=plain,
            abroad=re.compile(abroad) if abroad else None,
        )

    def holds(self, national: str) -> bool:
        """Whether this can only be a national number, written without its prefix."""
        return self.bare.fullmatch(national) is not None


def _lines(number: str) -> re.Pattern[str]:
    """Lines of digits, each of which is wholly taken by the pattern of a number."""
    return re.compile(rf"(?:(?=\+?[0-9]{{6,15}}\n){number}\n)++")


class ShortCut:
    """The plainest numbers, twenty times as fast as the library; whatever it does not know is the library's to judge.

    It takes a number only where each step of `phonenumbers.parse` has but one way to go, so that both give the same
    answer (a test holds it to that).
    """

    def __init__(self, region: str | None) -> None:
        """Look up the numbering plan of `region`, if it is the main one of its calling code."""
        import phonenumbers  # noqa: PLC0415  see the top

        self._main_regions: dict[int, tuple[str, ...]] = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
        self._metadata_for = phonenumbers.PhoneMetadata.metadata_for_region
        self._plans: dict[str, _Plan | None] = {}
        self._home: _Plan | None = None
        plan = self._plan(str(phonenumbers.country_code_for_region(region))) if region else None
        if plan and self._main_regions[int(plan.calling_code)][0] == region:
            self._home = plan

    def read(self, text: str) -> str | None:
        """The number in E.164, or None if it is not among the plainest."""
        digits = text
        if not _DIGITS.fullmatch(digits):
            digits = text.translate(_PUNCTUATION)
            if not _DIGITS.fullmatch(digits):
                return None
        return self._international(digits[1:]) if digits[0] == "+" else self._national(digits)

    def read_many(self, texts: Sequence[str]) -> list[str] | None:
        """What `read` gives for each of these, or None where they are not all of one plain kind."""
        lines = "\n".join(texts) + "\n"
        if lines.count("\n") != len(texts):
            return None
        digits = lines.translate(_PUNCTUATION)
        if digits[0] == "+":
            plan = self._plan_of(digits[1 : _MAX_CALLING_CODE + 1])
            return digits.split("\n")[:-1] if plan and plan.lines_abroad.fullmatch(digits) else None
        home = self._home
        if home is None or home.lines_at_home is None or not home.lines_at_home.fullmatch(digits):
            return None
        prefix = len(home.trunk_prefix)
        return [f"+{home.calling_code}{line[prefix:]}" for line in digits.split("\n")[:-1]]

    def _plan_of(self, digits: str) -> _Plan | None:
        """Of the country whose calling code these digits begin with: no calling code begins with another."""
        for length in range(1, _MAX_CALLING_CODE + 1):
            if digits[:length].isdecimal() and (
                plan := self._plans.get(digits[:length]) or self._plan(digits[:length])
            ):
                return plan
        return None

    def _international(self, digits: str) -> str | None:
        plan = self._plan_of(digits)
        return f"+{digits}" if plan and plan.holds(digits[len(plan.calling_code) :]) else None

    def _national(self, digits: str) -> str | None:
        plan = self._home
        if plan and plan.trunk and (behind := plan.trunk.fullmatch(digits)):  # all that is below, in one look
            return f"+{plan.calling_code}{behind['rest']}"
        if plan is None or plan.abroad is None or plan.abroad.match(digits):
            return None
        whole = plan.number.fullmatch(digits) is not None
        if digits.startswith(plan.calling_code):
            rest = digits[len(plan.calling_code) :]
            return f"+{digits}" if not whole and plan.holds(rest) else None
        prefix = plan.prefix.match(digits) if plan.prefix else None
        if prefix is None:
            return f"+{plan.calling_code}{digits}" if whole else None
        rest = digits[prefix.end() :]
        if whole or not plan.prefix_is_plain or not plan.number.fullmatch(rest):
            return None
        return f"+{plan.calling_code}{rest}"

    def _plan(self, calling_code: str) -> _Plan | None:
        if calling_code not in self._plans:
            region = self._main_regions.get(int(calling_code), ("001",))[0]
            known = region != "001"  # numbers of no country have a plan elsewhere
            self._plans[calling_code] = _Plan.of(self._metadata_for(region)) if known else None
        return self._plans[calling_code]


def region_of(text: str, region: str | None) -> str | None:
    """The country of a valid number, or None; `region` is for numbers that name no country. For guessing only."""
    import phonenumbers  # noqa: PLC0415  see the top

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    found: str | None = phonenumbers.region_code_for_number(number) if phonenumbers.is_valid_number(number) else None
    return found
