"""Cells that do not convert, or convert to something else than was meant, because they were damaged on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from batchrunner.config import AS_IT_STANDS, Cell, RepairTable
from batchrunner.mapping.conversions import Convert
from batchrunner.mapping.damage import (
    Fault,
    Mended,
    e_notation,
    email_dots,
    excel_date,
    look_alikes,
    nbsp_anywhere,
    russian_8,
    several_emails,
)
from batchrunner.mapping.phones import region_of
from batchrunner.mapping.problems import Problem
from batchrunner.mapping.repairs import Became, problem_of

Test = Callable[[str], Mended | None]
Note = Callable[[Sequence[int], Fault, Became], None]
Suspects = Callable[[Sequence[str]], list[int]]
"""The places of texts that may be damaged though they convert."""

_EPOCHS = {"1904": datetime(1904, 1, 1), "repair": datetime(1899, 12, 30)}  # noqa: DTZ001  days have no zone
_RESCUED = ("phone", "email", "date", "datetime", "int", "float", "bool")


@dataclass(frozen=True, slots=True)
class Ask:
    """One damage to look for."""

    test: Test
    policy: str
    only_failed: bool = False
    """Where the text converts, it is not damaged in this way."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """Looks at the cells of one conversion again: at all that failed, and at those that only look right."""

    convert: Convert
    asks: tuple[Ask, ...]
    suspects: Suspects
    code: str

    def column(self, texts: Sequence[str], values: list[object], subject: str, note: Note) -> list[object]:
        """The values, with what could be rescued."""
        places = self.suspects(texts)
        if Problem in set(map(type, values)):
            places = sorted({*places, *(place for place, value in enumerate(values) if type(value) is Problem)})
        if not places:
            return values
        rescued = list(values)
        met: dict[tuple[Fault, Became], list[int]] = {}
        for place in places:
            if (found := self._one(texts[place], values[place], subject)) is not None:
                rescued[place], fault, became = found
                met.setdefault((fault, became), []).append(place)
        for (fault, became), where in met.items():
            note(where, fault, became)
        return rescued

    def _one(self, text: str, value: object, subject: str) -> tuple[object, Fault, Became] | None:
        failed = type(value) is Problem
        for ask in self.asks:
            found = ask.test(text) if failed or not ask.only_failed else None
            if found is None:
                continue
            if ask.policy == "keep":
                return value, found.fault, "kept"
            if ask.policy == "unusable" or found.text is None:
                return problem_of(subject, found.fault, self.code), found.fault, "unusable"
            if found.fault == "russian_8" and not failed:
                return value, found.fault, "repaired"  # the conversion has seen to it
            try:
                return self.convert(found.text), found.fault, "repaired"
            except ValueError:
                continue  # damaged in another way, or in more than one
        return None


def rescue_of(cell: Cell, table: RepairTable, convert: Convert) -> Rescue | None:
    """What can be done for the cells of a conversion; None where there is nothing."""
    if cell.map is not None or cell.as_ not in _RESCUED or table == AS_IT_STANDS:
        return None
    asks: list[Ask] = []
    suspects: Suspects = _nobody
    match cell.as_:
        case "phone":
            asks = [
                Ask(e_notation, table.e_notation),
                Ask(_lost_prefix(cell.region), table.lost_prefix, only_failed=True),
            ]
            suspects = _with_a_point
            if cell.region in (None, "RU", "KZ"):  # elsewhere, an 8 in front is that country's business
                asks.insert(0, Ask(russian_8, table.russian_8))
                suspects = _with_a_point_or_an_eight
        case "email":
            asks = [
                Ask(look_alikes, table.look_alikes),
                Ask(several_emails, table.several_emails, only_failed=True),
                Ask(email_dots, table.email_dots, only_failed=True),
            ]
            suspects = _beyond_ascii
        case "date" | "datetime":
            asks = [Ask(_excel_date(cell.format or "%Y-%m-%d", table), table.excel_date, only_failed=True)]
        case "int":
            asks = [Ask(e_notation, table.e_notation, only_failed=True)]
    asks.append(Ask(nbsp_anywhere, "trim" if table.nbsp == "space" else table.nbsp, only_failed=True))
    return Rescue(convert, tuple(asks), suspects, f"bad_{cell.as_}")


# --- cells that only look right ----------------------------------------------------------------


def _nobody(texts: Sequence[str]) -> list[int]:
    del texts
    return []


def _beyond_ascii(texts: Sequence[str]) -> list[int]:
    if "".join(texts).isascii():
        return []
    return [place for place, text in enumerate(texts) if not text.isascii()]


def _with_a_point(texts: Sequence[str]) -> list[int]:
    whole = "\n".join(texts)
    if ".0" not in whole and ",0" not in whole:
        return []
    return [place for place, text in enumerate(texts) if ".0" in text or ",0" in text]


_BEGIN_WITH_EIGHT = ("8", "+8", " 8", "(8")


def _with_a_point_or_an_eight(texts: Sequence[str]) -> list[int]:
    eights: list[int] = []
    lines = "\n" + "\n".join(texts)
    if any(f"\n{begin}" in lines for begin in _BEGIN_WITH_EIGHT):
        eights = [place for place, text in enumerate(texts) if text.startswith(_BEGIN_WITH_EIGHT)]
    points = _with_a_point(texts)
    return sorted({*eights, *points}) if points else eights


# --- tests that depend on the cell -------------------------------------------------------------


def _lost_prefix(region: str | None) -> Test:
    """A number that is valid with a + or a zero in front."""

    def lost_prefix(text: str) -> Mended | None:
        digits = "".join(filter(str.isdecimal, text))
        if not digits or text.lstrip().startswith("+") or any(map(str.isalpha, text)):
            return None
        international = f"+{digits.removeprefix('00')}"
        if region_of(international, None) is not None:
            return Mended("lost_prefix", international)
        if region is not None and region_of(f"0{digits}", region) is not None:
            return Mended("lost_prefix", f"0{digits}")
        return None

    return lost_prefix


def _excel_date(form: str, table: RepairTable) -> Test:
    epoch = _EPOCHS["1904" if table.excel_date == "1904" else "repair"]

    def serial(text: str) -> Mended | None:
        moment = excel_date(text, epoch)
        return None if moment is None else Mended("excel_date", moment.strftime(form))

    return serial
