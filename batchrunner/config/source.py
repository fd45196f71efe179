"""`[source]`: where rows come from, and how the file is written."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.addresses import Address, is_address
from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration


class SourceTable(Table):
    """Where rows come from, and how the file is written."""

    path: str = Field(
        description="The export: a file, a directory or a pattern as exports/*.csv, relative to the job file; or -; "
        "or an address: https://, s3://, gs://, sftp://."
    )
    format: Literal["auto", "csv", "jsonl", "xlsx", "parquet"] = Field(
        default="auto",
        description="auto: tables by their content, JSON when the name ends in .jsonl, .ndjson or .json, else CSV.",
    )
    encoding: str = Field(default="utf-8", description="Of the file. A byte-order mark is recognised by itself.")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Between the cells of a CSV record.")
    quote: str = Field(default='"', min_length=1, max_length=1, description="Around a cell that holds a delimiter.")
    escape: str | None = Field(
        default=None, min_length=1, max_length=1, description='Before a quote that is part of the cell, as \\ in \\".'
    )
    header: bool = Field(default=True, description="The first record names the columns.")
    columns: tuple[str, ...] | None = Field(
        default=None, strict=False, description="With header = false: the names of the columns. Else 1, 2, …"
    )
    skip_lines: int = Field(default=0, ge=0, le=10_000, description="Lines in front of the header.")
    skip_footer: int = Field(default=0, ge=0, le=10_000, description="Lines at the end that are no records.")
    extra_fields: Literal["unusable", "ignore"] = Field(
        default="unusable", description="A record with more cells than the header. ignore: those in front are taken."
    )
    missing_fields: Literal["unusable", "pad", "ignore"] = Field(
        default="unusable", description="A record with fewer cells than the header. pad, ignore: the others are empty."
    )
    member: str | None = Field(
        default=None, min_length=1, description="Of a zip: the files that are read, as export-*.csv. Else all."
    )
    sheet: str | None = Field(default=None, min_length=1, description="Of a workbook: the sheet. Else the first.")
    optional: tuple[str, ...] = Field(
        default=(), strict=False, description="Columns that the mapping names and a file may lack."
    )

    keep_copies: Duration = Field(
        default=timedelta(days=30), description="How long copies of standard input and of addresses are kept."
    )

    @field_validator("path")
    @classmethod
    def _a_right_address_if_any(cls, path: str) -> str:
        if is_address(path):
            try:
                Address.of(path)
            except ValueError as error:
                raise PydanticCustomError("address", "{sentence}", {"sentence": str(error)}) from None
        return path

    @field_validator("extra_fields", mode="before")
    @classmethod
    def _nothing_to_pad(cls, value: object) -> object:
        if value == "pad":
            raise PydanticCustomError(
                "pad",
                'a record with too many cells has none to pad: write "ignore", which leaves out those beyond the '
                'header, or "unusable"; "pad" goes with missing_fields',
            )
        return value

    @model_validator(mode="after")
    def _names_for_columns_without_names(self) -> Self:
        if self.columns is None:
            return self
        if self.header:
            raise PydanticCustomError(
                "columns",
                "`columns` names the columns of a file without a header, and renames nothing: set header = false, "
                "or remove `columns`",
            )
        if not self.columns or "" in (name.strip() for name in self.columns):
            raise PydanticCustomError("columns", "`columns` must name each column; write one name per cell")
        if len(set(self.columns)) < len(self.columns):
            raise PydanticCustomError("columns", "`columns` must name each column once; change the repeated name")
        return self

    @model_validator(mode="after")
    def _options_of_csv(self) -> Self:
        for option in _NOT_WITH.get(self.format, ()):
            if getattr(self, option) != type(self).model_fields[option].default:
                raise PydanticCustomError(
                    "option",
                    '`{option}` goes with {others}, not with format = "{format}"; remove it',
                    {"option": option, "others": "xlsx" if option == "sheet" else "CSV", "format": self.format},
                )
        return self


_OF_CSV = ("escape", "header", "columns", "skip_lines", "skip_footer", "extra_fields", "missing_fields")
_NOT_WITH = {
    "csv": ("sheet",),
    "jsonl": (*_OF_CSV, "sheet"),
    "parquet": (*_OF_CSV, "member", "sheet"),
    "xlsx": ("escape", "missing_fields", "member"),
}
