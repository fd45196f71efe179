"""Reading a job file: every mistake becomes one sentence that names the file, the key and the nearest right name."""

from __future__ import annotations

import difflib
import inspect
import json
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from batchrunner.config.job import Job
from batchrunner.config.nodes import CELL_MARK, Cell
from batchrunner.errors import ConfigError

OURS = ("file", "insecure")
"""Fields of a Job that no file may set."""


def load_job(path: Path) -> Job:
    """Read and validate a job file. Raises ConfigError with every mistake found, one sentence a line."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name an existing job file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save the job file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    if "file" in table:
        raise ConfigError(f"{path}: unknown key 'file'; the export is named by `path` under [source]")
    if "insecure" in table:
        raise ConfigError(f"{path}: unknown key 'insecure'; it is no habit: give --insecure with the command")
    return _validate(table, path)


def _validate(table: Mapping[str, Any], path: Path) -> Job:
    try:
        return Job.model_validate({**table, "file": path.absolute()})
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error, path))) from None


def with_overrides(job: Job, overrides: Mapping[str, Mapping[str, object]]) -> Job:
    """The job with some keys set by the command line, validated as if they stood in the file."""
    said = {name: getattr(job, name) for name in job.model_fields_set - {"file"}}
    table = {name: _written(value) if isinstance(value, BaseModel) else value for name, value in said.items()}
    for section, values in overrides.items():
        table[section] = {**table.get(section, {}), **values}
    return _validate({"insecure": job.insecure, **table}, job.file)


def _written(table: BaseModel) -> dict[str, object]:
    """Only what the file says: a default that is written out would no longer be one."""
    return {name: getattr(table, name) for name in table.model_fields_set}


def job_schema() -> dict[str, Any]:
    """The JSON Schema of a job file, for editors."""
    text = json.dumps(Job.model_json_schema(by_alias=True))
    schema: dict[str, Any] = json.loads(text.replace(f'{{"const": "{CELL_MARK}"}}', '{"$ref": "#/$defs/Cell"}'))
    for name in OURS:
        del schema["properties"][name]
    schema.setdefault("$defs", {})["Cell"] = Cell.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "batchrunner job file"}


# --- sentences ---------------------------------------------------------------------------------


def _sentences(error: ValidationError, path: Path) -> list[str]:
    return [f"{path}: {_sentence(dict(problem))}" for problem in error.errors(include_url=False)]


def _sentence(problem: dict[str, Any]) -> str:
    location: Sequence[int | str] = problem["loc"]
    where = _where(location)
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key '{where}'{_nearest(str(location[-1]), _siblings(location))}"
        case "missing":
            return f"'{where}' is missing; it is required"
        case "literal_error":
            return f"'{where}' is {problem['input']!r}; it must be {problem['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"'{where}' is {problem['input']!r}; it must look like {problem['ctx']['pattern']}"
        case "model_type" | "dict_type":
            return f"'{where}' must be a table, as in [{where}]"
        case "tuple_type":
            return f"'{where}' must be a list, as in {location[-1]} = [...]"
    message = problem["msg"]
    return f"'{where}': {message[:1].lower()}{message[1:]}" if where else message


def _where(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location)


def _siblings(location: Sequence[int | str]) -> list[str]:
    """The names that would have been right where an unknown key stands."""
    model: type[BaseModel] | None = Job
    for part in location[:-1]:
        field = model.model_fields.get(str(part)) if model else None
        model = _model_of(field.annotation) if field else Cell
    fields = (model or Cell).model_fields
    return [info.alias or name for name, info in fields.items() if name not in OURS]


def _model_of(annotation: object) -> type[BaseModel] | None:
    # list[str] and the like answer to `type` too, but are no classes to ask about.
    if inspect.isclass(annotation) and not typing.get_origin(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_of, typing.get_args(annotation)) if m), None)


def _nearest(name: str, right: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, right, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known here: {', '.join(right)}"
