"""Maps, picks, lists of columns, attachments, filters and `when`: what they put into the body, row by row."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from batchrunner.chunks import Chunk
from batchrunner.config import Job
from batchrunner.mapping import compile_mapping, job_from_mapping_text, lint_mapping, mapping_columns, mapping_text
from batchrunner.model import Filtered, Mapped, Request, Row, SkipReason, Source, Unusable

SOURCE = Source(path="/in/crm.csv", fingerprint="f" * 32, size_bytes=1)


def job_of(request: str, rules: str = "", folder: Path = Path("/nowhere")) -> Job:
    """A job with this [request] and [rules], in this folder."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12},
            "request": tomllib.loads(request),
            "rules": tomllib.loads(rules),
            "file": folder / "crm.toml",
        }
    )


def ends_of(job: Job, *rows: Mapping[str, str]) -> list[Mapped]:
    """How the rows end."""
    columns = list(rows[0])
    cells = [tuple(row[column] for column in columns) for row in rows]
    chunk = Chunk(columns, [Row(n, n + 1, cell) for n, cell in enumerate(cells, 1)], cells)
    return compile_mapping(job, SOURCE, columns, "crm.csv").map(chunk)


def data_of(data: str, row: Mapping[str, str], folder: Path = Path("/nowhere")) -> Any:
    """The `data` that one row becomes, or the code and text of why it becomes nothing."""
    (end,) = ends_of(job_of(f'email = "a@b.cz"\n[data]\n{data}', folder=folder), row)
    if isinstance(end, Unusable):
        return f"{end.code}: {end.text}"
    assert isinstance(end, Request), end
    return json.loads(end.payload).get("data")


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "row", "value"),
    [
        ("Hello, {Name|friend}!", {"Name": ""}, "Hello, friend!"),
        ("Hello, {Name|trim|title|'dear friend'}!", {"Name": " аННа "}, "Hello, Анна!"),
        ("{Name|first_word} {City}", {"Name": "", "City": "York"}, " York"),
        ("{Name|first_word} {City}", {"Name": "", "City": " "}, None),
        ("{Name|digits}", {"Name": "abc"}, None),
        ("{Name|title}", {"Name": "ann"}, "Ann"),
        ("{Name|''} x", {"Name": ""}, None),
    ],
)
def test_filters_and_defaults_work_inside_texts(written: str, row: Mapping[str, str], value: str | None) -> None:
    """A text whose placeholders all came out empty is left out, as without filters."""
    assert data_of(f"x = {json.dumps(written)}", row) == (None if value is None else {"x": value})


def test_a_filter_can_stand_before_a_conversion() -> None:
    """The conversion sees what the filter made."""
    cell = "x = { template = \"{N|replace:' ',''}\", as = \"int\" }"
    assert data_of(cell, {"N": "1 234"}) == {"x": 1234}


def test_a_date_that_a_filter_cannot_read_makes_the_row_unusable() -> None:
    """Said with the column and the shape of the value."""
    text = "bad_date: column 'D': '9999' is not a date in the form %d.%m.%Y"
    assert data_of("x = \"born {D|date:'%d.%m.%Y'}\"", {"D": "1990"}) == text


def test_a_default_does_not_keep_a_subscription() -> None:
    """It has no address of its own: nobody is to be subscribed by a default."""
    request = """
    subscriptions = [{ resource_id = 1, phone = "{Phone|digits|'none'}" }, { resource_id = 2, email = "{Mail}" }]
    """
    assert data_of(request, {"Phone": "-", "Mail": ""}) is None
    assert data_of(request, {"Phone": "", "Mail": "a@b.cz"}) == {
        "subscriptions": [{"resource_id": 2, "email": "a@b.cz"}]
    }
    assert data_of(request, {"Phone": "1", "Mail": ""}) == {"subscriptions": [{"resource_id": 1, "phone": "1"}]}


def test_a_mistyped_filter_is_a_mistake_of_the_job() -> None:
    """Found without a file, with the key it stands in."""
    (mistake,) = lint_mapping(job_of('email = "{Email|trmi}"'))
    assert mistake.startswith(
        "crm.toml: request.email: template '{Email|trmi}' has no filter 'trmi'; did you mean 'trim'?"
    )


# --- maps ----------------------------------------------------------------------------------------

SEX = 'x = { column = "Sex", map = { M = 1, F = 2, "n/a" = "unknown" }'


@pytest.mark.parametrize(
    ("options", "cell", "value"),
    [
        ("", "M", 1),
        ("", " f ", 2),
        ("", "N/A", "unknown"),
        ("", "", None),
        (", default = 0", "", 0),
        (', default = "F"', "", 2),
        ("", "x", "bad_value: column 'Sex': 'a' is not in the map, which has M, F, n/a"),
        (', unmapped = "unusable"', "x", "bad_value: column 'Sex': 'a' is not in the map, which has M, F, n/a"),
        (', unmapped = "keep"', "x ", "x "),
        (', unmapped = "keep", as = "int"', "7", 7),
        (', unmapped = "keep", as = "int"', "x", "bad_int: column 'Sex': 'a' is not a whole number"),
        (', unmapped = "omit"', "x", None),
        (', unmapped = "omit", required = true', "x", "missing: column 'Sex' is empty, and the job requires it"),
        (', unmapped = "omit", default = "M"', "x", 1),
        (", unmapped = 0", "x", 0),
        (", unmapped = false", "x", False),
        (', unmapped = "other"', "x", "other"),
    ],
)
def test_a_map_says_what_texts_stand_for(options: str, cell: str, value: object) -> None:
    """And the policy what becomes of the others."""
    found = data_of(f"{SEX}{options} }}", {"Sex": cell})
    assert found == (value if found is None or isinstance(found, str) else {"x": value})


def test_texts_that_differ_in_case_only_are_told_apart() -> None:
    """Where the map has both."""
    cell = 'x = { column = "A", map = { m = "meter", M = "mega", k = "kilo" } }'
    assert [data_of(cell, {"A": text}) for text in ("m", "M", "K")] == [{"x": "meter"}, {"x": "mega"}, {"x": "kilo"}]


def test_a_map_can_be_what_a_profile_is_looked_up_by() -> None:
    """A text it leaves out is a missing search value."""
    job = job_of('matching = "profile_id"\nprofile_id = { column = "A", map = { a = "x1", b = 7 }, unmapped = "omit" }')
    first, second, third = ends_of(job, {"A": "a"}, {"A": "b"}, {"A": "c"})
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert json.loads(second.payload)["profile_id"] == 7
    assert isinstance(third, Unusable)
    assert third.code == "missing"


@pytest.mark.parametrize(
    ("cell", "mistake"),
    [
        ('{ column = "A", map = { "" = 1 } }', "map has an empty text; say what empty cells become with `default`"),
        (
            '{ column = "A", map = { a = 1 }, unmapped = "unusble" }',
            "unmapped 'unusble' looks like a slip of 'unusable'; write that, or another value",
        ),
        ('{ column = "A", map = { a = nan } }', "map holds a number that is not finite"),
        ('{ column = "A", map = { a = 1 }, default = "b" }', "default 'b' is not in the map, which has a"),
    ],
)
def test_a_map_that_cannot_be_used_is_a_mistake(cell: str, mistake: str) -> None:
    """Found without a file."""
    assert lint_mapping(job_of(f'email = "a@b.cz"\ndata.x = {cell}')) == [f"crm.toml: request.data.x: {mistake}"]


# --- several columns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (("+79001234567", "x", ""), {"x": "+79001234567"}),
        (("", " \u00a0", "8 900 123-45-67"), {"x": "+79001234567"}),
        (("", "", ""), None),
        (("1", "+79001234567", ""), "bad_phone: columns 'A' and 'B' and 'C': '9' is not a possible phone number"),
    ],
)
def test_pick_takes_the_first_column_that_is_not_empty(row: tuple[str, str, str], value: object) -> None:
    """And converts it: a bad one is not passed over in silence."""
    cell = 'x = { pick = ["A", "B", "C"], as = "phone", region = "RU" }'
    found = data_of(cell, dict(zip("ABC", row, strict=True)))
    assert (found.partition(":")[0] if isinstance(found, str) else found) == (
        value.partition(":")[0] if isinstance(value, str) else value
    )


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (("+79001234567", "8 900 123-45-67", ""), {"x": ["+79001234567"]}),
        (("", "89001234567", "+74951234567"), {"x": ["+79001234567", "+74951234567"]}),
        (("", " ", ""), None),
    ],
)
def test_columns_make_a_list_of_distinct_values(row: tuple[str, str, str], value: object) -> None:
    """Distinct after conversion; empty ones are dropped."""
    cell = 'x = { columns = ["A", "B", "C"], as = "phone", region = "RU" }'
    assert data_of(cell, dict(zip("ABC", row, strict=True))) == value


def test_a_list_of_columns_names_the_column_that_is_wrong() -> None:
    """Not all of them."""
    found = data_of('x = { columns = ["A", "B"], as = "int" }', {"A": "1", "B": "x"})
    assert found == "bad_int: column 'B': 'a' is not a whole number"


@pytest.mark.parametrize(
    ("options", "row", "value"),
    [
        ('as = "list"', ("a, b", "b,c"), ["a", "b", "c"]),
        ('as = "text", default = "none"', ("", ""), ["none"]),
        ('empty = "null"', ("", ""), None),
        ("map = { a = 1, b = true }", ("a", "b"), [1, True]),
    ],
)
def test_lists_of_columns_know_defaults_and_maps(options: str, row: tuple[str, str], value: object) -> None:
    """What an empty list becomes is said as for any cell."""
    cell = f'x = {{ columns = ["A", "B"], {options} }}'
    assert data_of(cell, {"A": row[0], "B": row[1]}) == {"x": value}


def test_a_required_list_of_columns_needs_one_of_them() -> None:
    """The sentence names them all."""
    found = data_of('x = { columns = ["A", "B"], required = true }', {"A": "", "B": " "})
    assert found == "missing: columns 'A' and 'B' are empty, and the job requires it"


def test_the_columns_of_all_kinds_of_cells_are_known() -> None:
    """`init`, `check` and the guard ask for them."""
    job = job_of(
        'email = "{E|trim}"\ndata = { a = { pick = ["P", "Q"] }, b = { columns = ["R", "S"] } }',
        'when = "{W} == 1"',
    )
    assert mapping_columns(job) == ["E", "P", "Q", "R", "S", "W"]


# --- attachments ---------------------------------------------------------------------------------

ATTACHED = """
content = { column = "File", as = "file", folder = "files", max_bytes = 5 }
name = "{File|file_name}"
type = "{File|mime_type}"
"""


def test_a_file_is_attached_by_its_path(tmp_path: Path) -> None:
    """Its content as base64, its name and type by filters."""
    (tmp_path / "files" / "in").mkdir(parents=True)
    (tmp_path / "files" / "in" / "a.txt").write_bytes(b"\x00hi")
    assert data_of(ATTACHED, {"File": " in/a.txt "}, tmp_path) == {
        "content": base64.b64encode(b"\x00hi").decode(),
        "name": "a.txt",
        "type": "text/plain",
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret.txt", "leads out of folder 'files', where alone files are read"),
        ("/etc/passwd", "leads out of folder 'files', where alone files are read"),
        ("link.txt", "leads out of folder 'files', where alone files are read"),
        ("none.txt", "is not a file in folder 'files'"),
        (".", "is not a file in folder 'files'"),
        ("a\0b", "is not a file in folder 'files'"),
        ("x" * 5000, "cannot be read (File name too long)"),
        ("big.txt", "is a file of more than 5 bytes; raise `max_bytes`, or attach less"),
    ],
)
def test_a_file_that_must_not_or_cannot_be_read_makes_the_row_unusable(tmp_path: Path, name: str, reason: str) -> None:
    """Nothing outside of the folder is ever read, whatever the export says."""
    (tmp_path / "files").mkdir()
    (tmp_path / "secret.txt").write_text("s")
    (tmp_path / "files" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "files" / "big.txt").write_text("123456")
    found = data_of(ATTACHED, {"File": name}, tmp_path)
    assert found.startswith("bad_file: column 'File': '")
    assert found.endswith(reason)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """Found before the first row."""
    (mistake,) = lint_mapping(job_of(f'email = "a@b.cz"\n[data]\n{ATTACHED}', folder=tmp_path))
    assert "request.data.content: folder 'files' is not there" in mistake


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("aGk=", {"x": "aGk="}),
        (" aG\nk= ", {"x": "aGk="}),
        ("data:text/plain;base64,aGk=", {"x": "aGk="}),
        ("", None),
        ("hi!", "bad_base64: column 'B': 'aa!' is not base64"),
        ("data:;base64,", "bad_base64: column 'B': 'aaaa:;aaaa99,' holds no content"),
    ],
)
def test_a_column_can_hold_the_content_itself(cell: str, value: object) -> None:
    """As base64, checked."""
    assert data_of('x = { column = "B", as = "base64" }', {"B": cell}) == value


# --- when ----------------------------------------------------------------------------------------

ROWS = [
    {"Email": "a@b.cz", "Age": "20", "D": "2024-01-31"},
    {"Email": "b@b.cz", "Age": "17", "D": "x"},
    {"Email": "c@b.cz", "Age": "old", "D": "2024-01-31"},
    {"Email": "d@b.cz", "Age": "30", "D": "x"},
    {"Email": "e@b.cz", "Age": "", "D": "2024-01-31"},
]
DATED = 'email = "{Email}"\ndata.d = { column = "D", as = "date", format = "%Y-%m-%d" }'


def test_when_decides_which_rows_are_sent() -> None:
    """A row that is left out is not judged any further; one that cannot be decided is unusable."""
    first, second, third, fourth, fifth = ends_of(job_of(DATED, 'when = "{Age} >= 18"'), *ROWS)
    assert isinstance(first, Request)
    assert isinstance(second, Filtered)
    assert (second.row.number, second.reason) == (2, SkipReason.FILTERED)
    assert isinstance(third, Unusable)
    assert (third.code, third.row.number) == ("bad_when", 3)
    assert third.text == (
        "column 'Age': 'aaa' is neither a number nor a day such as 2024-12-31; `when` cannot be decided"
    )
    assert isinstance(fourth, Unusable)
    assert (fourth.code, fourth.row.number) == ("bad_date", 4)
    assert isinstance(fifth, Filtered)


def test_rows_that_pass_become_what_they_are_without_when() -> None:
    """The same bytes and the same keys."""
    plain = ends_of(job_of(DATED), *ROWS)
    for with_when, without in zip(ends_of(job_of(DATED, 'when = "{Age} in [20, 30]"'), *ROWS), plain, strict=True):
        assert with_when == without or isinstance(with_when, Filtered)


def test_when_no_row_passes_nothing_is_mapped() -> None:
    """A whole chunk may be left out."""
    assert {type(end) for end in ends_of(job_of(DATED, 'when = "{Age} == x"'), *ROWS)} == {Filtered}


def test_a_slip_in_when_is_a_mistake_of_the_job() -> None:
    """Also a column that the file does not have."""
    (mistake,) = lint_mapping(job_of('email = "{Email}"', 'when = "{Age} => 18"'))
    assert mistake.startswith("crm.toml: rules.when: '{Age} => 18' has a part that cannot be read: => 18")


def test_when_is_part_of_the_stored_mapping() -> None:
    """It decides what is sent; and a mapping that was stored without it reads back without it."""
    with_when, without = job_of(DATED, 'when = "{Age} >= 18"'), job_of(DATED)
    assert mapping_text(with_when) != mapping_text(without)
    assert '"when"' not in mapping_text(without)
    assert job_from_mapping_text(mapping_text(without), with_when).rules.when is None
    assert job_from_mapping_text(mapping_text(with_when), without).rules.when == "{Age} >= 18"


def test_maps_and_picks_survive_being_stored() -> None:
    """The guard maps rows with mappings of earlier runs."""
    request = 'email = "{E}"\ndata.x = { pick = ["A", "B"], map = { a = 1, b = true }, unmapped = "omit" }'
    job = job_of(request)
    back = job_from_mapping_text(mapping_text(job), job)
    assert mapping_text(back) == mapping_text(job)
    row = {"E": "a@b.cz", "A": "", "B": "b"}
    assert ends_of(back, row) == ends_of(job, row)
