"""Mistakes of a mapping are found before the first row, all at once, each with what to do about it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.mapping import compile_mapping, lint_mapping, mapping_columns
from batchrunner.model import Source

SOURCE = Source(path="/in/crm_contacts.csv", fingerprint="f" * 32, size_bytes=1)


def job_of(request: str, optional: tuple[str, ...] = ()) -> Job:
    """A job with this [request]."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm_contacts.csv", "optional": optional},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12},
            "request": tomllib.loads(request),
            "file": Path("/jobs/crm.toml"),
        }
    )


def mistakes(job: Job, *columns: str) -> list[str]:
    """What the user reads, a line each."""
    with pytest.raises(ConfigError) as caught:
        compile_mapping(job, SOURCE, columns, "crm_contacts.csv")
    return str(caught.value).splitlines()


def lint_of_cell(options: str) -> list[str]:
    """The mistakes of one cell."""
    return lint_mapping(job_of(f'email = "a@b.cz"\n[data]\nx = {{ column = "A", {options} }}'))


@pytest.mark.parametrize(
    ("named", "columns", "advice"),
    [
        ("emial", ["ID", "Email"], "did you mean 'Email'?"),
        ("EMAIL", ["email", "Email "], "did you mean 'email'?"),
        ("Phone", ["ID", "Name"], "it has ID, Name"),
        ("Phone", [], "it has no columns"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_right_one(named: str, columns: list[str], advice: str) -> None:
    """The sentence has the job file, the key, the column, the source and the next step."""
    expected = f"crm.toml: request.email: column '{named}' is not in crm_contacts.csv; {advice}"
    assert mistakes(job_of(f'email = "{{{named}}}"'), *columns) == [expected]


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody wants to start a program five times to read five sentences."""
    request = """
    email = { column = "emial", as = "email" }
    [data]
    _bdate = { column = "Birth dat", as = "date", format = "%d.%m" }
    _fname = "{Name"
    subscriptions = [{ resource_id = 7, email = "{Mail}{Mail}" }]
    """
    assert mistakes(job_of(request), "Email", "Birth date") == [
        "crm.toml: request.email: column 'emial' is not in crm_contacts.csv; did you mean 'Email'?",
        (
            "crm.toml: request.data._bdate: format '%d.%m' does not name a whole date (year, month and day); "
            "write it as in '%d.%m.%Y'"
        ),
        "crm.toml: request.data._bdate: column 'Birth dat' is not in crm_contacts.csv; did you mean 'Birth date'?",
        (
            "crm.toml: request.data._fname: template '{Name' has a '{' that opens no {Column}; "
            "write '{{' for the brace itself"
        ),
        (
            "crm.toml: request.data.subscriptions[0].email: column 'Mail' is not in crm_contacts.csv; "
            "did you mean 'Email'?"
        ),
    ]


def test_an_optional_column_may_be_missing() -> None:
    """And only that one."""
    job = job_of('email = "{Email}"\n[data]\na = "{A}"\nb = "{B}"', optional=("A",))
    assert mistakes(job, "Email") == ["crm.toml: request.data.b: column 'B' is not in crm_contacts.csv; it has Email"]


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{Email", "has a '{' that opens no {Column}; write '{{' for the brace itself"),
        ("{}", "has a '{' that opens no {Column}; write '{{' for the brace itself"),
        ("{a{b}}", "has a '{' that opens no {Column}; write '{{' for the brace itself"),
        ("Email}", "has a '}' without its '{'; write '}}' for the brace itself"),
        ("{{Email}", "has a '}' without its '{'; write '}}' for the brace itself"),
    ],
)
def test_a_malformed_template_is_a_mistake(template: str, complaint: str) -> None:
    """In a plain text and in a cell alike."""
    assert lint_mapping(job_of(f'email = "{template}"')) == [
        f"crm.toml: request.email: template '{template}' {complaint}"
    ]
    request = f'email = "a@b.cz"\ndata.x = {{ template = "{template}", as = "int" }}'
    assert lint_mapping(job_of(request)) == [f"crm.toml: request.data.x: template '{template}' {complaint}"]


def test_a_template_cell_without_placeholder_is_a_mistake() -> None:
    """It would never be empty and never change: a constant in disguise."""
    assert lint_mapping(job_of('email = "a@b.cz"\ndata.x = { template = "abc" }')) == [
        "crm.toml: request.data.x: template 'abc' names no {Column}; write a constant as a plain text"
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ('as = "date", format = "%d.%m.%Q"', "format '%d.%m.%Q' has an unknown % directive; write it as in '%d.%m.%Y'"),
        ('as = "date", format = "%d.%d.%Y"', "format '%d.%d.%Y' names a part twice; write it as in '%d.%m.%Y'"),
        (
            'as = "datetime", format = "%Y-%m-%d", timezone = "Europe/Moskow"',
            "timezone 'Europe/Moskow' is unknown; did you mean 'Europe/Moscow'?",
        ),
        (
            'as = "datetime", format = "%Y-%m-%d", timezone = "../../x"',
            "timezone '../../x' is unknown; write it as in 'Europe/Moscow'",
        ),
        ('as = "phone", region = "ru"', "region 'ru' is unknown; did you mean 'RU'?"),
        ('as = "phone", region = "Russia"', "region 'Russia' is unknown; write a two-letter country code, as in 'RU'"),
        ('as = "float", decimal = "5"', "decimal '5' cannot be told from the number itself; write ',' or '.'"),
        ('as = "bool", true = ["0"]', "'0' means both true and false; give both `true` and `false`"),
        (
            'as = "bool", true = [" "]',
            "an empty word cannot mean true or false; say what empty cells become with `default`",
        ),
        ('as = "bool", false = []', "`false` has no words"),
        ('as = "int", default = "five"', "default 'five' is not a whole number"),
        ('as = "int", default = true', "default True is not a text; write it in quotes, as a cell would hold it"),
        (
            'as = "int", default = 9223372036854775808',
            "default 9223372036854775808 holds a whole number beyond 64 bits",
        ),
        ('as = "float", default = nan', "default nan holds a number that is not finite"),
        ("default = 5", "default 5 is not a text; write it in quotes, as a cell would hold it"),
        ('default = " "', "default ' ' is empty; leave it out, and say what empty cells become with `empty`"),
        ('as = "email", default = "nobody"', "default 'nobody' is not an e-mail address"),
    ],
)
def test_an_unusable_option_is_a_mistake(options: str, complaint: str) -> None:
    """Found without a file: `check` can run before the export is there."""
    assert lint_of_cell(options) == [f"crm.toml: request.data.x: {complaint}"]


@pytest.mark.parametrize(
    ("request_text", "mistake"),
    [
        ('email = ""', "request.email: is empty, and the profile is looked up by it"),
        ("email = true", "request.email: must be a text or a whole number, because the profile is looked up by it"),
        ('email = ["{A}"]', "request.email: must be a text or a whole number, because the profile is looked up by it"),
        (
            'email = { column = "A", as = "json" }',
            (
                "request.email: as = json gives nothing that a profile can be looked up by; "
                "use as = text, int, date, datetime, phone or email"
            ),
        ),
        ('email = "{A}"\ndata.x = nan', "request.data.x: holds a number that is not finite"),
        ('email = "{A}"\ndata.x = [18446744073709551616]', "request.data.x[0]: holds a whole number beyond 64 bits"),
        (
            'email = "{A}"\ndata.\'a"b\' = 1',
            "request.data.'a\"b': a field cannot have a quote, a backslash or a control character in its name",
        ),
    ],
)
def test_a_request_that_cannot_be_sent_is_a_mistake(request_text: str, mistake: str) -> None:
    """What JSON or the platform cannot take is refused before the first row."""
    assert lint_mapping(job_of(request_text)) == [f"crm.toml: {mistake}"]


def test_a_clean_mapping_has_no_mistakes() -> None:
    """Nothing is reported that is not wrong."""
    assert lint_mapping(job_of('email = "{Email}"\n[data]\nx = { column = "A", as = "bool", default = "no" }')) == []


def test_the_columns_of_a_mapping_are_listed_once() -> None:
    """Whatever reads them: cells, templates, elements of arrays."""
    request = """
    email = "{Email}"
    [data]
    a = "{First} {Last}"
    b = [{ c = { column = "Phone", as = "phone" }, e = "{Email}" }]
    bad = "{Broken"
    """
    assert mapping_columns(job_of(request)) == ["Email", "First", "Last", "Phone"]
