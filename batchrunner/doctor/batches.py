"""How an installation wants to be asked about many profiles: batches of one, in each way. Pure, but for asking.

First about nobody: without a profile there is nothing to change and nobody to engage, and a way that is understood is
answered with an item of its own. Where that tells nothing, the profile that the user has named: imported without any
field, or, where the call engages and the user has agreed to that very thing, engaged once: the first answer that says
success is the last one asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from batchrunner.api.probes import ProbeAnswer
from batchrunner.doctor.findings import Finding, Findings, Verdict
from batchrunner.doctor.platform import NOBODY, NOWHERE, Answered, Ask, Asked, Probe, Unanswered
from batchrunner.doctor.repeats import Consent, search_of
from batchrunner.model import Value

REFUSED_AS_WRITTEN = (400, 450)
"""Of an item: "incorrect request", which is what an item that is not understood gets."""

PROBED_FIELD = {"_fname": "batchrunner doctor"}
"""Goes along with nobody, so that a flat item cannot be taken for a wrapped one; it is stored nowhere."""


class Way(Value, frozen=True):
    """How an item of a batch is written, as `batch.item` and `batch.key` say it."""

    item: Literal["wrapped", "flat"]
    key: Literal["beside", "inside"] = "beside"

    @property
    def said(self) -> str:
        """For people."""
        return "flat" if self.item == "flat" else f"wrapped, with the key {self.key} `data`"

    @property
    def keys(self) -> str:
        """As a job file has it."""
        inside = ' and batch.key = "inside"' if self.key == "inside" else ""
        return f'batch.item = "{self.item}"{inside}'


WAYS = (Way("wrapped"), Way("wrapped", "inside"), Way("flat"))


class Batches(Value, frozen=True):
    """What a job's batches are made by."""

    call: str
    scenario: str | None
    """What the call names the field with the scenario; None: it engages nobody."""
    number: int | None
    """Of the scenario."""
    db_id: int | None
    way: Way
    """As the job writes it now."""
    queued: bool


class Shape(Value, frozen=True):
    """What was found out."""

    findings: Findings
    way: Way | None = None
    """The one that is understood; None: it is not known."""


def batches_of(asked: Asked, call: str, way: Way, *, queued: bool) -> Batches:
    """The batches of a job that asks this of the platform."""
    return Batches(call, asked.scenario, asked.workflow_id, asked.db_id, way, queued)


def look_at_batches(batches: Batches, consent: Consent | None, ask: Ask) -> Shape:
    """Try the ways in which a batch can be written, the job's own first."""
    if consent is None:
        return Shape([_not_agreed(batches)])
    ways = (batches.way, *(way for way in WAYS if way != batches.way))
    nobody = {"matching": "profile_id", "profile_id": NOBODY}
    told: dict[Way, ProbeAnswer] = {}
    for way in ways:
        answer = ask([_probe(batches, way, nobody, PROBED_FIELD)])[0]
        if isinstance(answer, Unanswered):
            return Shape([_silent(answer)])
        told[way] = answer.answer
    understood = [way for way, answer in told.items() if _is_understood(answer, batches)]
    if understood and not (batches.queued and len(understood) == len(ways)):
        return _found(batches, understood, "about nobody")
    if batches.scenario is None:
        return _by_import(batches, ways, consent, ask)
    if not consent.engage:
        return Shape([_needs_more(batches, told[batches.way])])
    return _by_engaging(batches, ways, consent, ask)


def _by_import(batches: Batches, ways: Iterable[Way], consent: Consent, ask: Ask) -> Shape:
    answers = list(_named(batches, ways, consent, ask))
    understood = [way for way, answer in answers if answer is not None and _is_understood(answer, batches)]
    return _found(batches, understood, "that imported the profile you named") if understood else _none(batches, answers)


def _by_engaging(batches: Batches, ways: Iterable[Way], consent: Consent, ask: Ask) -> Shape:
    """Stops at the first answer that says success: whoever was engaged is not engaged again."""
    answers: list[tuple[Way, ProbeAnswer | None]] = []
    for way, answer in _named(batches, ways, consent, ask):
        answers.append((way, answer))
        if answer is None:
            break
        if _is_understood(answer, batches):
            return _found(batches, [way], "that engaged the profile you named")
        if answer.error == 0:
            return Shape([_of_another_shape(way)])
    return _none(batches, answers)


def _named(
    batches: Batches, ways: Iterable[Way], consent: Consent, ask: Ask
) -> Iterator[tuple[Way, ProbeAnswer | None]]:
    for way in ways:
        told = ask([_probe(batches, way, search_of(consent), {})])[0]
        yield way, told.answer if isinstance(told, Answered) else None


def _probe(batches: Batches, way: Way, search: Mapping[str, Any], fields: Mapping[str, Any]) -> Probe:
    """A batch of one."""
    key = {name: value for name, value in search.items() if name != "matching"}
    body: dict[str, Any] = {"matching": search["matching"], "skip_triggers": True}
    if batches.scenario is not None:
        body[batches.scenario] = batches.number or NOWHERE
    if batches.db_id is not None:
        body["db_id"] = batches.db_id
    match way:
        case Way(item="flat"):
            item = {**key, **fields}
        case Way(key="inside"):
            item = {"data": {**key, **fields}}
        case _:
            item = {**key, "data": dict(fields)}
    return Probe(batches.call, {**body, "data": [item]})


def _is_understood(answer: ProbeAnswer, batches: Batches) -> bool:
    """An item of its own for the one row, which says more than that it cannot be read; of a queue, a task."""
    body = answer.body if isinstance(answer.body, dict) else {}
    if batches.queued and answer.error == 0 and "task_id" in body:
        return True
    result = body.get("result")
    item = result[0] if isinstance(result, list) and len(result) == 1 else None
    code = item.get("error") if isinstance(item, dict) else None
    return isinstance(code, int | str) and str(code).strip() not in map(str, REFUSED_AS_WRITTEN)


# --- what is said ----------------------------------------------------------------------------------


def _found(batches: Batches, understood: list[Way], by: str) -> Shape:
    if batches.way in understood:
        others = "" if len(understood) == 1 else "; other ways are answered alike"
        text = f"a batch is understood as the job writes it: {batches.way.said} (told by one {by}){others}"
        return Shape([Finding("batch", Verdict.OK, text)], batches.way)
    way = understood[0]
    text = f"a batch is not understood as the job writes it ({batches.way.said}), but {way.said} (told by one {by})"
    return Shape([Finding("batch", Verdict.BAD, text, f"set {way.keys}; --save does")], way)


def _none(batches: Batches, answers: list[tuple[Way, ProbeAnswer | None]]) -> Shape:
    said = "; ".join(f"{way.said}: {answer.said if answer else 'no answer'}" for way, answer in answers)
    return Shape([
        Finding(
            "batch", Verdict.BAD, f"{batches.call} is understood in no way that we know: {said}",
            "ask the vendor how it is written, or set target.endpoint to the call about one profile",
        )
    ])  # fmt: skip


def _not_agreed(batches: Batches) -> Finding:
    return Finding(
        "batch", Verdict.SKIPPED, f"how {batches.call} wants to be asked is not documented, and was not tried",
        "agree to it by naming a profile of your own: --probe-profile you@example.com --db-id N; a run finds out by "
        "itself, with a batch of one row",
    )  # fmt: skip


def _needs_more(batches: Batches, answer: ProbeAnswer) -> Finding:
    return Finding(
        "batch", Verdict.UNKNOWN, f"batches about nobody do not tell which way is understood ({answer.said})",
        f"to find out, the profile that you named has to be engaged in scenario {batches.number}: --probe-engage; or "
        "let a run find out with its first row (--limit 1)",
    )  # fmt: skip


def _of_another_shape(way: Way) -> Finding:
    return Finding(
        "batch", Verdict.BAD, f"a batch written {way.said} was carried out, but its answer has no list of one result",
        "rows of such batches would be in doubt: set target.endpoint to the call about one profile",
    )  # fmt: skip


def _silent(told: Unanswered) -> Finding:
    return Finding("batch", Verdict.UNKNOWN, f"no answer to a batch ({told.code}): {told.text}", "try again later")
