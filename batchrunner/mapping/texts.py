"""The mapping as a text that can be stored and read again: what of a job decides keys and payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from batchrunner.config import AS_IT_STANDS, Cell, Job, Node
from batchrunner.endpoints import DEFAULT
from batchrunner.errors import ConfigError

_READING = (
    "escape",
    "header",
    "columns",
    "skip_lines",
    "skip_footer",
    "extra_fields",
    "missing_fields",
    "member",
    "sheet",
)
"""What else decides which cells a record has."""

_NUMBERS = ("workflow_id", "trigger_id", "db_id")


def mapping_text(job: Job) -> str:
    """Canonical JSON of everything in the job that keys and payloads depend on: equal texts, equal requests."""
    table = {
        "name": job.name,
        "installation": job.target.origin,
        **_call(job),
        "request": _request(job),
        "rules": _rules(job),
        "source": _reading(job),
        # Always there, so that a mapping from before there were repairs is told from one that asks for the usual ones.
        "repair": job.repair.model_dump(exclude_defaults=True),
    }
    return json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _call(job: Job) -> dict[str, object]:
    """What is asked for. The call itself only where it is not the first one that there was, as in `_request`."""
    target = job.target
    numbers = {name: number for name in _NUMBERS if (number := getattr(target, name)) is not None}
    if target.call.database == "no":  # it is for the steps of other calls, and keys know nothing of it
        numbers.pop("db_id", None)
    return numbers if target.call.family == DEFAULT.family else {"call": target.call.family, **numbers}


def reads_alike(text: str, job: Job) -> bool:
    """Whether an earlier mapping read files as the job does now: only then can it be compared row by row."""
    return bool(json.loads(text).get("source") == _reading(job))


def _reading(job: Job) -> dict[str, object]:
    source = job.source
    always = {name: getattr(source, name) for name in ("encoding", "delimiter", "quote", "format")}
    # As in `_request`: an option that is not used must not make a mapping from before it existed look changed.
    fields = type(source).model_fields
    used = {name: getattr(source, name) for name in _READING if getattr(source, name) != fields[name].default}
    return {**always, **{name: list(value) if isinstance(value, tuple) else value for name, value in used.items()}}


def _rules(job: Job) -> dict[str, object]:
    """`when` only where there is one: it came later, and old mappings must not look changed."""
    rules = job.rules
    return {"repeat": rules.repeat, "empty": rules.empty, **({} if rules.when is None else {"when": rules.when})}


def _request(job: Job) -> dict[str, object]:
    """Without defaults: options that come with later versions must not make old mappings look changed."""
    written = {}
    for name, field in type(job.request).model_fields.items():
        value = getattr(job.request, name)
        if value != field.get_default(call_default_factory=True):
            written[name] = _plain(value)
    return written


def _plain(node: Node) -> object:
    match node:
        case Cell():
            return node.model_dump(by_alias=True, exclude_defaults=True)
        case Mapping():
            return {name: _plain(part) for name, part in node.items()}
        case tuple():
            return [_plain(part) for part in node]
    return node


def job_from_mapping_text(text: str, job: Job) -> Job:
    """The job as it would be with an earlier mapping; source, limits and connection stay. Raises ConfigError."""
    try:
        return Job.model_validate(_table(json.loads(text), job))
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{job.file.name}: the mapping of an earlier run cannot be read by this version ({type(error).__name__})"
        ) from None


def _table(mapping: Mapping[str, Any], job: Job) -> dict[str, object]:
    # The way that requests take is not told by keys: everything is compared as if it went in one step.
    other = {*_NUMBERS, "mode"}
    target = {name: getattr(job.target, name) for name in job.target.model_fields_set if name not in other}
    numbers = {name: mapping[name] for name in _NUMBERS if name in mapping}
    installation = mapping["installation"]
    rules = {name: getattr(job.rules, name) for name in job.rules.model_fields_set - {"when", "on_change"}}
    return {
        "name": mapping["name"],
        "source": job.source,
        "target": {**target, **numbers, "endpoint": mapping.get("call", DEFAULT.name), "installation": installation},
        "request": mapping["request"],
        "rules": {**rules, **mapping["rules"]},
        "limits": job.limits,
        "repair": mapping.get("repair", AS_IT_STANDS),
        "file": job.file,
    }
