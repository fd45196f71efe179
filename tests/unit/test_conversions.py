"""Texts become values as the job says, and reasons never hold the value."""

from __future__ import annotations

import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import email_validator
import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchrunner.mapping import conversions as to
from batchrunner.mapping.phones import ShortCut, phones_parser
from batchrunner.mapping.problems import is_blank, shape

NBSP = "\u00a0"
MOSCOW = zoneinfo.ZoneInfo("Europe/Moscow")


def reason(convert: Callable[[str], object], text: str) -> str:
    """Why a text is refused."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the reason is what is tested
        convert(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (to.parse_text, "  00123 ", "  00123 "),
        (to.parse_int, "00123", 123),
        (to.parse_int, f"{NBSP}-5 ", -5),
        (to.parse_int, "+7", 7),
        (to.parse_int, "9223372036854775807", 2**63 - 1),
        (to.parse_int, "-9223372036854775808", -(2**63)),
        (to.float_parser(), "12.50", 12.5),
        (to.float_parser(), "1e5", 100000.0),
        (to.float_parser(), " .5", 0.5),
        (to.float_parser(","), f"-12,5{NBSP}", -12.5),
        (to.bool_parser(), "1", True),
        (to.bool_parser(), "TRUE", True),
        (to.bool_parser(), " Да ", True),
        (to.bool_parser(), "n", False),
        (to.bool_parser(), "НЕТ", False),
        (to.bool_parser(["M"], ["Ж"]), "ж", False),
        (to.date_parser("%d.%m.%Y"), "22.02.1990", "1990-02-22"),
        (to.date_parser("%d.%m.%Y"), "1.2.1990", "1990-02-01"),
        (to.date_parser("%d %b %Y"), "22 Feb 1990", "1990-02-22"),
        (to.date_parser("%Y%m%d"), "19900222", "1990-02-22"),
        (to.date_parser("%d.%m.%y"), "22.02.90", "1990-02-22"),
        (to.date_parser("%d.%m.%Y %H:%M"), "22.02.1990 23:59", "1990-02-22"),
        (to.date_parser("%%%d.%m.%Y"), "%22.02.1990", "1990-02-22"),
        (to.datetime_parser("%Y-%m-%d %H:%M:%S"), "1990-02-22 21:00:00", "1990-02-22T21:00:00Z"),
        (to.datetime_parser("%Y-%m-%d %H:%M", MOSCOW), "2024-01-01 01:30", "2023-12-31T22:30:00Z"),
        (to.datetime_parser("%Y-%m-%dT%H:%M:%S%z", MOSCOW), "2024-01-01T00:00:00+0500", "2023-12-31T19:00:00Z"),
        (to.datetime_parser("%Y-%m-%d %H:%M:%S.%f"), "2024-01-01 00:00:00.25", "2024-01-01T00:00:00.250000Z"),
        (to.phone_parser(), "+79001234567", "+79001234567"),
        (to.phone_parser(), " +44 (0)20 7946 0958 ", "+442079460958"),
        (to.phone_parser("RU"), "8 (900) 123-45-67", "+79001234567"),
        (to.phone_parser("RU"), "79001234567", "+79001234567"),
        (to.phone_parser("RU"), "9001234567", "+79001234567"),
        (to.phone_parser("KZ"), "8 701 123 45 67", "+77011234567"),
        (to.phone_parser("DE"), "030 123456", "+4930123456"),
        (to.parse_email, " Ivan.Petrov@Example.COM ", "Ivan.Petrov@example.com"),
        (to.parse_email, "o'brien@example.com", "o'brien@example.com"),
        (to.parse_email, "Иван@Пример.рф", "Иван@пример.рф"),
        (to.list_parser(), " a, b,,c ,", ["a", "b", "c"]),
        (to.list_parser(";"), "a,b; c", ["a,b", "c"]),
        (to.list_parser(), " , ", []),
        (to.parse_json, ' {"b": [1, true, null], "a": "x"} ', {"b": [1, True, None], "a": "x"}),
        (to.parse_json, "1.10", Decimal("1.10")),
    ],
)
def test_a_text_becomes_the_value_that_was_asked_for(
    convert: Callable[[str], object], text: str, value: object
) -> None:
    """One row of the table is one promise."""
    assert convert(text) == value
    assert type(convert(text)) is type(value)


@pytest.mark.parametrize(
    ("convert", "text", "why"),
    [
        (to.parse_int, "1.0", "is not a whole number"),
        (to.parse_int, "1 000", "is not a whole number"),
        (to.parse_int, "1_000", "is not a whole number"),
        (to.parse_int, "٣", "is not a whole number"),
        (to.parse_int, "9223372036854775808", "is a whole number beyond 64 bits"),
        (to.parse_int, "9" * 5000, "is a whole number beyond 64 bits"),
        (to.float_parser(), "12,5", "is not a number with '.' as its decimal sign"),
        (to.float_parser(","), "12.5", "is not a number with ',' as its decimal sign"),
        (to.float_parser(), "nan", "is not a number with '.' as its decimal sign"),
        (to.float_parser(), "1e999", "is too large a number"),
        (to.bool_parser(["M"], ["F"]), "x", "is neither true (M) nor false (F)"),
        (to.date_parser("%d.%m.%Y"), "31.02.1990", "is not a date in the form %d.%m.%Y"),
        (to.date_parser("%d.%m.%Y"), "1990-02-22", "is not a date in the form %d.%m.%Y"),
        (to.datetime_parser("%Y-%m-%d %H:%M"), "1990-02-22 24:00", "is not a date and time in the form %Y-%m-%d %H:%M"),
        (to.datetime_parser("%Y-%m-%d", MOSCOW), "0001-01-01", "is not a date and time in the form %Y-%m-%d"),
        (to.phone_parser("RU"), "hello", "is not a phone number"),
        (to.phone_parser("RU"), "12", "is not a possible phone number"),
        (to.phone_parser(), "+999123456789", "is not a phone number"),
        (
            to.phone_parser(),
            "89001234567",
            "is not a phone number in the international form (+…), and no `region` says how to read others",
        ),
        (to.parse_email, "ivan", "is not an e-mail address"),
        (to.parse_email, "ivan@@example.com", "is not an e-mail address"),
        (to.parse_email, "ivan@example", "is not an e-mail address"),
        (to.parse_email, "ivan@printer.LOCAL", "is not an e-mail address"),
        (to.parse_email, "a@b.cz, c@d.cz", "is not an e-mail address"),
        (to.parse_email, "\ud800@b.cz", "is not an e-mail address"),
        (to.parse_json, "{'a': 1}", "is not JSON"),
        (to.parse_json, "NaN", "is not JSON"),
        (to.parse_json, '"\\ud800"', "is not JSON"),
        (to.parse_json, "\ud800", "is not JSON"),
        (to.parse_json, "[1e999]", "holds a number that is too large"),
        (to.parse_json, '{"a": [18446744073709551615]}', "holds a whole number beyond 64 bits"),
        (to.parse_json, "[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_text_that_is_something_else_is_refused_with_a_reason(
    convert: Callable[[str], object], text: str, why: str
) -> None:
    """The end of a sentence that a person can act on."""
    assert reason(convert, text) == why


CONVERTERS = [
    to.parse_text, to.parse_int, to.float_parser(), to.bool_parser(), to.date_parser("%d.%m.%Y"),
    to.datetime_parser("%d.%m.%Y %H:%M", MOSCOW), to.phone_parser(), to.phone_parser("RU"), to.parse_email,
    to.list_parser(), to.parse_json, to.parse_json_canonically,
]  # fmt: skip

REASONS = {
    "is not a whole number", "is a whole number beyond 64 bits", "is not a number with '.' as its decimal sign",
    "is too large a number", "is neither true (1, true, yes, y, да) nor false (0, false, no, n, нет)",
    "is not a date in the form %d.%m.%Y", "is not a date and time in the form %d.%m.%Y %H:%M",
    "is not a phone number", "is not a possible phone number", "is not an e-mail address", "is not JSON",
    "is not a phone number in the international form (+…), and no `region` says how to read others",
    "holds a number that is too large", "holds a whole number beyond 64 bits", "is nested too deeply",
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=30) | st.text("0123456789+-.,@eE:[]{} \ud800", max_size=30))
def test_no_text_brings_a_conversion_down(text: str) -> None:
    """Whatever a file holds, a conversion gives a value or one of few reasons, none of them made of the value."""
    for convert in CONVERTERS:
        try:
            convert(text)
        except ValueError as error:
            assert str(error) in REASONS  # noqa: PT017


ADDRESSES = st.from_regex(
    r"[A-Za-z0-9._+%-]{1,70}@[A-Za-z0-9.-]{1,70}\.(com|test|local|Рф|x|[a-z]{2,9})", fullmatch=True
)


@settings(max_examples=500, deadline=None)
@given(ADDRESSES)
@example("a@xn--e1afmkfd.com")
@example("a@ab--cd.com")
@example("a@b.invalid")
@example("\u212aelvin@example.com")
def test_the_plain_addresses_are_a_part_of_the_valid_ones(address: str) -> None:
    """The short cut never takes what email-validator refuses."""
    if len(address) <= to._PLAIN_LENGTH and to._PLAIN_EMAIL.fullmatch(address):
        email_validator.validate_email(address, check_deliverability=False)


PHONES = st.from_regex(r"(\+?\d{1,3}|8|0|00|810)?[ -]?(\(\d{3}\))?[-. \d]{5,12}", fullmatch=True)


@pytest.mark.parametrize("region", [None, "RU", "KZ", "US", "GB", "DE", "IT", "BR", "BY", "AR", "MX"])
@settings(max_examples=150, deadline=None)
@given(text=PHONES)
@example(text="8 800 555 35 35")
@example(text="+7 8 900 123 45 67")
@example(text="+39 06 1234 5678")
def test_the_plain_phone_numbers_read_as_the_library_reads_them(region: str | None, text: str) -> None:
    """The short cut gives what phonenumbers gives, or nothing."""
    quick = ShortCut(region).read(text)
    if quick is not None:
        number = phonenumbers.parse(text, region)
        assert phonenumbers.is_possible_number(number)
        assert quick == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


ALIKE = st.one_of(
    st.lists(st.from_regex(r"\+7 ?9\d\d \d{3}-\d\d-\d\d", fullmatch=True), min_size=1, max_size=4),
    st.lists(st.from_regex(r"8 ?\(9\d\d\) \d{3} \d{4}", fullmatch=True), min_size=1, max_size=4),
    st.lists(st.from_regex(r"\+[1-9]\d{0,2} \d{6,11}", fullmatch=True), min_size=1, max_size=2),
    st.lists(PHONES, min_size=1, max_size=3),
)


@pytest.mark.parametrize("region", [None, "RU", "KZ", "US", "GB", "DE", "IT", "BR", "BY", "AR", "MX"])
@settings(max_examples=100, deadline=None)
@given(texts=ALIKE)
@example(texts=["+7 900 123-45-67", "+7 901 123-45-67\n+7 901 123-45-67"])
@example(texts=["8 900 123-45-67", "+7 901 123-45-67"])
def test_many_phone_numbers_read_as_each_of_them(region: str | None, texts: list[str]) -> None:
    """A look at all of them together gives what the short cut gives for each, or nothing."""
    together = phones_parser(region)(texts)
    if together is not None:
        assert list(together) == [ShortCut(region).read(text) for text in texts]


def test_phone_numbers_that_are_written_alike_are_read_together() -> None:
    """It is there because a look at each takes five times as long."""
    assert phones_parser("RU")(["+7 900 123-45-67", "+79011234567"]) == ["+79001234567", "+79011234567"]
    assert phones_parser("RU")(["8 (900) 123-45-67", "89011234567"]) == ["+79001234567", "+79011234567"]
    assert phones_parser(None)(["+1 212 555 0123"]) == ["+12125550123"]
    assert phones_parser(None)(["8 (900) 123-45-67"]) is None
    assert phones_parser("RU")([""]) is None


def test_the_plainest_phone_numbers_take_the_short_cut() -> None:
    """It is there because the library takes twenty times as long."""
    assert ShortCut("RU").read("8 (900) 123-45-67") == "+79001234567"
    assert ShortCut(None).read("+1 212 555 0123") == "+12125550123"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["%d.%m.%Y", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%Y%m%d%H%M%S", "%S %d-%m-%Y"]),
    st.datetimes(min_value=datetime(1000, 1, 1)),  # noqa: DTZ001  a form without a zone is what is tested
    st.integers(0, 30),
    st.sampled_from("0123456789 ./-x"),
)
def test_dates_read_as_strptime_reads_them(form: str, moment: datetime, place: int, other: str) -> None:
    """The short cut for digits agrees with strptime, on broken texts too."""
    text = moment.strftime(form)
    for candidate in (text, text[:place] + other + text[place + 1 :]):
        try:
            expected = datetime.strptime(candidate.strip(), form).isoformat() + "Z"  # noqa: DTZ007
        except ValueError:
            assert reason(to.datetime_parser(form), candidate)
        else:
            assert to.datetime_parser(form)(candidate) == expected
            assert to.date_parser(form)(candidate) == expected[:10]


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ("%d.%m.%Y", None),
        ("%Y-%m-%dT%H:%M:%S%z", None),
        ("%d.%m.%Q", "has an unknown % directive"),
        ("%d.%m.%Y%", "has an unknown % directive"),
        ("%d.%d.%Y", "names a part twice"),
        ("%d.%m", "does not name a whole date (year, month and day)"),
        ("dd.mm.yyyy", "does not name a whole date (year, month and day)"),
    ],
)
def test_a_form_is_judged_before_the_first_row(form: str, complaint: str | None) -> None:
    """A form that can never be right is a mistake of the job file, not of each row."""
    assert to.complaint_about_form(form) == complaint


def test_json_is_made_canonical_and_keeps_its_numbers() -> None:
    """Prices are not to become binary fractions, and equal values are equal bytes."""
    raw = to.parse_json_canonically('{ "b": 1.10, "a": {"d": 12345678901234567.89, "c": "é"} }')
    assert bytes(raw).decode() == '{"a":{"c":"é","d":12345678901234567.89},"b":1.10}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("31.12.1990", "99.99.9999"),
        ("Ivan.Петров@example.com", "Aaaa.Aaaaaa@aaaaaaa.aaa"),
        ("a\nb\u200b\ud800", "a?a??"),
        ("x" * 41, "a" * 40 + "…"),
    ],
)
def test_a_shape_shows_the_look_and_not_the_value(value: str, shown: str) -> None:
    """Sentences go to logs, and values are personal data."""
    assert shape(value) == shown


@pytest.mark.parametrize(("text", "blank"), [("", True), (f" \t{NBSP}", True), ("0", False), ("\u200b", False)])
def test_white_space_is_empty(text: str, blank: bool) -> None:
    """A no-break space is what spreadsheets leave behind."""
    assert is_blank(text) is blank


def test_the_big_libraries_are_opened_only_when_asked_for() -> None:
    """A job without phones does not pay for the numbering plans of the world."""
    code = (
        "import sys, batchrunner.mapping as m; from batchrunner.mapping.conversions import parse_email;"
        "parse_email('a@b.cz'); print('phonenumbers' in sys.modules, 'email_validator' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
