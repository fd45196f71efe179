"""The mapping language: whatever a mapping says and cells hold, each row becomes exactly one request or one reason.

As bytes: TOML of [request], NUL, `when`, NUL, cells of the first row with a NUL between them.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from batchrunner.chunks import Chunk
from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.mapping import compile_mapping, lint_mapping
from batchrunner.model import Filtered, Request, Row, Source, Unusable

COLUMNS = ("email", "a", "b")
SOURCE = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)
DATA = b'email = "{email}"\n[data]\n'
SEEDS = (
    DATA + b"x = \"Dear {a|title|'friend'}, {b}\"\0{a} == 1 and not {b} in [x, y]\0a@b.cz\0anna\0b",
    DATA + b'x = { column = "a", as = "date", format = "%d.%m.%Y" }\0\0a@b.cz\x0031.12.1999\0b',
    DATA + b'x = { column = "a", as = "float" }\ny = { column = "b", as = "bool" }\0\0a@b.cz\x001 000,50\0yes',
    DATA + b'x = { column = "a", as = "phone", region = "RU" }\0{b} >= 18\0a@b.cz\x008 900 1234567\x0018',
    DATA + b'x = { column = "a", as = "json" }\0\0a@b.cz\0[[[{}]]]\0b',
    DATA + b'x = { column = "a", map = { "1" = "one" } }\nz = { pick = ["a", "b"] }\0\0a@b.cz\x001\0b',
    DATA + b'x = { column = "a", as = "list", separator = ";" }\0{a} in [x, y] or {b} empty\0a@b.cz\0x;y;;\0b',
)
PIECES = (b"{", b"}", b"|", b'"', b"'", b"{a}", b"{a|", b"|lower", b"|default:", b" and ", b" or ", b"not ", b"(", b")",
          b"==", b">= ", b"in [", b"~", b"1e999", b"-", b"\0", b"\n", b"as = ", b'"datetime"', b'"integer"', b"31.02.",
          b"\xd9\xa3", b"\xe2\x80\x8b", b"\xf0\x9f\x98\x80", b"nan", b"9" * 40, b"\\", b"[", b"]", b"NULL")  # fmt: skip


def try_one(data: bytes) -> None:
    """Sentences of a mapping that cannot be, or an end for each row, in order."""
    text = data.decode("utf-8", "replace")
    mapping, when, *cells = (*text.split("\0"), "")[:6]
    job = job_of(mapping, when)
    if job is None:
        return
    mistakes = lint_mapping(job)
    try:
        mapper = compile_mapping(job, SOURCE, COLUMNS, "crm.csv")
    except ConfigError:
        return
    assert not mistakes, "linted as wrong, and compiled all the same"
    first = tuple((*cells, "", "", "")[: len(COLUMNS)])
    rows = [Row(number, number + 1, record) for number, record in enumerate((first, ("x@b.cz", "", ""), first), 1)]
    ends = mapper.map(Chunk(COLUMNS, rows, [row.record for row in rows]))
    assert [end.row.number for end in ends] == [1, 2, 3]
    for end in ends:
        judge(end)
    assert type(ends[0]) is type(ends[2])


def job_of(mapping: str, when: str) -> Job | None:
    """The job, unless it is refused."""
    try:
        return Job.model_validate(
            {
                "name": "crm",
                "source": {"path": "crm.csv"},
                "target": {"url": "https://altcraft.example.com", "workflow_id": 12},
                "request": tomllib.loads(mapping),
                "rules": {"when": when} if when else {},
                "file": Path("/nowhere/crm.toml"),
            }
        )
    except (ValidationError, tomllib.TOMLDecodeError, RecursionError):
        return None


def judge(end: object) -> None:
    """What a row may become."""
    match end:
        case Request():
            body = json.loads(end.payload)
            assert isinstance(body, dict)
            assert len(end.key) == 16
        case Unusable():
            assert end.code
            assert end.text
        case Filtered():
            pass
        case _:
            raise AssertionError(end)
