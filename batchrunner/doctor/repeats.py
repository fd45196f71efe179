"""Whether the installation recognises a repeated request, and by which header. Pure, but for asking.

First with the probe that can only be refused: an installation that replays its refusals has shown all there is to know,
and of the very call that a run makes. Where it does not, one that has an effect has to be repeated: importing, without
any field, a profile that the user has named and agreed to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from batchrunner.api.probes import ID_HEADERS
from batchrunner.doctor.findings import Finding, Findings, Verdict
from batchrunner.doctor.platform import Answered, Ask, Asked, Probe, about_nobody
from batchrunner.model import Value

IMPORT_CALL = "profiles/import"
_PROFILE_ID = re.compile(r"[0-9a-f]{24}")


class Consent(Value, frozen=True):
    """A profile that may be imported, and that somebody has agreed to it."""

    profile: str
    """An e-mail address, or the 24 digits of a profile id."""
    db_id: int
    engage: bool = False
    """It may be engaged in the job's scenario as well, once, by a batch of one."""


class Repeats(Value, frozen=True):
    """What was found out."""

    findings: Findings
    recognised_by: tuple[str, ...] | None = None
    """The headers by which repeats are recognised; empty: by none; None: it is not known."""


def look_at_repeats(
    asked: Asked, consent: Consent | None, ask: Ask, new_id: Callable[[], str], *, says_it_does: bool
) -> Repeats:
    """Send one request twice under one id, for each of the headers. `says_it_does` is what the job file believes."""

    def refused(ids: tuple[tuple[str, str], ...]) -> Probe:
        return about_nobody(asked, ids)

    found = _recognised(refused, ask, new_id)
    if found:
        return Repeats(_known(found, "refused", says_it_does=says_it_does), found)
    if consent is None:
        return Repeats([_not_told()])
    body = import_of(consent)

    def imported(ids: tuple[tuple[str, str], ...]) -> Probe:
        return Probe(IMPORT_CALL, body, ids)

    first = ask([imported(_ids(ID_HEADERS, new_id()))])[0]
    if not isinstance(first, Answered) or first.answer.error != 0:
        return Repeats([_probe_refused(first.answer.said if isinstance(first, Answered) else first.text)])
    found = _recognised(imported, ask, new_id)
    if found is None:
        return Repeats([_not_told()])
    return Repeats(_known(found, "imported", says_it_does=says_it_does), found)


def import_of(consent: Consent) -> Mapping[str, Any]:
    """An import that changes nothing of a profile that exists, and starts nothing."""
    return {"db_id": consent.db_id, **search_of(consent), "data": {}, "skip_triggers": True}


def search_of(consent: Consent) -> Mapping[str, str]:
    """How the profile is looked up."""
    if _PROFILE_ID.fullmatch(consent.profile):
        return {"matching": "profile_id", "profile_id": consent.profile}
    return {"matching": "email", "email": consent.profile}


def _recognised(
    probe: Callable[[tuple[tuple[str, str], ...]], Probe], ask: Ask, new_id: Callable[[], str]
) -> tuple[str, ...] | None:
    found = []
    for header in ID_HEADERS:
        ids = _ids((header,), new_id())
        told = ask([probe(ids), probe(ids)])
        if len(told) < 2 or not isinstance(told[1], Answered):  # noqa: PLR2004  the first and its repeat
            return None
        if told[1].answer.replayed:
            found.append(header)
    return tuple(found)


def _ids(headers: tuple[str, ...], value: str) -> tuple[tuple[str, str], ...]:
    return tuple((header, value) for header in headers)


def _known(found: tuple[str, ...], kind: str, *, says_it_does: bool) -> Findings:
    if not found:
        advice = "set target.deduplicates = false: rows in doubt then wait for you" if says_it_does else None
        return [
            Finding(
                "repeats", Verdict.BAD if says_it_does else Verdict.WARN,
                f"the installation does not recognise a repeated request: one that was {kind} was carried out twice",
                advice,
            )
        ]  # fmt: skip
    repeats = Finding("repeats", Verdict.OK, f"the installation recognises a repeated request (one that was {kind})")
    if not says_it_does:
        repeats = Finding(
            "repeats", Verdict.WARN, f"{repeats.text}, and the job says that it does not",
            "set target.deduplicates = true: rows in doubt are then sent again by themselves",
        )  # fmt: skip
    return [repeats, Finding("id header", Verdict.OK, f"repeats are recognised by {' and by '.join(found)}")]


def _not_told() -> Finding:
    return Finding(
        "repeats", Verdict.UNKNOWN, "whether a repeated request is recognised does not show in refused ones",
        "name a profile of your own that may be imported, without any field: "
        "--probe-profile you@example.com --db-id N",
    )  # fmt: skip


def _probe_refused(said: str) -> Finding:
    return Finding(
        "repeats", Verdict.UNKNOWN, f"the profile that was named cannot be imported: {said}",
        "look at --db-id and at the rights of the token; the token may do less than profiles/import needs",
    )  # fmt: skip
