"""Rows become requests: what reaches the body, what is left out, and which rows are unusable."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.chunks import Chunk
from batchrunner.config import Job
from batchrunner.keys import KeyMaker
from batchrunner.mapping import compile_mapping
from batchrunner.model import Request, Row, Source, Unusable

SOURCE = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)
NBSP = "\u00a0"


def job_of(request: str, rules: str = "") -> Job:
    """A job with this [request] and [rules]."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12},
            "request": tomllib.loads(request),
            "rules": tomllib.loads(rules),
        }
    )


def chunk_of(*rows: Mapping[str, str]) -> Chunk:
    """Rows as a chunk; the columns are those of the first."""
    columns = list(rows[0])
    cells = [tuple(row[column] for column in columns) for row in rows]
    return Chunk(columns, [Row(n, n + 1, cell) for n, cell in enumerate(cells, 1)], cells)


def ends_of(job: Job, *rows: Mapping[str, str]) -> list[Request | Unusable]:
    """How the rows end."""
    return compile_mapping(job, SOURCE, list(rows[0]), "crm.csv").map(chunk_of(*rows))


def body_of(request: str, row: Mapping[str, str], rules: str = "") -> dict[str, Any]:
    """The body that one row becomes."""
    (end,) = ends_of(job_of(request, rules), row)
    assert isinstance(end, Request), end
    body: dict[str, Any] = json.loads(end.payload)
    return body


def data_of(data: str, row: Mapping[str, str], rules: str = "") -> object:
    """The `data` that one row becomes, searched by a constant."""
    return body_of(f'email = "a@b.cz"\n[data]\n{data}', row, rules).get("data")


def unusable(request: str, row: Mapping[str, str]) -> tuple[str, str]:
    """Code and text of a row that cannot become a request."""
    (end,) = ends_of(job_of(request), row)
    assert isinstance(end, Unusable), end
    return end.code, end.text


# --- the body ----------------------------------------------------------------------------------


def test_the_body_has_the_documented_fields_and_no_others() -> None:
    """Flags and objects that the job does not name are not sent, and neither is the token."""
    assert body_of('email = "{Email}"', {"Email": "a@b.cz"}) == {
        "matching": "email",
        "email": "a@b.cz",
        "workflow_id": 12,
    }


def test_every_documented_field_can_be_sent() -> None:
    """Constants, placeholders and cells side by side."""
    request = """
    matching = "custom"
    field_name = "client_id"
    field_value = { column = "ID", as = "int" }
    skip_triggers = true
    skip_invalid_subscriptions = false
    detect_geo = true
    data = { _fname = "{Name}", _status = 1, rate = 0.5, member = true }
    content = { greeting = "Hello, {Name}!", "a b" = "{{Name}}" }
    attach = [{ name = "a.txt", file_key = "a", data = "{File}", mimetype = "text/plain" }]
    """
    assert body_of(request, {"ID": "7", "Name": "Анна", "File": "QQ=="}) == {
        "matching": "custom",
        "field_name": "client_id",
        "field_value": 7,
        "skip_triggers": True,
        "skip_invalid_subscriptions": False,
        "detect_geo": True,
        "data": {"_fname": "Анна", "_status": 1, "rate": 0.5, "member": True},
        "content": {"greeting": "Hello, Анна!", "a b": "{Name}"},
        "attach": [{"name": "a.txt", "file_key": "a", "data": "QQ==", "mimetype": "text/plain"}],
        "workflow_id": 12,
    }


def test_the_payload_is_canonical() -> None:
    """UTF-8, keys sorted at every level, no spaces: the key of the row is made of these bytes."""
    (end,) = ends_of(
        job_of(
            """
            email = "{Email}"
            [data]
            z = { column = "J", as = "json" }
            _a = [{ y = "{Email}", x = { c = 2, b = 1 } }]
            "é" = 1
            """
        ),
        {"Email": "a@b.cz", "J": '{ "b": 1.50, "a": "Ж" }'},
    )
    assert isinstance(end, Request)
    assert end.payload.decode() == (
        '{"data":{"_a":[{"x":{"b":1,"c":2},"y":"a@b.cz"}],"z":{"a":"Ж","b":1.50},"é":1},'
        '"email":"a@b.cz","matching":"email","workflow_id":12}'
    )


STRINGS = [
    "00123", "NA", "null", "None", "nan", "1e5", "+79001234567", "TRUE", "1.0", "0", "-", "  padded ", f"x{NBSP}x",
    "2024-01-01", "{not} a template", '"quoted"', "tab\there", "line\nbreak", "\\", "emoji 🎉", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("text", STRINGS)
def test_strings_come_first(text: str) -> None:
    """Nothing in a cell is ever taken for more than text unless the job says so."""
    row = {"A": text, "B": "x"}
    assert data_of('a = "{A}"\nb = { column = "A" }\nc = "{A}{B}"', row) == {"a": text, "b": text, "c": f"{text}x"}


def test_each_row_of_a_chunk_has_its_end_in_order() -> None:
    """Good and bad rows mixed, distinct values converted once."""
    rows = [{"Email": f"u{n}@b.cz", "N": "bad" if n % 3 == 0 else str(n % 5)} for n in range(50)]
    ends = ends_of(job_of('email = "{Email}"\n[data]\nn = { column = "N", as = "int" }'), *rows)
    for n, end in enumerate(ends):
        assert (end.row.number, isinstance(end, Unusable)) == (n + 1, n % 3 == 0)
        if isinstance(end, Request):
            assert json.loads(end.payload)["data"] == {"n": n % 5}
            assert json.loads(end.payload)["email"] == f"u{n}@b.cz"


def test_a_chunk_without_rows_has_no_ends() -> None:
    """A chunk may hold broken records only."""
    mapper = compile_mapping(job_of('email = "{Email}"'), SOURCE, ["Email"], "crm.csv")
    assert mapper.map(Chunk(["Email"], [], [])) == []


def test_a_request_without_columns_is_the_same_for_each_row() -> None:
    """Constants alone are allowed, and end with the chunk."""
    ends = ends_of(job_of('email = "a@b.cz"\n[data]\na = 1'), {"X": "1"}, {"X": "2"})
    assert len({end.payload for end in ends if isinstance(end, Request)}) == 1
    assert len(ends) == 2


# --- templates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{First name}", "Анна"),
        ("{First name} {e.mail}", "Анна a@b.cz"),
        ("Dear {First name}{Empty}!", "Dear Анна!"),
        ("{{{First name}}}", "{Анна}"),
        ("{{}}", "{}"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_template_is_filled_in(template: str, value: str) -> None:
    """Column names may hold spaces and dots; empty cells become nothing."""
    assert data_of(f"a = '{template}'", {"First name": "Анна", "e.mail": "a@b.cz", "Empty": NBSP}) == {"a": value}


def test_a_template_whose_placeholders_are_all_empty_is_empty() -> None:
    """`Hello, !` is worse than no greeting."""
    assert data_of('a = "Hello, {A}{B}!"\nb = 1', {"A": " ", "B": ""}) == {"b": 1}


def test_a_template_can_be_converted() -> None:
    """Two columns make one moment."""
    data = 'at = { template = "{Day} {Time}", as = "datetime", format = "%d.%m.%Y %H:%M", timezone = "Europe/Moscow" }'
    assert data_of(data, {"Day": "01.01.2024", "Time": "03:00"}) == {"at": "2024-01-01T00:00:00Z"}


def test_a_template_of_one_placeholder_is_its_column() -> None:
    """The same value with and without braces."""
    data = 'a = { template = "{N}", as = "int" }\nb = { column = "N", as = "int" }'
    assert data_of(data, {"N": " 7 "}) == {"a": 7, "b": 7}


# --- empty cells -------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "  ", NBSP, "\t"])
@pytest.mark.parametrize(
    ("empty", "data"),
    [
        ("omit", {"z": 0}),
        ("null", {"text": None, "template": None, "date": None, "z": 0}),
        ("keep", {"text": "", "template": "", "z": 0}),
    ],
)
def test_an_empty_cell_becomes_what_the_rules_say(blank: str, empty: str, data: object) -> None:
    """White space is empty; `keep` means something for texts only, since an empty date is no date."""
    mapping = """
    text = "{A}"
    template = "Hello, {A}"
    date = { column = "A", as = "date", format = "%Y-%m-%d" }
    z = 0
    """
    assert data_of(mapping, {"A": blank}, f'empty = "{empty}"') == data


def test_a_cell_can_have_its_own_rule_for_empty() -> None:
    """The cell's word goes before that of [rules]."""
    mapping = """
    a = { column = "A", empty = "keep" }
    b = { column = "A", empty = "omit" }
    c = { column = "A", as = "int", empty = "null" }
    d = { column = "A" }
    """
    assert data_of(mapping, {"A": ""}, 'empty = "null"') == {"a": "", "c": None, "d": None}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('default = "none"', "none"),
        ('as = "int", default = "5"', 5),
        ('as = "int", default = 5', 5),
        ('as = "float", default = 5', 5.0),
        ('as = "bool", default = false', False),
        ('as = "date", format = "%d.%m.%Y", default = "31.12.1999"', "1999-12-31"),
        ('as = "list", default = "a,b"', ["a", "b"]),
        ('as = "json", default = "{\\"a\\": []}"', {"a": []}),
        ('as = "json", default = 1.5', 1.5),
    ],
)
def test_a_default_stands_in_for_an_empty_cell(cell: str, value: object) -> None:
    """A text goes the way of a cell's text; other values are what they are."""
    assert data_of(f'a = {{ column = "A", required = true, {cell} }}', {"A": ""}) == {"a": value}


def test_a_list_of_nothing_is_empty() -> None:
    """Separators alone say nothing."""
    mapping = 'a = { column = "A", as = "list" }\nb = { column = "A", as = "list", empty = "null" }'
    assert data_of(mapping, {"A": " , ,"}) == {"b": None}


def test_an_object_or_array_that_became_empty_is_left_out() -> None:
    """At every level, up to `data` itself."""
    assert data_of('a = { b = { c = "{A}" } }\nphones = ["{A}", "{B}"]', {"A": "", "B": ""}) is None


def test_constants_keep_an_object_but_not_an_element() -> None:
    """A subscription without an address is none; an object of its own may well be a constant."""
    mapping = """
    home = { country = "RU", city = "{City}" }
    [[data.subscriptions]]
    resource_id = 7
    channel = "email"
    email = "{Email}"
    [[data.subscriptions]]
    resource_id = 8
    channel = "sms"
    phone = "{Phone}"
    custom_fields = { source = "crm", city = "{City}" }
    priority = { column = "Priority", as = "int", default = 1 }
    """
    row = {"Email": "a@b.cz", "Phone": "", "City": "", "Priority": ""}
    assert data_of(mapping, row) == {
        "home": {"country": "RU"},
        "subscriptions": [{"resource_id": 7, "channel": "email", "email": "a@b.cz"}],
    }


def test_an_element_stays_for_the_sake_of_one_cell() -> None:
    """Its constants, defaults and constant lists stay with it."""
    number = '{ column = "N", as = "int", default = 1 }'
    mapping = f'subscriptions = [{{ cats = ["news", "{{Cat}}"], email = "{{Email}}", n = {number} }}]'
    row = {"Cat": "", "Email": "a@b.cz", "N": ""}
    assert data_of(mapping, row) == {"subscriptions": [{"cats": ["news"], "email": "a@b.cz", "n": 1}]}


def test_elements_without_cells_and_written_empties_are_constants() -> None:
    """What the job says outright is sent outright."""
    assert data_of('a = [{ x = 1 }, "{A}"]\nb = []\nc = {}', {"A": ""}) == {"a": [{"x": 1}], "b": [], "c": {}}


def test_an_absent_optional_column_is_empty() -> None:
    """Exports change; a column that the job calls optional may be missing."""
    job = job_of('email = "{Email}"\n[data]\na = "{A}"\nb = { column = "A", as = "int", default = 3 }')
    job = job.model_copy(update={"source": job.source.model_copy(update={"optional": ("A",)})})
    (end,) = ends_of(job, {"Email": "a@b.cz"})
    assert isinstance(end, Request)
    assert json.loads(end.payload)["data"] == {"b": 3}


# --- unusable rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text", "code", "sentence"),
    [
        ('as = "int"', "12x", "bad_int", "'99a' is not a whole number"),
        ('as = "float"', "1,5", "bad_float", "'9,9' is not a number with '.' as its decimal sign"),
        (
            'as = "bool"', "maybe", "bad_bool",
            "'aaaaa' is neither true (1, true, yes, y, да) nor false (0, false, no, n, нет)",
        ),
        (
            'as = "date", format = "%d.%m.%Y"', "31.02.1990", "bad_date",
            "'99.99.9999' is not a date in the form %d.%m.%Y",
        ),
        (
            'as = "datetime", format = "%d.%m.%Y %H:%M"', "1", "bad_datetime",
            "'9' is not a date and time in the form %d.%m.%Y %H:%M",
        ),
        ('as = "phone", region = "RU"', "+7 900", "bad_phone", "'+9 999' is not a possible phone number"),
        ('as = "email"', "Ivan@", "bad_email", "'Aaaa@' is not an e-mail address"),
        ('as = "json"', "{", "bad_json", "'{' is not JSON"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_converted_makes_the_row_unusable(cell: str, text: str, code: str, sentence: str) -> None:
    """The sentence shows the shape of the value, never the value."""
    request = f'email = "a@b.cz"\n[data]\nx = {{ column = "Some column", {cell} }}'
    assert unusable(request, {"Some column": text}) == (code, f"column 'Some column': {sentence}")


def test_a_required_cell_makes_the_row_unusable() -> None:
    """The job said that a row without it is no row."""
    request = 'email = "a@b.cz"\n[data]\nx = { column = "A", required = true }'
    assert unusable(request, {"A": NBSP}) == ("missing", "column 'A' is empty, and the job requires it")


@pytest.mark.parametrize(
    ("search", "named"),
    [
        ('email = "{Email}"', "column 'Email'"),
        ('email = { column = "Email", as = "email", empty = "null" }', "column 'Email'"),
        ('email = "{Email}@{Host}"', "template '{Email}@{Host}'"),
        ('matching = "email_phone"\nemail = "{Email}"', "column 'Email'"),
    ],
)
def test_a_row_without_its_search_value_is_unusable(search: str, named: str) -> None:
    """Whatever the rules for empty cells: nobody can be looked up by nothing."""
    expected = ("missing", f"{named} is empty, and the profile is looked up by it")
    assert unusable(search, {"Email": " ", "Host": ""}) == expected


def test_one_of_two_search_values_is_enough() -> None:
    """The empty one is left out of the body, and counts as the empty text in the key."""
    request = (
        'matching = "email_phone"\nemail = "{E}"\nphone = { column = "P", as = "phone", region = "RU", empty = "null" }'
    )
    assert body_of(request, {"E": "", "P": "89001234567"}, 'empty = "null"') == {
        "matching": "email_phone", "phone": "+79001234567", "workflow_id": 12,
    }  # fmt: skip
    assert body_of(request, {"E": "a@b.cz", "P": ""}).get("phone", "absent") == "absent"
    expected = ("missing", "columns 'E' and 'P' are empty, and the profile is looked up by one of them")
    assert unusable(request, {"E": "", "P": ""}) == expected
    assert unusable(request, {"E": "", "P": "x"}) == ("bad_phone", "column 'P': 'a' is not a phone number")


def test_a_row_with_several_problems_names_them_all_once() -> None:
    """The code is that of the first; the search value is looked at first, then `data` by name."""
    request = """
    email = { column = "Email", as = "email" }
    [data]
    a = { column = "N", as = "int" }
    b = { column = "D", as = "date", format = "%Y-%m-%d" }
    c = { column = "N", as = "int" }
    email = { column = "Email", as = "email" }
    """
    assert unusable(request, {"Email": "x", "N": "y", "D": "z"}) == (
        "bad_email",
        (
            "column 'Email': 'a' is not an e-mail address; column 'N': 'a' is not a whole number; "
            "column 'D': 'a' is not a date in the form %Y-%m-%d"
        ),
    )


def test_bytes_that_are_no_text_make_only_their_row_unusable() -> None:
    """A lone surrogate cannot be encoded, and must not end the run."""
    rows = [{"Email": "a@b.cz", "A": "fine"}, {"Email": "a@b.cz", "A": "\ud800"}, {"Email": "\udfff", "A": "fine"}]
    first, second, third = ends_of(job_of('email = "{Email}"\n[data]\na = "{A}"'), *rows)
    assert isinstance(first, Request)
    assert isinstance(second, Unusable)
    assert isinstance(third, Unusable)
    assert (second.code, second.text) == ("bad_text", "column 'A' holds bytes that are not text")
    assert (third.code, third.text) == ("bad_text", "column 'Email' holds bytes that are not text")


# --- keys --------------------------------------------------------------------------------------


def test_the_key_is_made_of_the_search_values_and_the_payload() -> None:
    """As texts, in documented order, the name of a custom field among them."""
    request = 'matching = "custom"\nfield_name = "id"\nfield_value = { column = "ID", as = "int" }'
    (end,) = ends_of(job_of(request), {"ID": "007"})
    assert isinstance(end, Request)
    maker = KeyMaker("crm", "https://altcraft.example.com", "custom", "unchanged")
    assert end.key == maker.key(("id", "7"), end.payload, SOURCE.fingerprint, 1)


def test_a_search_value_that_is_left_out_keeps_its_place_in_the_key() -> None:
    """An e-mail and a phone that look alike are not one person."""
    request = 'matching = "email_phone"\nemail = "{E}"\nphone = "{P}"'
    first, second = ends_of(job_of(request), {"E": "7", "P": ""}, {"E": "", "P": "7"})
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert first.who != second.who
    maker = KeyMaker("crm", "https://altcraft.example.com", "email_phone", "unchanged")
    assert second.key == maker.key(("", "7"), second.payload, "", 0)


@pytest.mark.parametrize(
    ("source", "row", "origin"),
    [
        ("a" * 32, "17", ("a" * 32, 17)),
        ("a" * 31, "17", ("f" * 32, 1)),
        ("A" * 32, "17", ("f" * 32, 1)),
        ("a" * 32, "017", ("f" * 32, 1)),
        ("a" * 32, "", ("f" * 32, 1)),
        ("crm.csv", "17", ("f" * 32, 1)),
    ],
)
def test_a_row_of_a_result_file_keeps_the_key_of_its_first_file(source: str, row: str, origin: tuple[str, int]) -> None:
    """With repeat = "file", correcting error.csv and sending it is not a new file."""
    job = job_of('email = "{Email}"', 'repeat = "file"')
    (end,) = ends_of(job, {"Email": "a@b.cz", "_source": source, "_row": row})
    assert isinstance(end, Request)
    maker = KeyMaker("crm", "https://altcraft.example.com", "email", "file")
    assert end.key == maker.key(("a@b.cz",), b"", *origin)


def test_with_repeat_file_an_ordinary_row_has_its_own_number() -> None:
    """Without the columns of a result file, the source and the row speak for themselves."""
    job = job_of('email = "{Email}"', 'repeat = "file"')
    _, end = ends_of(job, {"Email": "a@b.cz"}, {"Email": "a@b.cz"})
    assert isinstance(end, Request)
    maker = KeyMaker("crm", "https://altcraft.example.com", "email", "file")
    assert end.key == maker.key(("a@b.cz",), b"", "f" * 32, 2)


CELLS = st.sampled_from(["", " ", "x", "Ж", "1", "a,b", "01.02.2003"])
DATA: dict[str, Any] = {
    "name": "{A} {B}",
    "list": {"column": "B", "as": "list"},
    "object": {"a": "{A}", "b": 1},
    "array": [{"a": "{A}", "c": "{C}"}, "{B}"],
    "kept": {"column": "C", "empty": "keep"},
}


def shuffled(table: dict[str, Any], order: Sequence[int]) -> dict[str, Any]:
    """The same table, its keys written in another order, at every level."""
    names = sorted(table, key=lambda name: order[sum(map(ord, name)) % len(order)])
    return {name: shuffled(table[name], order) if isinstance(table[name], dict) else table[name] for name in names}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"A": CELLS, "B": CELLS, "C": CELLS}), min_size=1, max_size=4),
    columns=st.permutations(["A", "B", "C"]),
    order=st.permutations(range(5)),
)
def test_requests_depend_neither_on_column_order_nor_on_key_order(
    rows: list[dict[str, str]], columns: list[str], order: list[int]
) -> None:
    """The key of a row is made of its payload: a moved column must not send everything again."""
    job = job_of('email = "x{A}"')
    plain = job.model_copy(update={"request": type(job.request)(email="a@b.cz", data=DATA)})
    moved = job.model_copy(update={"request": type(job.request)(email="a@b.cz", data=shuffled(DATA, order))})
    before = ends_of(plain, *rows)
    after = ends_of(moved, *[{column: row[column] for column in columns} for row in rows])
    assert [(end.key, end.payload) for end in before if isinstance(end, Request)] == [
        (end.key, end.payload) for end in after if isinstance(end, Request)
    ]
    for end in before:
        assert isinstance(end, Request)
        body = json.loads(end.payload)
        assert end.payload.decode() == json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
