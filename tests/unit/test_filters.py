"""Filters and defaults of placeholders: what each makes of a text, and which slips are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.mapping.filters import filter_names
from batchrunner.mapping.templates import Placeholder, parse_template


def after(template: str, cell: str) -> str:
    """The one placeholder of a template, filled with a cell."""
    (piece,) = parse_template(template)
    assert isinstance(piece, Placeholder)
    return piece.chain.apply(cell)


@pytest.mark.parametrize(
    ("filters", "cell", "text"),
    [
        ("trim", "\u00a0 Ann \t", "Ann"),
        ("collapse", " Ann \u00a0 Mary\n", "Ann Mary"),
        ("lower", "ИВАН", "иван"),
        ("upper", "straße", "STRASSE"),
        ("title", "иван-пётр o'neill it's", "Иван-Пётр O'Neill It's"),
        ("title", "McDONALD 2nd", "Mcdonald 2Nd"),
        ("capitalize", "нА дОМ", "На дом"),
        ("digits", "+7 (900) 12٣", "790012"),
        ("first_word", "  Ann Mary ", "Ann"),
        ("first word", "Ann Mary", "Ann"),
        ("Last-Word", "Ann Mary", "Mary"),
        ("cut:3", "Wörter", "Wör"),
        ("pad:6", " 1230 ", "001230"),
        ("pad:4,' '", "12", "  12"),
        ("pad:2", "12345", "12345"),
        ("replace:'a','b'", "banana", "bbnbnb"),
        ("replace:'|',','", "1|2", "1,2"),
        ("replace:'{', '}'", "{", "}"),
        ("replace:\"'\",''", "O'Neill", "ONeill"),
        ("replace:a,", "banana", "bnn"),
        ("date:'%d.%m.%Y'", "31.12.1990", "1990-12-31"),
        ("date:'%d.%m.%Y','%m/%d/%Y'", "31.12.1990", "12/31/1990"),
        ("file_name", r"C:\in\Акт 1.PDF", "Акт 1.PDF"),
        ("file_name", "a/b/c.txt", "c.txt"),
        ("mime_type", "a/b/c.PDF", "application/pdf"),
        ("mime_type", "a/b/c", "application/octet-stream"),
        ("trim|lower|title", " ANN mary ", "Ann Mary"),
        ("friend", "", "friend"),
        ("friend", " \u00a0", "friend"),
        ("friend", "Ann", "Ann"),
        ("'dear {friend} | it''", "", None),
        ("'a } b | c'", "", "a } b | c"),
        ("'trim'", "", "trim"),
        ("default:'trim'", "", "trim"),
        ("'friend'|upper", "", "FRIEND"),
        ("upper|'friend'", "", "friend"),
        ("digits|'none'", "abc", "none"),
        ("''", "", ""),
        ("title", "", ""),
    ],
)
def test_a_filter_makes_one_text_of_another(filters: str, cell: str, text: str | None) -> None:
    """In the order in which they are written."""
    template = f"{{Name|{filters}}}"
    if text is None:
        with pytest.raises(ValueError, match="quote"):
            parse_template(template)
    else:
        assert after(template, cell) == text


def test_blanks_around_the_bars_are_layout() -> None:
    """The name of the column too."""
    (piece,) = parse_template("{ First name | trim | friend }")
    assert isinstance(piece, Placeholder)
    assert piece.column == "First name"
    assert [call.name for call in piece.chain.calls] == ["trim", "default"]


def test_a_placeholder_without_filters_is_the_column_as_it_is_named() -> None:
    """Blanks included: some exports have them."""
    assert parse_template("{ A }") == (Placeholder(" A "),)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{A|trmi}", "has no filter 'trmi'; did you mean 'trim'?"),
        ("{A|Titel}", "did you mean 'title'?"),
        ("{A|repalce:'a','b'}", "did you mean 'replace'?"),
        ("{A|reverse:'a'}", "has no filter 'reverse'; there are trim, collapse,"),
        ("{A|}", "has a bar without a filter or a default"),
        ("{A|trim|}", "has a bar without a filter or a default"),
        ("{A|'a' b}", "has a default that is quoted in part"),
        ("{A|'a}", "has a quote among the filters that never closes"),
        ("{A|replace:'a'}", "gives filter 'replace' 1 arguments; it takes two arguments, as in"),
        ("{A|trim:'a'}", "gives filter 'trim' 1 arguments; it takes no argument"),
        ("{A|date}", "gives filter 'date' 0 arguments; it takes one argument or two"),
        ("{A|date:'%d.%m'}", "which does not name a whole date"),
        ("{A|date:'%d.%m.%Y','%Q'}", "gives filter 'date' the form '%Q'"),
        ("{A|replace:'','b'}", "nothing to look for"),
        ("{A|replace:'a'x,'b'}", "has something beside the quotes"),
        ("{A|pad:0}", "gives filter 'pad' no width"),
        ("{A|pad:6,ab}", "gives filter 'pad' no width"),
        ("{A|cut:x}", "gives filter 'cut' no number"),
    ],
)
def test_a_slip_is_an_error_and_not_silently_a_default(template: str, sentence: str) -> None:
    """With the nearest right name, or what to write."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the sentence is looked at below
        parse_template(template)
    assert sentence in str(caught.value)


def test_a_date_that_cannot_be_read_is_an_error() -> None:
    """It must not be sent as it stands."""
    with pytest.raises(ValueError, match=r"is not a date in the form %d\.%m\.%Y"):
        after("{A|date:'%d.%m.%Y'}", "31.02.1990")


@given(st.text(st.sampled_from("{}|'\":, abtrimdefault\n5") | st.characters(), max_size=40))
def test_reading_a_template_never_fails_but_with_a_sentence(text: str) -> None:
    """Whatever stands in the job file."""
    try:
        pieces = parse_template(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017  most texts are refused, and some are not
    else:
        assert all(pieces)


@given(
    st.sampled_from([name for name in filter_names() if name not in ("date", "replace", "pad", "cut", "default")]),
    st.text(),
)
def test_a_filter_takes_any_text(name: str, cell: str) -> None:
    """And what is empty stays empty."""
    text = after(f"{{A|{name}}}", cell)
    assert isinstance(text, str)
    assert text == "" or cell.strip()


def test_every_filter_is_documented() -> None:
    """By its name, on the page about mapping."""
    page = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")
    assert [name for name in filter_names() if f"`{name}" not in page and f"|{name}:" not in page] == []
