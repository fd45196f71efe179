"""Mapping by columns is mapping by rows: the same bytes, the same keys, the same sentences, for any cells."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from batchrunner.chunks import Chunk
from batchrunner.config import AS_IT_STANDS, Job
from batchrunner.keys import KeyMaker, Repeat
from batchrunner.mapping import compile_mapping
from batchrunner.mapping.conversions import canonical
from batchrunner.mapping.fragments import pieces
from batchrunner.model import Mapped, Request, Row, Source, Unusable

SOURCE = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)
COLUMNS = ("Email", "A", "B", "C")

EVERYTHING = """
matching = "email_phone"
email = { column = "Email", as = "email" }
phone = { column = "A", map = { x = "1", y = "2" }, unmapped = "keep" }
skip_triggers = true
attach = [{ name = "{A|file_name}", data = "{B}" }]
[data]
text = "{A}"
kept = { column = "B", empty = "keep" }
nulled = { column = "B", empty = "null", as = "int" }
filled = { column = "B", default = "none" }
"a \\u007f" = { column = "C", as = "list" }
float = { column = "C", as = "float", decimal = "," }
json = { column = "C", as = "json" }
flag = { column = "B", as = "bool", default = true }
picked = { pick = ["B", "C", "A"] }
gathered = { columns = ["A", "B", "C"], empty = "null" }
mapped = { column = "A", map = { x = 1, y = true, z = "t" }, unmapped = "omit" }
nested = { deep = { deeper = "{A}" }, also = { z = "{B}" } }
list = ["{A}", 1, "{B|trim|upper}", { k = "{C}", c = 1 }]
lists = [["{A}"], ["{B}", "{C}"]]
subscriptions = [{ email = "{Email}", resource_id = 1 }, { a = 1, phone = "{B|digits}" }, { z = "{C}" }]
[content]
greeting = "Hello, {A|title|friend} \\"{B}\\"!"
x = "{A} {B}"
"""

TEXTONLY = """
email = "{Email}"
[data]
a = "{A}"
b = { column = "B", empty = "keep" }
c = { column = "C", empty = "null" }
deep = { a = "{A}", one = 1 }
"""

CELL = st.one_of(
    st.sampled_from(
        ["", " ", "\u00a0", "x", "y", "X ", "1", "-5", "2,5", "1e400", "да", "no", "a, b,, c", '{"b": 1.50, "a": []}',
         "null",
         '","', '",', "\\", '\\"', "\x7f", "a\x7fb", "\n", "Ж", "😀", "\ud800", "00123", "= 1", "[1,2]", "\u2028"]
    ),
    st.text(max_size=6),
)  # fmt: skip
EMAIL = st.sampled_from(["a@b.cz", "Ann@B.cz", "", "x", " a@b.cz\u00a0", 'a"@b.cz'])
ROWS = st.lists(st.tuples(EMAIL, CELL, CELL, CELL), max_size=12)


def job_of(request: str, rules: dict[str, str] | None = None) -> Job:
    """A job with this [request]."""
    target = {"url": "https://altcraft.example.com", "workflow_id": 12}
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "c"},
            "target": target,
            "request": tomllib.loads(request),
            "rules": rules or {},
        }
    )


def chunk_of(rows: Sequence[tuple[str, ...]], first: int = 1) -> Chunk:
    """Rows as a chunk, numbered from `first`."""
    return Chunk(COLUMNS, [Row(n, n + 1, cells) for n, cells in enumerate(rows, first)], rows)


def ends_of(job: Job, chunks: Sequence[Chunk]) -> list[Mapped]:
    """How the rows of the chunks end."""
    mapper = compile_mapping(job, SOURCE, COLUMNS, "crm.csv")
    return [end for chunk in chunks for end in mapper.map(chunk)]


@settings(max_examples=150)
@given(ROWS, st.sampled_from(["unchanged", "identity", "file"]), st.sampled_from([None, "{A} == x or {B} > 0"]))
def test_a_chunk_of_rows_is_mapped_as_each_row_alone(
    rows: list[tuple[str, ...]], repeat: str, when: str | None
) -> None:
    """Rows do not know each other: no cell of one can change what becomes of another."""
    rules = {"repeat": repeat} | ({"when": when} if when else {})
    job = job_of(EVERYTHING, rules)
    together = ends_of(job, [chunk_of(rows)])
    alone = ends_of(job, [chunk_of([row], number) for number, row in enumerate(rows, 1)])
    assert together == alone


@settings(max_examples=150)
@given(ROWS)
def test_payloads_are_canonical_json(rows: list[tuple[str, ...]]) -> None:
    """What the encoder itself would write of the same value: sorted keys, no spaces, numbers digit for digit."""
    decode = msgspec.json.Decoder(float_hook=lambda digits: msgspec.Raw(digits.encode())).decode
    for end in ends_of(job_of(EVERYTHING), [chunk_of(rows)]):
        if isinstance(end, Request):
            assert end.payload == bytes(canonical(decode(end.payload)))


@settings(max_examples=100)
@given(ROWS)
def test_texts_reach_the_body_byte_for_byte(rows: list[tuple[str, ...]]) -> None:
    """Held against a mapping of the same job that is written out by hand; damage is not repaired here."""

    def by_hand(email: str, a: str, b: str, c: str) -> bytes | None:
        data = {"b": b if b.strip() else "", "c": c if c.strip() else None, "deep": {"one": 1}}
        if a.strip():
            data |= {"a": a, "deep": {"a": a, "one": 1}}
        body = {"email": email, "data": data, "matching": "email", "workflow_id": 12}
        try:
            return msgspec.json.encode(body, order="sorted") if email.strip() else None
        except UnicodeEncodeError:
            return None

    untouched = job_of(TEXTONLY).model_copy(update={"repair": AS_IT_STANDS})
    ends = ends_of(untouched, [chunk_of(rows)])
    assert [end.payload if isinstance(end, Request) else None for end in ends] == [by_hand(*row) for row in rows]
    assert all(isinstance(end, Request | Unusable) for end in ends)


_VALUES = st.one_of(
    st.just(UNSET), st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    CELL.filter(lambda text: "\ud800" not in text), st.lists(st.text(max_size=3), max_size=2),
)  # fmt: skip


@given(
    st.one_of(st.lists(_VALUES), st.lists(st.text() | st.just(UNSET)), st.lists(st.integers(0, 9) | st.floats(0, 1))),
    st.sampled_from([b"", b'"a,\x7f":']),
    st.sampled_from([b"", b",", b"]}"]),
)
def test_a_piece_is_what_the_encoder_writes_of_the_value(values: list[object], head: bytes, tail: bytes) -> None:
    """Column by column or one by one."""
    places: list[int] = []
    made = pieces(values, head, tail, places.append)
    expected = [b"" if value is UNSET else head + msgspec.json.encode(value) + tail for value in values]
    assert made == expected
    assert places == []


@given(
    st.lists(st.tuples(st.text(), st.text(), st.binary()), max_size=8),
    st.sampled_from(["unchanged", "identity", "file"]),
    st.integers(1, 2),
)
def test_keys_of_many_are_the_keys_of_each(rows: list[tuple[str, str, bytes]], repeat: Repeat, fields: int) -> None:
    """A key must never depend on how many were made at once."""
    maker = KeyMaker("crm", "https://altcraft.example.com", "email_phone", repeat)
    searches = [[row[field] for row in rows] for field in range(fields)]
    origins = [(f"{number:032x}", number) for number in range(len(rows))]
    one_by_one = [
        maker.key(row[:fields], row[2], fingerprint, number)  # type: ignore[arg-type]
        for row, (fingerprint, number) in zip(rows, origins, strict=True)
    ]
    assert maker.keys(searches, [row[2] for row in rows], origins) == one_by_one
