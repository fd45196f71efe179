"""What the platform says to requests that cannot have an effect: token, rights, scenario, clock. Pure, but for asking.

A probe asks for the profile with an id that no profile has. By `profile_id` nothing is ever created (documented), and
without a profile there is nobody to engage: the platform can only refuse, and how it does tells what we want to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchrunner.api.probes import ProbeAnswer
from batchrunner.doctor.findings import Finding, Findings, Verdict
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

MAIN_CALL = "workflows/import_and_start"


def look_at_platform(workflow_id: int | None, ask: Ask, token_from: str) -> Findings:
    """Ask about the job's scenario, and about one that does not exist, and compare."""
    told = ask([about_nobody(one) for one in (workflow_id or NOWHERE, NOWHERE)])
    first = told[0]
    if isinstance(first, Unanswered):
        return [_silent(first)]
    findings = [_reached(first.answer), about_clock(first)]
    token = about_token(first.answer, token_from)
    findings += token
    if not any(one.verdict is Verdict.BAD for one in findings) and workflow_id is not None:
        findings.append(about_scenario(workflow_id, [one.answer for one in told if isinstance(one, Answered)]))
    return findings


def about_nobody(workflow_id: int, ids: tuple[tuple[str, str], ...] = ()) -> Probe:
    """The probe that can only be refused."""
    return Probe(MAIN_CALL, {"matching": "profile_id", "profile_id": NOBODY, "workflow_id": workflow_id}, ids)


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


def about_token(answer: ProbeAnswer, token_from: str) -> Findings:
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
                    f"the token of {token_from} may not import and start scenarios ({answer.said})",
                    "look whether it is the right one, of this platform, and give its user these rights there",
                ),
            ]
        case 501:
            return [
                Finding(
                    "rights", Verdict.BAD, f"this installation does not have the call ({answer.said})",
                    "ask the vendor for a version with workflows/import_and_start",
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
