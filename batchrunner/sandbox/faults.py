"""Everything that can be made to go wrong, as one table.

A fault is named `KIND[-NUMBER][-before|-after]`, for example `drop-after`, `fail-435`, `html-502`, `slow-0.5`.
The name works in two places: as a share of all requests (`--fault drop-after:2`), and inside the local part of the
search value, where `-once` or `-timesN` may follow: `ann+drop-after-once@example.com`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from batchrunner.sandbox.answers import Reply


class Moment(StrEnum):
    """On which side of the effect (profile imported, engagement recorded) a fault strikes."""

    BEFORE = "before"
    AFTER = "after"


class Layer(StrEnum):
    """Who goes wrong: the platform while it executes, or whatever carries the answer back.

    What the platform answers is remembered for repeats; what happens to the answer on its way never is.
    """

    EXECUTION = "execution"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Kind:
    """A line of the table. `moment` is when it strikes unless the name says it; None: by the HTTP status."""

    layer: Layer
    number: str
    moment: Moment | None
    may_say_moment: bool
    meaning: str


FAULT_NAMES: Final = (
    "fail-CODE, poison-CODE, short, noid, slow-SECONDS, drop-before, drop-after, half-after, html-STATUS, "
    "empty-STATUS, http-STATUS, redirect"
)
_NONE: Final = ""
_API_CODE: Final = r"[1-9]\d{2}"
_HTTP_STATUS: Final = r"[2-5]\d{2}"
_SECONDS: Final = r"\d+(?:\.\d+)?"

KINDS: Final = {
    "fail": Kind(Layer.EXECUTION, _API_CODE, Moment.BEFORE, True, "the API error CODE is answered"),
    "poison": Kind(Layer.EXECUTION, _API_CODE, Moment.BEFORE, False, "a batch with it is refused whole with CODE"),
    "short": Kind(Layer.EXECUTION, _NONE, Moment.AFTER, False, "a batch with it is answered with one result too few"),
    "noid": Kind(Layer.EXECUTION, _NONE, Moment.AFTER, False, "success without profile_id"),
    "slow": Kind(Layer.EXECUTION, _SECONDS, Moment.AFTER, False, "answered SECONDS later"),
    "drop": Kind(Layer.DELIVERY, _NONE, Moment.AFTER, True, "connection closed without an answer"),
    "half": Kind(Layer.DELIVERY, _NONE, Moment.AFTER, False, "headers and half of the body, then a reset"),
    "html": Kind(Layer.DELIVERY, _HTTP_STATUS, None, True, "an HTML page with this HTTP status"),
    "empty": Kind(Layer.DELIVERY, _HTTP_STATUS, None, True, "an empty body with this HTTP status"),
    "http": Kind(Layer.DELIVERY, _HTTP_STATUS, Moment.BEFORE, True, "this HTTP status in plain text (429, 503: wait)"),
    "redirect": Kind(Layer.DELIVERY, _NONE, Moment.BEFORE, True, "302 to a page that does not exist"),
}

# The number is checked against the kind's own pattern afterwards.
_GRAMMAR: Final = rf"(?P<kind>{'|'.join(KINDS)})(?:-(?P<number>\d+(?:\.\d+)?))?(?:-(?P<moment>before|after))?"
_NAME: Final = re.compile(_GRAMMAR)
_AIMED: Final = re.compile(rf"\+{_GRAMMAR}(?:-(?:(?P<once>once)|times(?P<times>\d+)))?(?=[@+]|$)")
_FIRST_ERROR_STATUS: Final = 400
_HTML: Final = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    kind: str
    layer: Layer
    moment: Moment
    number: float


@dataclass(frozen=True, slots=True)
class Aimed:
    """A fault that a search value asks for; `times` None: each time."""

    fault: Fault
    times: int | None


def parse_fault(name: str) -> Fault:
    """The fault with this name. Raises ValueError with one clear sentence."""
    found = _NAME.fullmatch(name)
    fault = _fault(found) if found else None
    if fault is None:
        msg = f"unknown fault {name!r}: expected one of {FAULT_NAMES}"
        raise ValueError(msg)
    return fault


@lru_cache(maxsize=1024)
def aimed_by(value: str) -> Aimed | None:
    """The fault that a search value asks for, if it does."""
    found = _AIMED.search(value)
    fault = _fault(found) if found else None
    if found is None or fault is None:
        return None
    times = 1 if found["once"] else int(found["times"]) if found["times"] else None
    return Aimed(fault, times)


def page_of(fault: Fault) -> Reply | None:
    """The page that comes in the place of the platform's answer, if the fault brings one."""
    status = int(fault.number)
    match fault.kind:
        case "html":
            return Reply(status, "text/html; charset=utf-8", _HTML.format(_title(status)).encode())
        case "empty":
            return Reply(status, "text/plain; charset=utf-8", b"")
        case "http":
            return plain(status)
        case "redirect":
            return Reply(302, "text/plain; charset=utf-8", b"", headers=(("Location", "/elsewhere"),))
        case _:
            return None


def plain(status: int) -> Reply:
    """A page as a proxy writes it: the status in words, with `Retry-After` where waiting helps."""
    wait = (("Retry-After", "1"),) if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} else ()
    return Reply(status, "text/plain; charset=utf-8", f"{_title(status)}\n".encode(), headers=wait)


def _fault(found: re.Match[str]) -> Fault | None:
    kind, number = KINDS[found["kind"]], found["number"] or ""
    if not re.fullmatch(kind.number, number) or (found["moment"] and not _may_say(kind, found)):
        return None
    moment = Moment(found["moment"]) if found["moment"] else kind.moment or _moment_of_status(int(number))
    name = found[0].removeprefix("+").removesuffix("-once").split("-times")[0]
    return Fault(name, found["kind"], kind.layer, moment, float(number or 0))


def _may_say(kind: Kind, found: re.Match[str]) -> bool:
    # Saying what is so anyway ("half-after") is always allowed.
    return kind.may_say_moment or found["moment"] == kind.moment


def _moment_of_status(status: int) -> Moment:
    # An error page reads as "never got through"; a 2xx page that is not the answer, as "done, but the answer is lost".
    return Moment.BEFORE if status >= _FIRST_ERROR_STATUS else Moment.AFTER


def _title(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
