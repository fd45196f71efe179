"""Conditions on a row: what each sign means, and that no text can do more than be refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.mapping.conditions import parse_condition

ROW = {
    "Country": " RU ", "Age": "18", "City": "Нижний Новгород", "Phone": "", "VIP": "да",
    "Sum": "-1.50", "Day": "2024-12-31", "Bad": "18 лет", "Id": "007",
}  # fmt: skip


def holds(text: str, row: Mapping[str, str] = ROW) -> bool:
    """Whether the condition holds for the row."""
    condition = parse_condition(text)
    return condition.holds([row[column] for column in condition.columns])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{Country} == RU", True),
        ("{Country} == 'RU'", True),
        ('{Country} != "RU"', False),
        ("{Country} == ru", False),
        ("{Country|lower} == ru", True),
        ("{City} == 'Нижний Новгород'", True),
        ("{Id} == 7", False),
        ("{Id} == 007", True),
        ("{Country} in [RU, KZ, 'BY']", True),
        ("{Country} not in [RU]", False),
        ("{Country} in ['UA']", False),
        ("{Age} in [{Id}, {Age}]", True),
        ("{Age} >= 18", True),
        ("{Age} > 18", False),
        ("{Age} < 18.5", True),
        ("{Age} <= -3", False),
        ("18 <= {Age}", True),
        ("{Sum} < 0", True),
        ("{Day} >= 2024-01-01", True),
        ("{Day} < {Day|default:'x'}", False),
        ("{Phone} empty", True),
        ("{Phone} is empty", True),
        ("{Phone} not empty", False),
        ("{Phone} is not empty", False),
        ("{Phone} > 0", False),
        ("{Phone} <= 0", False),
        ("{Phone|0} <= 0", True),
        ("not {Phone} empty", False),
        ("not not {Phone} empty", True),
        ("{Age} == 1 or {VIP} == да", True),
        ("{Age} == 18 and {VIP} == нет", False),
        ("{Age} == 1 and {Age} == 2 or {VIP} == да", True),
        ("{Age} == 1 and ({Age} == 2 or {VIP} == да)", False),
        ("NOT ({Country} == RU AND {VIP} == да)", False),
        ("{Bad} == '18 лет' or {Bad} > 18", True),
        ("{Phone} not empty and {Bad} > 18", False),
        ("{VIP} == 'and'", False),
    ],
)
def test_a_condition_says_what_it_reads(text: str, expected: bool) -> None:
    """`and` binds closer than `or`; what is decided already is not asked."""
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{Bad} > 18", "column 'Bad': '99 aaa' is neither a number nor a day such as 2024-12-31"),
        ("{Age} > {Day}", "column 'Age' and column 'Day' are not both numbers or both days"),
        ("{Bad|date:'%Y'} > 2024-01-01", None),
        ("{Bad|date:'%d.%m.%Y'} > 2024-01-01", "column 'Bad': '99 aaa' is not a date in the form %d.%m.%Y"),
    ],
)
def test_what_cannot_be_compared_is_said(text: str, sentence: str | None) -> None:
    """Without saying the value."""
    if sentence is None:
        with pytest.raises(ValueError, match="does not name a whole date"):
            parse_condition(text)
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the sentence is looked at below
        holds(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has its end where a {Column} or a value is expected"),
        ("RU == RU", "names no {Column}"),
        ("{Country}", "has its end where a sign is expected"),
        ("{Country} = RU", "has a part that cannot be read: = RU"),
        ("{Country} == ", "has its end where a {Column} or a value is expected"),
        ("{Country} == and", "has 'and' where a {Column} or a value is expected; quote a value"),
        ("{Country} == New York", "has 'York' where 'and' or 'or' is expected"),
        ("({Country} == RU", "has its end where ')' is expected"),
        ("{Country} == RU)", "has ')' where 'and' or 'or' is expected"),
        ("{Country} in RU", "has 'RU' where '[' is expected"),
        ("{Country} in [RU", "has its end where ']' is expected"),
        ("{Country} is RU", "has 'RU' where a sign is expected"),
        ("{Age} > abc", "'abc': 'aaa' is neither a number nor a day"),
        ("{Age} > 2024-02-31", "is neither a number nor a day"),
        ("{Country|trmi} == RU", "did you mean 'trim'?"),
        ("{Country == RU", "has a part that cannot be read: {Country == RU"),
        ("__import__('os')", "has '(' where a sign is expected"),
        ("(" * 60 + "{A} empty" + ")" * 60, "is nested more than 50 deep"),
        ("not " * 5000 + "{A} empty", "is nested more than 50 deep"),
    ],
)
def test_a_slip_in_a_condition_is_one_sentence(text: str, sentence: str) -> None:
    """Saying what stands there, and what should."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the sentence is looked at below
        parse_condition(text)
    assert sentence in str(caught.value)


def test_a_condition_names_its_columns_once() -> None:
    """In the order in which they appear."""
    assert parse_condition("{B} == 1 or ({A|trim} empty and {B|lower} == x)").columns == ("B", "A")


_WORDS = st.sampled_from(
    ["{A}", "{A|trim}", "{B c}", "'x'", '"', "'", "RU", "18", "and", "or", "not", "in", "is", "empty", "==", "!=", "<",
     "<=", ">", ">=", "(", ")", "[", "]", ",", "{", "}", "=", "|"]
)  # fmt: skip


@given(st.lists(_WORDS | st.text(max_size=3), max_size=25), st.text(), st.text())
def test_no_text_makes_the_reader_fail_but_with_a_sentence(words: list[str], first: str, second: str) -> None:
    """And what it reads gives an answer or a sentence for any row."""
    try:
        condition = parse_condition(" ".join(words))
        answer = condition.holds([first, second, first][: len(condition.columns)])
    except ValueError as error:
        assert str(error)  # noqa: PT017  most texts are refused, and some are not
    else:
        assert answer in (True, False)


@given(st.integers(), st.integers(), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_numbers_compare_as_numbers(left: int, right: int, sign: str) -> None:
    """However long they are."""
    expected = {
        "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        "==": left == right, "!=": left != right,
    }[sign]  # fmt: skip
    assert holds(f"{{A}} {sign} {right}", {"A": str(left)}) is expected
