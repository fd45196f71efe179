"""The job file: every mistake is one sentence that names the file, the key and what would be right."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchrunner.config import (
    ANY_OF,
    SEARCH_FIELDS,
    Cell,
    ErrorLimit,
    Job,
    Rate,
    load_job,
    parse_duration,
    parse_max_errors,
    parse_rate,
    read_token,
    with_overrides,
)
from batchrunner.errors import ConfigError

GOOD = {
    "name": 'name = "crm"',
    "source": '[source]\npath = "export.csv"',
    "target": '[target]\nurl = "https://platform.example.com"\nworkflow_id = 12',
    "request": '[request]\nemail = { column = "E-mail" }',
    "rules": "[rules]",
    "limits": "[limits]",
}
"""A job file, section by section."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the job file is."""
    return tmp_path / "job.toml"


def write(path: Path, more: str = "", **instead: str) -> Path:
    """A job file with some sections of its own, and more lines in the last one."""
    path.write_text("\n".join({**GOOD, **instead}.values()) + "\n" + more, encoding="utf-8")
    return path


def mistakes(path: Path, more: str = "", **instead: str) -> list[str]:
    """The sentences about such a file, without its name, which begins each of them."""
    with pytest.raises(ConfigError) as caught:
        load_job(write(path, more, **instead))
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_a_small_job_takes_the_defaults(path: Path) -> None:
    """Name, file, address, scenario and search key are all that it needs."""
    job = load_job(write(path))

    assert (job.name, job.source.path, job.target.workflow_id) == ("crm", "export.csv", 12)
    assert job.request.email == Cell(column="E-mail")
    assert (job.source.format, job.source.encoding, job.source.delimiter, job.source.quote) == (
        "auto",
        "utf-8",
        ",",
        '"',
    )
    assert (job.rules.repeat, job.rules.in_doubt, job.rules.empty, job.rules.repeat_after) == (
        "unchanged",
        "resend",
        "omit",
        None,
    )
    assert (job.target.deduplicates, job.target.dedupe_window) == (True, timedelta(days=1))
    assert (job.limits.concurrency, job.limits.rate, job.limits.max_errors) == (16, None, None)
    assert job.beside("export.csv") == path.parent / "export.csv"
    assert job.beside("/exports/export.csv") == Path("/exports/export.csv")


def test_a_byte_order_mark_does_no_harm(path: Path) -> None:
    """Notepad writes one."""
    path.write_bytes(b"\xef\xbb\xbf" + write(path).read_bytes())
    assert load_job(path).name == "crm"


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "instead", "sentence"),
    [
        ("", {"name": 'name = "crm"\nnam = 1'}, "unknown key 'nam'; did you mean 'name'?"),
        ("[limit]", {}, "unknown key 'limit'; did you mean 'limits'?"),
        ("concurency = 4", {}, "unknown key 'limits.concurency'; did you mean 'concurrency'?"),
        (
            "xyz = 4",
            {},
            (
                "unknown key 'limits.xyz'; known here: "
                "concurrency, concurrency_max, processes, rate, rate_shared, max_errors, "
                "attempts, backoff, backoff_max, throttle_patience"
            ),
        ),
        (
            "",
            {"request": GOOD["request"] + '\ndata.x = { column = "A", colum = "B" }'},
            "unknown key 'request.data.x.colum'; did you mean 'column'?",
        ),
        ("", {"name": 'name = "crm"\nfile = "x"'}, "unknown key 'file'; the export is named by `path` under [source]"),
        ("", {"name": ""}, "'name' is missing; it is required"),
        ("", {"target": ""}, "'target' is missing; it is required"),
        ("", {"source": "[source]"}, "'source.path' is missing; it is required"),
        ("", {"target": "", "name": 'name = "crm"\ntarget = 1'}, "'target' must be a table, as in [target]"),
    ],
)
def test_a_key_that_is_wrong_or_missing_is_named(path: Path, more: str, instead: dict[str, str], sentence: str) -> None:
    """With the nearest right name, or all of them."""
    assert mistakes(path, more, **instead) == [sentence]


def test_all_mistakes_are_told_at_once(path: Path) -> None:
    """One sentence a line."""
    rules = '[rules]\nrepeat = "never"\nin_doubt = "x"\nrepeat_after = "soon"'
    found = mistakes(path, "concurency = 1", rules=rules, name='name = "a b"')

    assert [sentence.split("'")[1] for sentence in found] == [
        "name",
        "rules.repeat",
        "rules.repeat_after",
        "rules.in_doubt",
        "limits.concurency",
    ]


# --- values ------------------------------------------------------------------------------------


NO_CONCURRENCY = "is no number of requests in flight; write a whole number from 1 to 4096, or 'auto'"


@pytest.mark.parametrize(
    ("instead", "sentence"),
    [
        (
            {"target": '[target]\nurl = "https://a"\nworkflow_id = "12"'},
            "'target.workflow_id': input should be a valid integer",
        ),
        (
            {"target": '[target]\nurl = "https://a"\nworkflow_id = 0'},
            "'target.workflow_id': input should be greater than or equal to 1",
        ),
        (
            {"target": '[target]\nurl = "a.example.com"\nworkflow_id = 1'},
            r"'target.url' is 'a.example.com'; it must look like ^https?://[^\s/?#]+(/[^\s?#]*)?$",
        ),
        ({"name": 'name = "../x"'}, "'name' is '../x'; it must look like ^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"),
        (
            {"limits": "[limits]\nconcurrency = 1.5"},
            f"'limits.concurrency': 1.5 {NO_CONCURRENCY}",
        ),
        (
            {"limits": "[limits]\nconcurrency = true"},
            f"'limits.concurrency': true {NO_CONCURRENCY}",
        ),
        (
            {"limits": "[limits]\nconcurrency = 0"},
            f"'limits.concurrency': 0 {NO_CONCURRENCY}",
        ),
        (
            {"limits": '[limits]\nconcurrency = "fast"'},
            f"'limits.concurrency': 'fast' {NO_CONCURRENCY}",
        ),
        ({"rules": '[rules]\nin_doubt = "ask"'}, "'rules.in_doubt' is 'ask'; it must be 'resend' or 'hold'"),
        (
            {"source": '[source]\npath = "x"\ndelimiter = ";;"'},
            "'source.delimiter': string should have at most 1 character",
        ),
        (
            {"source": '[source]\npath = "x"\noptional = "a"'},
            "'source.optional' must be a list, as in optional = [...]",
        ),
        ({"request": GOOD["request"] + "\ncontent = 5"}, "'request.content' must be a table, as in [request.content]"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(path: Path, instead: dict[str, str], sentence: str) -> None:
    """What it is, and what it must be."""
    assert mistakes(path, **instead) == [sentence]


DURATION = "is not a duration; write a number and a unit, as in '30s', '10m', '24h' or '30d'"
RATE = "is not a rate; write requests per second, minute or hour, as in '50/s' or '3000/min'"
LIMIT = "is not an error limit; write a number of rows or a share, as in '100' or '5%'"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("backoff = 30", f"'limits.backoff': 30 {DURATION}"),
        ("backoff = true", f"'limits.backoff': true {DURATION}"),
        ('backoff = "30"', f"'limits.backoff': '30' {DURATION}"),
        ('backoff = "-1s"', f"'limits.backoff': '-1s' {DURATION}"),
        ('backoff = "soon"', f"'limits.backoff': 'soon' {DURATION}"),
        (
            'backoff = "99999999999999999w"',
            "'limits.backoff': '99999999999999999w' is longer than a hundred years; write a shorter duration",
        ),
        ("rate = 50", f"'limits.rate': 50 {RATE}"),
        ('rate = "50"', f"'limits.rate': '50' {RATE}"),
        ('rate = "0/s"', f"'limits.rate': '0/s' {RATE}"),
        ('rate = "50/day"', f"'limits.rate': '50/day' {RATE}"),
        (f'rate = "{"9" * 400}/s"', f"'limits.rate': '{'9' * 400}/s' {RATE}"),
        ("max_errors = -1", f"'limits.max_errors': -1 {LIMIT}"),
        ("max_errors = 5.5", f"'limits.max_errors': 5.5 {LIMIT}"),
        ("max_errors = true", f"'limits.max_errors': true {LIMIT}"),
        ('max_errors = "101%"', f"'limits.max_errors': '101%' {LIMIT}"),
        ('max_errors = "few"', f"'limits.max_errors': 'few' {LIMIT}"),
    ],
)
def test_a_quantity_that_cannot_be_read_is_told_how_to_write_it(path: Path, line: str, sentence: str) -> None:
    """A bare number is the commonest slip."""
    assert mistakes(path, line) == [sentence]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), (" 1.5 m ", 90), ("10min", 600), ("24h", 86400), ("30d", 2592000), ("2w", 1209600)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    """A number and a unit."""
    assert parse_duration(text) == timedelta(seconds=seconds)


def test_rates_are_a_second(path: Path) -> None:
    """Whatever they were written in, and told alike."""
    assert [parse_rate(text).per_s for text in ("50/s", "3000/min", "90 / m", "1800/h")] == [50, 50, 1.5, 0.5]
    assert str(Rate(50.0)) == "50/s"


def test_error_limits_are_a_count_or_a_share() -> None:
    """Told as they were written."""
    assert parse_max_errors("100") == parse_max_errors(100) == ErrorLimit(count=100)
    assert parse_max_errors("2.5%") == ErrorLimit(percent=2.5)
    assert [str(parse_max_errors(text)) for text in ("7", "5 %", "0", "0%")] == ["7", "5%", "0", "0%"]


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (
            '{ column = "A", template = "{B}" }',
            "'request.data.x': needs one of `column`, `template`, `pick` and `columns`, and not more than one",
        ),
        (
            '{ column = "A", format = "%d" }',
            '\'request.data.x\': `format` goes with as = "date" or as = "datetime", not with as = "text"',
        ),
        (
            '{ column = "A", as = "date", format = "%d", timezone = "UTC" }',
            '\'request.data.x\': `timezone` goes with as = "datetime", not with as = "date"',
        ),
        (
            '{ column = "A", region = "RU" }',
            '\'request.data.x\': `region` goes with as = "phone", not with as = "text"',
        ),
        (
            '{ column = "A", as = "json", separator = ";" }',
            '\'request.data.x\': `separator` goes with as = "list", not with as = "json"',
        ),
        (
            '{ column = "A", as = "int", decimal = "," }',
            '\'request.data.x\': `decimal` goes with as = "float", not with as = "int"',
        ),
        (
            '{ column = "A", true = ["да"] }',
            '\'request.data.x\': `true` goes with as = "bool", not with as = "text"',
        ),
        (
            '{ column = "A", false = [] }',
            '\'request.data.x\': `false` goes with as = "bool", not with as = "text"',
        ),
        (
            '{ column = "A", as = "date" }',
            '\'request.data.x\': as = "date" needs `format`, as in "%d.%m.%Y"',
        ),
        (
            '{ column = "A", as = "datetime" }',
            '\'request.data.x\': as = "datetime" needs `format`, as in "%d.%m.%Y"',
        ),
        (
            '[{ y = { column = "A", as = "number" } }]',
            (
                "'request.data.x.as' is 'number'; it must be 'text', 'int', 'float', 'bool', 'date', 'datetime', "
                "'phone', 'email', 'list', 'json', 'base64', 'file' or 'url'"
            ),
        ),
        ('{ column = "A", as = "file" }', '\'request.data.x\': as = "file" needs `folder`, as in "attachments"'),
        ('{ column = "A", unmapped = 1 }', "'request.data.x': `unmapped` goes with `map`, which is not there"),
        (
            '{ pick = ["A"], columns = ["B"] }',
            "'request.data.x': needs one of `column`, `template`, `pick` and `columns`, and not more than one",
        ),
        ('{ column = "A", required = "yes" }', "'request.data.x.required': input should be a valid boolean"),
    ],
)
def test_options_of_a_cell_that_do_not_fit_are_refused(path: Path, cell: str, sentence: str) -> None:
    """However deep it stands."""
    assert mistakes(path, request=f"{GOOD['request']}\ndata.x = {cell}") == [sentence]


def test_a_table_is_a_cell_only_if_it_names_a_column(path: Path) -> None:
    """Other tables, dates and lists go into the body as they stand."""
    request = GOOD["request"] + (
        '\ndata.a = { column = 1 }\ndata.b = { c = ["x", { column = "C", as = "int" }] }\ndata.d = 2024-05-01'
        "\ndata.e = true"
    )
    data = load_job(write(path, request=request)).request.data

    assert data == {
        "a": {"column": 1},
        "b": {"c": ("x", Cell.model_validate({"column": "C", "as": "int"}))},
        "d": "2024-05-01",
        "e": True,
    }


# --- whom a request is about -------------------------------------------------------------------


@pytest.mark.parametrize(("matching", "fields"), SEARCH_FIELDS.items())
def test_each_matching_mode_needs_its_search_key(path: Path, matching: str, fields: tuple[str, ...]) -> None:
    """All of its fields, or one of them where one is enough."""
    lines = [f'{field} = "constant"' for field in fields]
    enough = [[line] for line in lines] if matching in ANY_OF else [lines]
    for some in enough:
        request = "\n".join(["[request]", f'matching = "{matching}"', *some])
        assert load_job(write(path, request=request)).request.matching == matching

    joint = "` or `" if matching in ANY_OF else "` and `"
    assert mistakes(path, request=f'[request]\nmatching = "{matching}"') == [
        f"'request': matching = \"{matching}\" needs `{joint.join(fields)}`, the value that the profile is looked up by"
    ]
    if len(fields) > 1 and matching not in ANY_OF:
        request = f'[request]\nmatching = "{matching}"\n{lines[0]}'
        assert f"needs `{fields[1]}`," in mistakes(path, request=request)[0]


# --- files that are no job ---------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_told_why(tmp_path: Path) -> None:
    """Missing, no text, no TOML."""
    for name, content, sentence in (
        ("missing", None, "cannot be read (No such file or directory); name an existing job file"),
        ("bytes", b'name = "\xff"', "is not UTF-8 text (byte 8); save the job file as UTF-8"),
        ("toml", b"name = ", "is not valid TOML: "),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_job(path)
        assert str(caught.value).startswith(f"{path}: {sentence}")


# --- the command line --------------------------------------------------------------------------


def test_the_command_line_overrides_the_file(path: Path) -> None:
    """Only what it names; everything else stays as it was read, cells and defaults included."""
    request = GOOD["request"] + '\ndata.d = [{ column = "B", as = "date", format = "%d" }]\nattach = ["x"]'
    job = load_job(write(path, 'backoff = "1s"', request=request))

    changed = with_overrides(
        job, {"target": {"url": "http://127.0.0.1:1"}, "limits": {"rate": Rate(5.0), "max_errors": ErrorLimit(count=3)}}
    )

    assert (changed.target.url, changed.limits.rate, changed.limits.max_errors) == (
        "http://127.0.0.1:1",
        Rate(5.0),
        ErrorLimit(count=3),
    )
    assert changed.limits.backoff == timedelta(seconds=1)
    assert (changed.request, changed.rules, changed.source, changed.file) == (
        job.request,
        job.rules,
        job.source,
        job.file,
    )
    assert with_overrides(job, {}) == job


def test_an_override_is_validated_like_the_file(path: Path) -> None:
    """With the same sentence."""
    job = load_job(write(path))
    with pytest.raises(ConfigError, match=r"'target\.url' is 'nowhere'; it must look like"):
        with_overrides(job, {"target": {"url": "nowhere"}})


# --- the token ---------------------------------------------------------------------------------

TOKEN = "s3cret-token"


def with_token_file(path: Path, content: bytes, mode: int = 0o600) -> Job:
    """A job whose token stands in a file beside it."""
    (path.parent / "token").write_bytes(content)
    (path.parent / "token").chmod(mode)
    return load_job(write(path, target=GOOD["target"] + '\ntoken_file = "token"'))


def token_refusal(job: Job, environment: dict[str, str]) -> str:
    """Why there is no token."""
    with pytest.raises(ConfigError) as caught:
        read_token(job, environment)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_the_token_comes_from_the_environment(path: Path) -> None:
    """Without the blanks around it."""
    assert read_token(load_job(write(path)), {"ALTCRAFT_TOKEN": f" {TOKEN}\n"}) == TOKEN


def test_the_token_comes_from_its_file_if_one_is_named(path: Path) -> None:
    """Then the environment is not asked."""
    job = with_token_file(path, TOKEN.encode() + b"\n")
    assert read_token(job, {"ALTCRAFT_TOKEN": "another"}) == TOKEN


@pytest.mark.parametrize("environment", [{}, {"ALTCRAFT_TOKEN": "  "}])
def test_a_missing_token_is_told_how_to_give_one(path: Path, environment: dict[str, str]) -> None:
    """Both ways."""
    assert token_refusal(load_job(write(path)), environment) == (
        f"{path}: no API token; set ALTCRAFT_TOKEN in the environment, or `token_file` under [target]"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_token_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    """With the command that mends it."""
    job = with_token_file(path, TOKEN.encode(), mode)
    file = path.parent / "token"
    assert token_refusal(job, {}) == (f"{file}: other users can read the token file; run: chmod 600 {file}")


@pytest.mark.parametrize("content", [b"", b"s3cret two", "s3cret-ё".encode(), b"s3cret\nmore", b"s3cret\x00"])
def test_what_is_no_token_is_refused_without_being_told(path: Path, content: bytes) -> None:
    """Neither from a file nor from the environment does it show up in a message."""
    said = "does not hold one token; it must be one word of printable ASCII characters"
    assert token_refusal(with_token_file(path, content), {}) == f"{path.parent / 'token'}: {said}"
    if content and b"\x00" not in content:
        environment: dict[str, Any] = {"ALTCRAFT_TOKEN": content.decode()}
        assert token_refusal(load_job(write(path)), environment) == f"ALTCRAFT_TOKEN: {said}"


def test_a_token_file_that_cannot_be_read_is_told(path: Path) -> None:
    """Missing, or no text."""
    job = with_token_file(path, b"s3cret\xff")
    assert "the token file cannot be read (UnicodeDecodeError)" in token_refusal(job, {})
    (path.parent / "token").unlink()
    assert "the token file cannot be read (FileNotFoundError)" in token_refusal(job, {})


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Platform.example.com/", "https://platform.example.com"),
        ("https://platform.example.com", "https://platform.example.com"),
        ("http://a:8080/base/", "http://a:8080/base"),
    ],
)
def test_keys_call_an_installation_by_its_address(path: Path, url: str, origin: str) -> None:
    """However it is written; and by another name if the job gives one."""
    target = f'[target]\nurl = "{url}"\nworkflow_id = 1'
    assert load_job(write(path, target=target)).target.origin == origin
    assert load_job(write(path, target=target + '\ninstallation = "Old"')).target.origin == "Old"
