"""Damaged cells: recognised, repaired where nothing is lost, and said; clean cells never change."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.chunks import Chunk
from batchrunner.config import AS_IT_STANDS, Job, RepairTable
from batchrunner.mapping import Repairs, compile_mapping, job_from_mapping_text, mapping_text
from batchrunner.mapping.damage import (
    Mended,
    e_notation,
    email_dots,
    encoded_twice,
    formula,
    look_alikes,
    nbsp_at_ends,
    null_text,
    russian_8,
    several_emails,
)
from batchrunner.model import Mapped, Request, Row, Source, Unusable

NBSP, ZERO_WIDTH = "\u00a0", "\u200b"


def job_of(request: str, repair: dict[str, str] | None = None, when: str | None = None) -> Job:
    """A job with this [request] and [repair]."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12},
            "request": tomllib.loads(request),
            **({} if repair is None else {"repair": repair}),
            "rules": {} if when is None else {"when": when},
        }
    )


def mapped(job: Job, column: str, texts: Sequence[str]) -> tuple[list[Mapped], Repairs]:
    """How rows with an id and one other column end, and what was found in them."""
    rows = [Row(number, number + 1, ("id", text)) for number, text in enumerate(texts, 1)]
    repairs = Repairs()
    mapper = compile_mapping(job, Source("crm.csv", "f", 0), ["id", column], "crm.csv", repairs)
    return mapper.map(
        Chunk(["id", column], rows, [[f"i{row.number}", text] for row, text in zip(rows, texts, strict=True)])
    ), repairs


def sent(end: Mapped) -> Any:
    """What stands in `data.x` of a request."""
    assert isinstance(end, Request), end
    return json.loads(end.payload)["data"].get("x")


CUSTOM = 'matching = "custom"\nfield_name = "id"\nfield_value = "{id}"\n[data]\nid = "{id}"\n'
TEXT = CUSTOM + 'x = "{c}"'
PHONE = CUSTOM + 'x = { column = "c", as = "phone", region = "RU" }'
ANY_PHONE = CUSTOM + 'x = { column = "c", as = "phone" }'
EMAIL = CUSTOM + 'x = { column = "c", as = "email" }'
DATE = CUSTOM + 'x = { column = "c", as = "date", format = "%d.%m.%Y" }'
MOMENT = CUSTOM + 'x = { column = "c", as = "datetime", format = "%d.%m.%Y %H:%M", timezone = "Europe/Moscow" }'
INT = CUSTOM + 'x = { column = "c", as = "int" }'


@pytest.mark.parametrize(
    ("request_", "text", "fault", "becomes"),
    [
        (TEXT, f"{NBSP}Anna{ZERO_WIDTH} ", "nbsp", "Anna"),
        (TEXT, "Ð˜Ð²Ð°Ð½", "encoded_twice", "Иван"),
        (TEXT, "Р\x98РІР°РЅ РџРµС‚СЂРѕРІ", "encoded_twice", "Иван Петров"),
        (TEXT, "ZoÃ« in KÃ¶ln", "encoded_twice", "Zoë in Köln"),
        (TEXT, "#N/A", "null_text", None),
        (TEXT, " NULL ", "null_text", None),
        (TEXT, '="00123"', "formula", "00123"),
        (PHONE, "7.9001234567E+10", "e_notation", "+79001234567"),
        (PHONE, "79001234567.0", "e_notation", "+79001234567"),
        (PHONE, "8 (900) 123-45-67", "russian_8", "+79001234567"),
        (ANY_PHONE, "8 (900) 123-45-67", "russian_8", "+79001234567"),
        (PHONE, "+8 900 123 45 67", "russian_8", "+79001234567"),
        (ANY_PHONE, "79001234567", "lost_prefix", "+79001234567"),
        (ANY_PHONE, "0049 30 1234567", "lost_prefix", "+49301234567"),
        (EMAIL, "anna@example.com.", "email_dots", "anna@example.com"),
        (EMAIL, "anna@example.com;", "email_dots", "anna@example.com"),
        (EMAIL, "аnna@example.com", "look_alikes", "anna@example.com"),
        (EMAIL, f"anna@exam{ZERO_WIDTH}ple.com", "nbsp", "anna@example.com"),
        (DATE, "45231", "excel_date", "2023-11-01"),
        (MOMENT, "45231.5", "excel_date", "2023-11-01T09:00:00Z"),
        (INT, "1.2345E+4", "e_notation", 12345),
        (INT, f"12345{ZERO_WIDTH}", "nbsp", 12345),
    ],
)
def test_what_can_be_repaired_without_loss_is_and_is_counted(
    request_: str, text: str, fault: str, becomes: object
) -> None:
    """Beside a clean row, whose line is not told."""
    clean = {TEXT: "Bob", PHONE: "+79261112233", ANY_PHONE: "+79261112233", EMAIL: "bob@example.com"}
    clean |= {DATE: "23.11.1990", MOMENT: "23.11.1990 10:00", INT: "7"}
    ends, repairs = mapped(job_of(request_), "c", [clean[request_], text])
    assert sent(ends[1]) == becomes
    [found] = repairs
    assert (found.column, found.fault, found.lines, found.counts["repaired"]) == ("c", fault, [3], 1)


@pytest.mark.parametrize(
    ("request_", "text", "fault", "code"),
    [
        (TEXT, "=SUM(A1:A3)", "formula", "damaged"),
        (TEXT, "#REF!", "formula", "damaged"),
        (PHONE, "7.9E+10", "e_notation", "bad_phone"),
        (PHONE, "7,9E+10", "e_notation", "bad_phone"),
        (EMAIL, "a@example.com; b@example.com", "several_emails", "bad_email"),
        (EMAIL, "жanna@example.com", "look_alikes", "bad_email"),
    ],
)
def test_what_would_lose_something_makes_its_row_unusable(request_: str, text: str, fault: str, code: str) -> None:
    """The sentence names the column and the key of the job file, never the value."""
    [end], repairs = mapped(job_of(request_), "c", [text])
    assert isinstance(end, Unusable)
    assert end.code == code
    assert "column 'c' holds" in end.text
    assert f"`{fault}` under [repair]" in end.text
    assert text not in end.text
    [found] = repairs
    assert found.counts == {"repaired": 0, "unusable": 1, "kept": 0}


@pytest.mark.parametrize(
    "text",
    [
        "Null", "null", "nullable", "N/A-ish", "=) thanks", "= equals", "25 °C", "«Дом С»", "Рита С…", "РОССИЯ",
        "Señor Ñandú",
        "Ångström", "SÃO PAULO", f"10{NBSP}часов", "👨\u200d👩\u200d👧", "#hashtag", "A=1", "Р. С. Т.", "Älä",
    ],
)  # fmt: skip
def test_clean_texts_are_left_alone(text: str) -> None:
    """Words that look a little like damage are none."""
    [end], repairs = mapped(job_of(TEXT), "c", [text])
    assert sent(end) == text
    assert not list(repairs)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", max_codepoint=0x7E, min_codepoint=0x20), max_size=12), max_size=8))
def test_payloads_of_clean_cells_are_those_of_a_job_without_repairs(texts: list[str]) -> None:
    """Whatever the cell and its conversion: only where something was found may a request differ."""
    for request in (TEXT, PHONE, EMAIL, DATE, INT):
        now, repairs = mapped(job_of(request), "c", texts)
        was, _ = mapped(job_of(request).model_copy(update={"repair": AS_IT_STANDS}), "c", texts)
        told = {line for found in repairs for line in found.lines}
        if all(found.cells <= 5 for found in repairs):
            assert all(
                a == b or a.row.line in told for a, b in zip(now, was, strict=True) if not isinstance(a, Request)
            )
            assert all(
                a == b for a, b in zip(now, was, strict=True) if isinstance(a, Request) and a.row.line not in told
            )


def test_each_policy_is_obeyed() -> None:
    """Kept cells are counted all the same."""
    kept, repairs = mapped(job_of(TEXT, {"null_text": "keep"}), "c", ["NULL"])
    assert (sent(kept[0]), [found.counts["kept"] for found in repairs]) == ("NULL", [1])
    [refused], _ = mapped(job_of(TEXT, {"nbsp": "unusable"}), "c", [f"{NBSP}x"])
    assert isinstance(refused, Unusable)
    [first], _ = mapped(job_of(EMAIL, {"several_emails": "first"}), "c", ["a@example.com, b@example.com"])
    assert sent(first) == "a@example.com"
    [mac], _ = mapped(job_of(DATE, {"excel_date": "1904"}), "c", ["43769"])
    assert sent(mac) == "2023-11-01"
    [spaced], _ = mapped(job_of(TEXT, {"nbsp": "space"}), "c", [f"10{NBSP}часов"])
    assert sent(spaced) == "10 часов"
    [strict], _ = mapped(job_of(PHONE, {"russian_8": "unusable"}), "c", ["8 900 123-45-67"])
    assert isinstance(strict, Unusable)


def test_an_8_is_left_to_a_job_that_says_another_country() -> None:
    """What 8 means in Germany is not Russia's business."""
    german = CUSTOM + 'x = { column = "c", as = "phone", region = "DE" }'
    [end], repairs = mapped(job_of(german), "c", ["8 900 123-45-67"])
    assert sent(end) == "+4989001234567"
    assert not list(repairs)


def test_a_word_that_the_job_speaks_of_means_what_the_job_says() -> None:
    """In a map or in a condition, NULL is a value as any other."""
    mapping = CUSTOM + 'x = { column = "c", map = { NULL = "nothing", A = "a" } }'
    ends, repairs = mapped(job_of(mapping), "c", ["NULL", "A"])
    assert [sent(end) for end in ends] == ["nothing", "a"]
    ends, _ = mapped(job_of(TEXT, when="{c} == NULL"), "c", ["NULL", "A"])
    assert sent(ends[0]) == "NULL"
    assert not list(repairs)


def test_a_condition_sees_repaired_texts_and_counts_them_once() -> None:
    """`when` and the request read the same."""
    ends, repairs = mapped(job_of(TEXT, when="{c} == Anna"), "c", [f"{NBSP}Anna", "Bob"])
    assert sent(ends[0]) == "Anna"
    assert [found.cells for found in repairs] == [1]


def test_only_the_first_lines_of_many_are_told() -> None:
    """The sentence says that there are more."""
    _, repairs = mapped(job_of(TEXT), "c", ["NULL"] * 9)
    [found] = repairs
    assert (found.cells, found.lines) == (9, [2, 3, 4, 5, 6])
    assert found.sentence == (
        "column 'c': 9 cells with a word that stands for nothing, as NULL or #N/A (lines 2, 3, 4, 5, 6…): 9 repaired"
    )


# --- what keys depend on -----------------------------------------------------------------------


def test_a_mapping_from_before_there_were_repairs_is_read_as_it_was() -> None:
    """The guard compares what would be sent with what was: damaged cells went as they stood."""
    job = job_of(TEXT)
    old = json.loads(mapping_text(job))
    del old["repair"]
    was = job_from_mapping_text(json.dumps(old), job)
    assert was.repair == AS_IT_STANDS
    assert job_from_mapping_text(mapping_text(job), was).repair == RepairTable()


def test_policies_are_part_of_what_a_mapping_is() -> None:
    """Another policy may send rows again."""
    assert mapping_text(job_of(TEXT, {"nbsp": "space"})) != mapping_text(job_of(TEXT))
    assert mapping_text(job_of(TEXT, {"nbsp": "trim"})) == mapping_text(job_of(TEXT))


# --- single texts ------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x45F), min_size=2, max_size=30))
def test_what_was_encoded_twice_comes_back(text: str) -> None:
    """Where the damage is recognised at all, the text is the one it was; Cyrillic and Western words always are."""
    damaged = text.encode().decode("latin-1")
    found = encoded_twice(damaged)
    if found is not None and text.isprintable():
        assert found.text is not None
        assert len(found.text) < len(damaged)
    words = "".join(one for one in text if "а" <= one <= "я")
    if len(words) > 1:
        assert encoded_twice(words.encode().decode("latin-1")) == Mended("encoded_twice", words)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (nbsp_at_ends, "plain text"),
        (null_text, "NULLA"),
        (formula, "==="),
        (e_notation, "12345"),
        (e_notation, "1e5 items"),
        (russian_8, "8123"),
        (russian_8, "89001234567890"),
        (several_emails, "a@example.com"),
        (email_dots, "a.b@example.com"),
        (look_alikes, "почта@пример.рф"),
        (look_alikes, "почта@example.com"),
    ],
)
def test_a_test_says_nothing_of_what_is_right(test: Any, text: str) -> None:
    """None means: not damaged in this way."""
    assert test(text) is None


def test_a_cell_that_is_used_twice_is_counted_once_and_against_its_own_column() -> None:
    """Phones are looked up by the first that is filled, and sent as a list of all."""
    job = job_of(
        """
        matching = "phone"
        phone = { pick = ["work", "home"], as = "phone", region = "RU" }
        [data]
        phones = { columns = ["work", "home"], as = "phone", region = "RU" }
        """
    )
    cells = [("8 900 123-45-67", ""), ("", "8 900 123-45-68"), ("8 900 123-45-69", "8 900 123-45-60")]
    rows = [Row(number, number + 1, texts) for number, texts in enumerate(cells, 1)]
    repairs = Repairs()
    mapper = compile_mapping(job, Source("crm.csv", "", 0), ("work", "home"), "crm.csv", repairs)
    mapper.map(Chunk(("work", "home"), rows, cells))
    assert {(one.column, one.cells, tuple(one.lines)) for one in repairs} == {("work", 2, (2, 4)), ("home", 2, (3, 4))}


def test_damage_on_one_line_is_told_by_row() -> None:
    """A JSON array may have no other line."""
    repairs = Repairs()
    repairs.note(("a.json", "phone", "russian_8"), [Row(2, 1, ()), Row(5, 1, ())], "repaired", 2)
    [found] = repairs
    assert "(rows 2, 5): 2 repaired" in found.sentence
