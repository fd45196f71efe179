"""What the platform says to requests that cannot have an effect: token, rights, scenario, clock. Pure, but for asking.

A probe asks for the profile with an id that no profile has. By `profile_id` nothing is ever created (documented), and
without a profile there is nobody to engage: the platform can only refuse, and how it does tells what we want to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from batchrunner.api.probes import ProbeAnswer
from batchrunner.doctor.findings import Finding, Findings, Verdict, is_bad
from batchrunner.model import Value

NOBODY = "000000000000000000000000"
"""The id of no profile."""

NOWHERE = 2_147_483_647
"""The id of no scenario."""

LARGEST_SKEW_S = 60.0
"""Between two clocks that are kept."""

DANGEROUS_SKEW_S = 300.0
"""The margin that a run leaves at the end of the window in which repeats are recognised."""


class Answered(Value, frozen=True):
    """A probe that was answered, and when."""

    answer: ProbeAnswer
    sent_ms: int
    came_ms: int


class Unanswered(Value, frozen=True):
    """A probe without an answer, and why."""

    code: str
    text: str


Told = Answered | Unanswered


class Probe(Value, frozen=True):
    """A body for a path of the API, under an id of its own where none is given."""

    path: str
    body: Mapping[str, Any]
    ids: tuple[tuple[str, str], ...] = ()
    """Headers with ids."""


Ask = Callable[[Sequence[Probe]], list[Told]]
"""Sends probes one after the other, up to the first without an answer."""


class Asked(Value, frozen=True):
    """What the job asks of the platform."""

    call: str = "workflows/import_and_start"
    """Its path behind `/api/v1.1/`; of a batch, that of the call for one row."""
    scenario: str | None = "workflow_id"
    """What the call names the field with the scenario; None: it engages nobody."""
    workflow_id: int | None = None
    """Of the scenario, or of the trigger campaign."""
    db_id: int | None = None
    listed: bool = True
    """It is a scenario, of which the platform has a list."""


LIST_CALL = "workflows/list"


def look_at_platform(asked: Asked, ask: Ask, token_from: str) -> Findings:
    """Ask about nobody by the job's own call, and about its scenario."""
    first = ask([about_nobody(asked)])[0]
    if isinstance(first, Unanswered):
        return [_silent(first)]
    findings = [_reached(first.answer), about_clock(first), *about_token(first.answer, asked.call, token_from)]
    if not is_bad(findings) and asked.scenario is not None and asked.workflow_id is not None:
        findings.append(_scenario(asked, asked.workflow_id, first.answer, ask))
    return findings


def _scenario(asked: Asked, workflow_id: int, refusal: ProbeAnswer, ask: Ask) -> Finding:
    """From the list of scenarios, where the token may read it; otherwise from how the platform refuses."""
    if asked.listed:
        listed = ask([Probe(LIST_CALL, {"from_id": workflow_id, "limit": 1})])[0]
        if isinstance(listed, Answered) and (found := about_listed(workflow_id, listed.answer)) is not None:
            return found
    nowhere = ask([about_nobody(replace(asked, workflow_id=NOWHERE))])[0]
    answers = [refusal, *([nowhere.answer] if isinstance(nowhere, Answered) else [])]
    return about_scenario(workflow_id, answers)


def about_listed(workflow_id: int, answer: ProbeAnswer) -> Finding | None:
    """What the documented list of scenarios says of one; None: this is no such list."""
    listed = answer.body.get("data") if isinstance(answer.body, dict) else None
    if answer.error != 0 or not isinstance(listed, list):
        return None
    found = next((one for one in listed if isinstance(one, dict) and one.get("id") == workflow_id), None)
    if found is None:
        return Finding(
            "scenario", Verdict.BAD, f"scenario {workflow_id} is not among those that the token may see",
            "correct target.workflow_id, or give the token's user access to the scenario",
        )  # fmt: skip
    text = f"scenario {workflow_id} is '{str(found.get('name', ''))[:60]}'"
    if found.get("is_active") is False:
        return Finding("scenario", Verdict.BAD, f"{text}, and it is not active", "activate it on the platform")
    return Finding("scenario", Verdict.OK, f"{text}, and active")


def about_nobody(asked: Asked, ids: tuple[tuple[str, str], ...] = ()) -> Probe:
    """The probe that can only be refused."""
    body: dict[str, Any] = {"matching": "profile_id", "profile_id": NOBODY}
    if asked.scenario is not None:
        body[asked.scenario] = asked.workflow_id or NOWHERE
    if asked.db_id is not None:
        body["db_id"] = asked.db_id
    return Probe(asked.call, body, ids)


def _silent(told: Unanswered) -> Finding:
    return Finding(
        "answer", Verdict.BAD, f"no answer to a request ({told.code}): {told.text}",
        "look at the lines above; if all of them are well, what differs is the HTTP engine: try "
        'target.transport = "httpx"',
    )  # fmt: skip


def _reached(answer: ProbeAnswer) -> Finding:
    """Whether it is the API at all that answers."""
    server = f" (server: {answer.server[:40]})" if answer.server else ""
    if answer.error is not None:
        return Finding("answer", Verdict.OK, f"the API answers{server}")
    if answer.location is not None:
        return Finding(
            "answer", Verdict.BAD, f"HTTP {answer.status}: the server redirects to {answer.location[:100]}",
            "redirects are not followed; write the address of the API itself in target.url",
        )  # fmt: skip
    return Finding(
        "answer", Verdict.BAD, f"HTTP {answer.status}, and not from the API{server}",
        "target.url is the address without /api; a proxy or a balancer in between may answer instead",
    )  # fmt: skip


def about_clock(told: Answered) -> Finding:
    """How far the two clocks are apart, as well as a header with whole seconds can say it."""
    if told.answer.at is None:
        return Finding("clock", Verdict.UNKNOWN, "the answer does not say what time it is there")
    here_s = (told.sent_ms + told.came_ms) / 2000
    skew_s = told.answer.at.timestamp() + 0.5 - here_s
    off_s = max(0.0, abs(skew_s) - (told.came_ms - told.sent_ms) / 2000 - 1)
    if off_s <= LARGEST_SKEW_S:
        return Finding("clock", Verdict.OK, "this machine and the server agree about the time")
    text = f"this machine is {off_s:.0f} s {'behind' if skew_s > 0 else 'ahead of'} the server"
    return Finding(
        "clock", Verdict.BAD if off_s > DANGEROUS_SKEW_S else Verdict.WARN, text,
        "set the clock of this machine (NTP): by it we reckon how long the platform recognises a repeated request",
    )  # fmt: skip


def about_token(answer: ProbeAnswer, call: str, token_from: str) -> Findings:
    """What the answer says of the token and of what it may do."""
    code = answer.error if answer.error is not None else answer.status
    match code:
        case 401:
            return [
                Finding(
                    "token", Verdict.BAD, f"the platform does not take the token of {token_from} ({answer.said})",
                    'look whether it is the right one, of this platform; old installations want token_in = "body"',
                )
            ]  # fmt: skip
        case 402:
            return [Finding("token", Verdict.BAD, f"the tariff limit is reached ({answer.said})", "ask the vendor")]
        case 403:
            return [
                Finding("token", Verdict.UNKNOWN, "the platform does not say whether it knows the token at all"),
                Finding(
                    "rights",
                    Verdict.BAD,
                    f"the token of {token_from} may not use {call} ({answer.said})",
                    "look whether it is the right one, of this platform, and give its user these rights there",
                ),
            ]
        case 501:
            return [
                Finding(
                    "rights", Verdict.BAD, f"this installation does not have the call ({answer.said})",
                    f"ask the vendor for a version with {call}, or choose another target.endpoint",
                )
            ]  # fmt: skip
        case _ if answer.error is not None and not 500 <= code < 600:  # noqa: PLR2004  the server's own trouble
            return [
                Finding("token", Verdict.OK, f"the platform takes the token of {token_from}"),
                Finding("rights", Verdict.OK, "nothing is forbidden as far as a refused request shows"),
            ]
        case _:
            return [Finding("token", Verdict.UNKNOWN, f"the platform said {answer.said}", "try again later")]


def about_scenario(workflow_id: int, answers: Sequence[ProbeAnswer]) -> Finding:
    """Told from how differently the platform refuses this scenario and one that does not exist."""
    if len(answers) < 2:  # noqa: PLR2004  this one and the other
        return Finding("scenario", Verdict.UNKNOWN, "the second question was not answered")
    ours, nowhere = (_without_number(one) for one in answers)
    if ours == nowhere:
        return Finding(
            "scenario", Verdict.UNKNOWN,
            f"the platform says the same of scenario {workflow_id} as of one that does not exist ({answers[0].said})",
            "look on the platform whether it exists, is activated, and can be started by the API; a first "
            "run with --limit 1 tells for certain",
        )  # fmt: skip
    return Finding("scenario", Verdict.OK, f"scenario {workflow_id} is known: it is refused otherwise than a wrong one")


def _without_number(answer: ProbeAnswer) -> tuple[int, int | None, str]:
    text = "".join(sign for sign in answer.text if not sign.isdigit())
    return answer.status, answer.error, text
