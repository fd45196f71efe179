"""The JSON Schema of job files, as editors use it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import batchrunner
from batchrunner.config import job_schema, load_job

SHIPPED = Path(batchrunner.__file__).parent / "job.schema.json"
SAMPLES = sorted((Path(batchrunner.__file__).parents[1] / "sample_data").glob("*.toml"))

KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def fits(value: object, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value is valid: as much of JSON Schema as ours needs, and an error for what is more."""
    schema = dict(schema)
    for note in ("title", "description", "default", "examples", "$defs", "$schema"):
        schema.pop(note, None)
    return all(_CHECKS[word](value, wanted, schema, root) for word, wanted in schema.items())


def _type(value: object, wanted: str | list[str], *_: object) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, KINDS[name]) for name in names)


def _additional(value: object, wanted: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    rest = [part for name, part in value.items() if name not in schema.get("properties", {})]
    return not rest if wanted is False else wanted is True or all(fits(part, wanted, root) for part in rest)


_CHECKS: dict[str, Any] = {
    "$ref": lambda v, w, _, root: fits(v, root["$defs"][w.removeprefix("#/$defs/")], root),
    "type": _type,
    "const": lambda v, w, *_: v == w,
    "enum": lambda v, w, *_: v in w,
    "anyOf": lambda v, w, _, root: any(fits(v, one, root) for one in w),
    "pattern": lambda v, w, *_: not isinstance(v, str) or re.search(w, v) is not None,
    "minimum": lambda v, w, *_: not isinstance(v, int) or v >= w,
    "maximum": lambda v, w, *_: not isinstance(v, int) or v <= w,
    "minLength": lambda v, w, *_: not isinstance(v, str) or len(v) >= w,
    "maxLength": lambda v, w, *_: not isinstance(v, str) or len(v) <= w,
    "items": lambda v, w, _, root: not isinstance(v, list) or all(fits(one, w, root) for one in v),
    "required": lambda v, w, *_: not isinstance(v, dict) or set(w) <= set(v),
    "properties": lambda v, w, _, root: (
        not isinstance(v, dict) or all(fits(v[name], one, root) for name, one in w.items() if name in v)
    ),
    "additionalProperties": _additional,
}

GOOD: dict[str, Any] = {
    "name": "crm",
    "source": {"path": "x.csv"},
    "target": {"url": "https://a.example.com", "workflow_id": 1},
    "request": {"email": {"column": "E-mail", "as": "email"}},
}


def test_the_shipped_schema_is_that_of_the_code() -> None:
    """`make schema` writes it."""
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == job_schema()


def test_every_reference_leads_somewhere() -> None:
    """And no stand-in is left."""
    schema = job_schema()
    referred = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert "Cell" in referred
    assert referred <= set(schema["$defs"])
    assert "<cell>" not in json.dumps(schema)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_job_file_that_loads_fits_the_schema(path: Path) -> None:
    """The ones that we ship."""
    table = json.loads(json.dumps(tomllib.loads(path.read_text(encoding="utf-8"))))
    assert load_job(path).name == table["name"]
    assert fits(table, job_schema(), job_schema())


def test_there_are_job_files_to_hold_against_the_schema() -> None:
    """Or the test above would hold nothing."""
    assert SAMPLES


@pytest.mark.parametrize(
    ("section", "values", "valid"),
    [
        ("limits", {"rate": "50/s", "max_errors": "5%", "backoff": "250ms"}, True),
        ("limits", {"max_errors": 5}, True),
        ("request", {"email": "{E-mail}", "data": {"a": [1, {"b": {"column": "C", "as": "int"}}]}}, True),
        ("limits", {"rate": 50}, False),
        ("limits", {"backoff": "30"}, False),
        ("limits", {"max_errors": "101 rows"}, False),
        ("limits", {"concurrency": "auto", "concurrency_max": 64}, True),
        ("limits", {"concurrency": 0}, False),
        ("limits", {"concurrency": "16"}, False),
        ("limits", {"concurency": 4}, False),
        ("rules", {"repeat": "never"}, False),
        ("target", {"workflow_id": 1}, False),
        ("target", {"url": "https://a", "endpoint": "profiles/import", "db_id": 1}, True),
        ("target", {"url": "https://a", "endpoint": "profiles/impart", "db_id": 1}, False),
        ("target", {"url": "a", "workflow_id": 1}, False),
        ("source", {"path": "x", "delimiter": ";;"}, False),
        ("source", {"path": "x", "file": "y"}, False),
        ("request", {"matching": "mail", "email": "x"}, False),
    ],
)
def test_the_schema_tells_right_from_wrong(section: str, values: dict[str, Any], valid: bool) -> None:
    """As the program does."""
    schema = job_schema()
    assert fits(GOOD, schema, schema)
    assert fits({**GOOD, section: values}, schema, schema) == valid
