"""A proposal as a job file: what is sure stands there, what is not stands there as a comment to switch on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrunner.guess.findings import Finding
from batchrunner.guess.proposal import Plan, Proposal
from batchrunner.guess.remembered import Remembered
from batchrunner.guess.sampling import Sample

SANDBOX_URL = "http://127.0.0.1:8080"
SANDBOX_WORKFLOW = 12

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 112


@dataclass(frozen=True, slots=True)
class Known:
    """What the user knows and the file does not say; None where it was not said."""

    name: str
    path: str
    url: str | None = None
    workflow_id: int | None = None


def job_text(known: Known, sample: Sample, plan: Plan, remembered: Remembered | None = None) -> str:
    """The whole job file."""
    blocks = [
        _head(known),
        _source(known, sample),
        _target(known),
        *(_request_as_before(remembered, plan) if remembered else _request(plan)),
        _rules(remembered),
        _limits(),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _head(known: Known) -> list[str]:
    return [
        f"# Written by `batchrunner init` after a look at {_comment(known.path)}. Read it, then:",
        "#   batchrunner check JOB             judges every row without sending",
        "#   batchrunner preview JOB -n 3      shows exact request bodies",
        "#   batchrunner run JOB --sandbox     sends to a stand-in server",
        "# Lines that begin with `# ` and a key are proposals to switch on. What a key means: docs/job-file.md",
        "",
        f"name = {toml(known.name)}  # the ledger remembers by this name what was sent: keep it",
    ]


def _source(known: Known, sample: Sample) -> list[str]:
    by_key = {finding.key: finding for finding in sample.findings}
    lines = ["[source]", f"path = {toml(known.path)}"]
    for key, value in sample.options.items():
        lines.append(f"{key} = {toml(value)}{_reason(by_key.get(key))}")
    for key, finding in by_key.items():
        if key not in sample.options:
            lines.append(f"# {key} = {toml(finding.value)}{_reason(finding)}")
    return lines


def _reason(finding: Finding | None) -> str:
    return f"  # {finding.sure}: {_comment(finding.why)}" if finding else ""


def _target(known: Known) -> list[str]:
    lines = ["[target]"]
    if known.url is None:
        lines.append(f"url = {toml(SANDBOX_URL)}  # YOURS TO SAY: the platform, without /api; this is the sandbox")
    else:
        lines.append(f"url = {toml(known.url)}")
    if known.workflow_id is None:
        lines.append(f"workflow_id = {SANDBOX_WORKFLOW}  # YOURS TO SAY: the scenario; this is the sandbox's")
    else:
        lines.append(f"workflow_id = {known.workflow_id}")
    lines.append("# The token is no part of this file: set ALTCRAFT_TOKEN, or name a file that only you can read:")
    lines.append('# token_file = "altcraft.token"')
    return lines


# --- the request -------------------------------------------------------------------------------


def _request(plan: Plan) -> Iterator[list[str]]:
    head = ["[request]", f"# {_comment(plan.why)}", f"matching = {toml(plan.matching)}"]
    head += [f"{name} = {toml(node)}" for name, node in plan.search.items()]
    if not plan.search:
        head.append('# MISSING: whom a row is about. Name the column: email = { column = "…", as = "email" }')
    yield head
    yield _data(plan)
    yield _subscriptions(plan)
    yield _content(plan)


def _data(plan: Plan) -> list[str]:
    lines = ["[request.data]"]
    phones = [one for one in plan.proposals if one.target == "data.phones" and one.on]
    for one in plan.proposals:
        if one in phones:
            if one is phones[0]:
                for phone in phones:
                    lines += _because(phone)
                lines.append(f"phones = {toml(plan.phones)}")
            continue
        if one.target == "email" and one.node is None:  # its column is among those that are picked from
            lines += _because(one)
        elif one.target == "email":
            lines += _line(one, "email")
        elif one.target and one.target.startswith("data."):
            lines += _line(one, one.target.removeprefix("data."))
    if plan.matching == "custom":
        lines.append(f"{plan.search['field_name']} = {toml(plan.search['field_value'])}  # what it is looked up by")
    return lines


def _content(plan: Plan) -> list[str]:
    lines = ["[request.content]", "# {apicontent.NAME} in a message"]
    for one in plan.proposals:
        if one.target and one.target.startswith("content."):
            lines += _line(one, one.target.removeprefix("content."))
    return lines


def _line(one: Proposal, name: str) -> list[str]:
    """The reason above, then the key; switched off where it is only proposed."""
    lines = _because(one)
    mark = "" if one.on else "# "
    if one.alternatives:
        for target, node in one.alternatives if not _is_choice(one) else ((one.target, one.node), *one.alternatives):
            lines.append(f"{mark}{_key(str(target).rpartition('.')[2])} = {toml(node)}")
        return lines
    return [*lines, f"{mark}{_key(name)} = {toml(one.node)}"]


def _is_choice(one: Proposal) -> bool:
    """The alternatives stand beside the first proposal, and do not contain it."""
    return all(node != one.node for _, node in one.alternatives)


def _because(one: Proposal) -> list[str]:
    note = f" — {one.note}" if one.note else ""
    return [f"# {_comment(one.column)}: {one.sure}: {_comment(one.why)}{_comment(note)}"]


def _subscriptions(plan: Plan) -> list[str]:
    """Only the user knows the resources, and whom they may write to: nothing is switched on."""
    lines = ["# Where messages go: switch on, with the resources of your platform."]
    for channel, key in (("email", "email"), ("sms", "phone")):
        if key in plan.search:
            lines += [
                "# [[request.data.subscriptions]]",
                f'# channel = "{channel}"',
                "# resource_id = 1  # YOURS TO SAY",
                f"# {key} = {toml(plan.search[key])}",
            ]
    return lines


def _request_as_before(remembered: Remembered, plan: Plan) -> Iterator[list[str]]:
    """The request of a job that knew these columns; what it does not read is proposed beneath."""
    told = [f"# As {_comment(remembered.where)} has it: the same columns were mapped there."]
    yield [*told, *_tables("request", remembered.request)]
    rest = [one for one in plan.proposals if one.column not in remembered.columns]
    if rest:
        lines = ["# Columns that it does not read:"]
        for one in rest:
            lines += [*_because(one), f"#   {_comment(one.target or '')} = {toml(one.node)}"]
        yield lines


def _tables(name: str, table: Mapping[str, Any]) -> list[str]:
    """A table of the job file: what is short stands in a line, tables of the request have a heading of their own."""
    lines = [f"[{name}]"]
    inner = {key: value for key, value in table.items() if name == "request" and key in ("data", "content")}
    lines += [f"{_key(key)} = {toml(value)}" for key, value in table.items() if key not in inner]
    for key, value in inner.items():
        lines += ["", *_tables(f"{name}.{key}", value)]
    return lines


# --- the rest ----------------------------------------------------------------------------------


def _rules(remembered: Remembered | None) -> list[str]:
    if remembered and remembered.rules:
        return ["[rules]", *(f"{_key(key)} = {toml(value)}" for key, value in remembered.rules.items())]
    return [
        "[rules]",
        "# unchanged: a row is sent again when what would be sent has changed. identity: a person is engaged once.",
        "# file: each new file is sent whole.",
        'repeat = "unchanged"  # YOURS TO SAY',
    ]


def _limits() -> list[str]:
    return [
        "[limits]",
        "concurrency = 16  # requests in flight at once",
        '# rate = "50/s"',
        '# max_errors = "10%"  # stop when more of the rows go wrong: this may be the wrong export',
    ]


# --- TOML --------------------------------------------------------------------------------------


def toml(value: object) -> str:
    """A value as TOML writes it in a line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)


def _comment(text: str) -> str:
    """A text that stays in its comment: nothing in it can end the line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines cut where a terminal ends."""
    return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines]
