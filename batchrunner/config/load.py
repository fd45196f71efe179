"""Reading a job file: every mistake becomes one sentence that names the file, the key and the nearest right name."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import stat
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

TOKEN_VARIABLE = "ALTCRAFT_TOKEN"  # noqa: S105  the name of a variable, not a token

CREDENTIAL = "altcraft-token"  # what a unit of systemd calls the token it hands over (LoadCredential)


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


def read_token(job: Job, environment: Mapping[str, str] = os.environ) -> str:
    """The API token, from systemd, `token_file` or the environment. Raises ConfigError, without the token in it."""
    handed_over = Path(environment.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    if "CREDENTIALS_DIRECTORY" in environment and handed_over.is_file():
        # systemd sees to who can read it, with an access list that its mode does not show.
        return _token_from_file(handed_over, private=False)
    if job.target.token_file is not None:
        return _token_from_file(job.beside(job.target.token_file))
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError(
            f"{job.file}: no API token; set {TOKEN_VARIABLE} in the environment, or `token_file` under [target]"
        )
    return _checked(token, TOKEN_VARIABLE)


def _token_from_file(path: Path, *, private: bool = True) -> str:
    return _checked(_text_of(path, "token file", private=private), str(path))


def read_secret(path: Path) -> str:
    """What a file holds that nobody else may read. Raises ConfigError, without the secret in it."""
    if not (secret := _text_of(path, "file of a secret", private=True)):
        raise ConfigError(f"{path}: is empty; write the secret into it")
    return secret


def _text_of(path: Path, what: str, *, private: bool) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the {what} cannot be read ({error.__class__.__name__})") from None
    if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: other users can read the {what}; run: chmod 600 {path}")
    return text


def _checked(token: str, origin: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{origin}: does not hold one token; it must be one word of printable ASCII characters")
    return token


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
