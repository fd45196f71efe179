"""What may stand in `[request]`: constants, texts with placeholders, and cells of the row with their options."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError


class Table(BaseModel):
    """A table of the job file: unknown keys are refused, values are what they look like."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


Conversion = Literal[
    "text", "int", "float", "bool", "date", "datetime", "phone", "email", "list", "json", "base64", "file", "url"
]
Empty = Literal["omit", "null", "keep"]
Scalar = str | int | float | bool

ORIGINS = ("column", "template", "pick", "columns")
"""Where a cell can come from; each cell has exactly one of them."""


class Cell(Table):
    """A value taken from the row: `{ column = "Birth date", as = "date", format = "%d.%m.%Y" }`."""

    column: str | None = Field(default=None, description="The column whose cell is converted.")
    template: str | None = Field(default=None, description="A text with {Column} placeholders, instead of a column.")
    pick: tuple[str, ...] | None = Field(
        default=None, strict=False, min_length=1, description="Columns, of which the first that is not empty is taken."
    )
    columns: tuple[str, ...] | None = Field(
        default=None, strict=False, min_length=1, description="Columns that make a list: distinct, without empty ones."
    )
    as_: Conversion = Field(default="text", alias="as", description="What the text becomes.")
    map: dict[str, Scalar] | None = Field(
        default=None, min_length=1, description="What each text stands for, in any case: { M = 1, F = 2 }."
    )
    unmapped: Scalar | None = Field(
        default=None,
        description='Of a text that `map` does not have: "unusable" (default), "keep", "omit", or a value instead.',
    )
    required: bool = Field(default=False, description="A row without it is unusable.")
    default: Scalar | None = Field(default=None, description="Taken when the cell is empty.")
    empty: Empty | None = Field(default=None, description="For this value, instead of [rules] empty.")
    format: str | None = Field(default=None, description="Of a date or datetime, as strptime reads it.")
    timezone: str | None = Field(default=None, description="Of a datetime that names none, as Europe/Moscow.")
    region: str | None = Field(default=None, description="Of a phone that names none, as RU.")
    separator: str | None = Field(default=None, min_length=1, description="Between the items of a list; default ','.")
    decimal: str | None = Field(default=None, min_length=1, max_length=1, description="Of a float; default '.'.")
    true: tuple[str, ...] | None = Field(default=None, strict=False, description="Words that mean true.")
    false: tuple[str, ...] | None = Field(default=None, strict=False, description="Words that mean false.")
    folder: str | None = Field(
        default=None, description="Of files: they are read beneath it and nowhere else; relative to the job file."
    )
    max_bytes: int | None = Field(
        default=None, ge=1, description="Of a file; default 1000000, of one that is uploaded 70000000."
    )
    hosts: tuple[str, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="Of addresses: the hosts (or host:port) that are asked, and no others.",
    )
    upload: bool | None = Field(
        default=None, description="Of a file: it is uploaded once, and its key on the platform stands here."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(getattr(self, name) is not None for name in ORIGINS) != 1:
            raise PydanticCustomError(
                "origin", "needs one of `column`, `template`, `pick` and `columns`, and not more than one"
            )
        return self

    @model_validator(mode="after")
    def _options_that_fit(self) -> Self:
        for option, conversions in _OPTIONS.items():
            if getattr(self, option) is not None and self.as_ not in conversions:
                fits = " or ".join(f'as = "{name}"' for name in conversions)
                raise PydanticCustomError(
                    "option",
                    '`{option}` goes with {fits}, not with as = "{given}"',
                    {"option": option, "fits": fits, "given": self.as_},
                )
        for option, conversions in _NEEDED.items():
            if getattr(self, option) is None and self.as_ in conversions:
                example = _EXAMPLES[option]
                raise PydanticCustomError(
                    "option",
                    'as = "{given}" needs `{option}`, as in "{example}"',
                    {"given": self.as_, "option": option, "example": example},
                )
        return self

    @model_validator(mode="after")
    def _unmapped_has_a_map(self) -> Self:
        if self.unmapped is not None and self.map is None:
            raise PydanticCustomError("option", "`unmapped` goes with `map`, which is not there")
        return self


_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "format": ("date", "datetime"),
    "timezone": ("datetime",),
    "region": ("phone",),
    "separator": ("list",),
    "decimal": ("float",),
    "true": ("bool",),
    "false": ("bool",),
    "folder": ("file",),
    "max_bytes": ("file", "url"),
    "hosts": ("url",),
    "upload": ("file",),
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "format": ("date", "datetime"),
    "folder": ("file",),
    "hosts": ("url",),
}
_EXAMPLES = {"format": "%d.%m.%Y", "folder": "attachments", "hosts": "files.example.com"}

Node = Any
"""A value of the request: a constant, a text with {Column} placeholders, a Cell, a dict of Nodes or a list of them."""


def parse_node(value: object) -> Node:
    """Tell a Cell (a table that says where in the row it comes from) from a plain object of the body."""
    if isinstance(value, Cell | str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        if _is_cell(value):
            return Cell.model_validate(value)
        return {str(name): parse_node(part) for name, part in value.items()}
    if isinstance(value, date | time):  # TOML has them as types of their own; `datetime` is a `date`
        return value.isoformat()
    if isinstance(value, list | tuple):
        return tuple(parse_node(part) for part in value)
    raise PydanticCustomError("node", "must be a text, a number, true or false, a table or a list")


def _is_cell(value: Mapping[Any, object]) -> bool:
    # An object of the body may well have a field called `column`; a Cell has nothing but its own options.
    texts, lists = {"column", "template"} & set(value), {"pick", "columns"} & set(value)
    return bool(texts | lists) and (
        all(isinstance(value[name], str) for name in texts) and all(_are_names(value[name]) for name in lists)
    )


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


CELL_MARK = "<cell>"
"""Stands for the schema of a Cell until `job_schema` puts it in: a model cannot refer to one it does not hold."""

_NODE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": ["string", "number", "boolean"]},
        {"const": CELL_MARK},
        {"type": "array"},
        {"type": "object"},
    ]
}
NodeField = Annotated[Any, BeforeValidator(parse_node), WithJsonSchema(_NODE_SCHEMA)]
Nodes = Annotated[dict[str, NodeField], WithJsonSchema({"type": "object", "additionalProperties": _NODE_SCHEMA})]
