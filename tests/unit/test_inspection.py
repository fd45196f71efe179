"""What check finds: columns in flat memory, problems by column, a page that no cell can break."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.chunks import Chunk
from batchrunner.inspection import Inspection, Profiler, inspection_text, inspection_values, page
from batchrunner.inspection.profile import MOST_COLUMNS, SKETCH
from batchrunner.mapping import Found
from batchrunner.model import Row


def chunk_of(columns: list[str], cells: list[list[str]]) -> Chunk:
    """Rows as a chunk."""
    return Chunk(columns, [Row(number, number, tuple(row)) for number, row in enumerate(cells, 1)], cells)


def profiled(*chunks: Chunk) -> Profiler:
    """The columns of some chunks."""
    profiler = Profiler()
    for chunk in chunks:
        profiler.add(chunk)
    return profiler


def test_columns_are_counted_over_chunks() -> None:
    """Filled, different, lengths and shapes; white space is empty, and a column that comes late was empty before."""
    first = chunk_of(["name", "city"], [["Ann", "Omsk"], ["Bob", "  "], ["Ann", ""]])
    second = chunk_of(["name", "late"], [["Cid", "x" * 300]])
    name, city, late = profiled(first, second)
    assert (name.rows, name.filled, name.distinct, name.examples) == (4, 4, 3, ["Aaa"])
    assert (city.rows, city.filled) == (4, 1)
    assert (late.rows, late.filled, late.lengths[-1]) == (4, 1, 1)


def test_very_many_different_texts_are_estimated_in_little_memory() -> None:
    """Exactly as long as they fit, then to within some percent, and marked."""
    many = 5 * SKETCH
    chunks = [chunk_of(["id"], [[f"n{n}"] for n in range(start, start + 5000)]) for start in range(0, many, 5000)]
    few = next(iter(profiled(*chunks[:2])))
    assert (few.distinct, few.is_exact) == (10_000, True)
    column = next(iter(profiled(*chunks, *chunks)))
    assert not column.is_exact
    assert column.distinct == pytest.approx(len(chunks) * 5000, rel=0.05)
    assert column._smallest is not None
    assert len(column._smallest) == SKETCH


def test_keys_without_end_do_not_fill_the_memory() -> None:
    """Further columns are left out, and counted."""
    names = [f"k{n}" for n in range(MOST_COLUMNS + 7)]
    profiler = profiled(chunk_of(names, [["x"] * len(names)]))
    assert (len(list(profiler)), profiler.left_out) == (MOST_COLUMNS, 7)


def inspection(column: str = "e-mail", source: str = "a.csv", job: str = "crm") -> Inspection:
    """A check of three rows."""
    found = Inspection(job, (source,), 100)
    found.columns.add(chunk_of([column], [["ann@example.com"], ["nobody"], [""]]))
    found.count(10, None)
    found.count(50, "bad_email")
    found.count(99, None, filtered=True)
    damage = Found(source, column, "nbsp")
    damage.counts["repaired"] = 2
    damage.lines += [2, 3]
    found.found([damage], {(column, "bad_email"): 1})
    return found


def test_the_table_names_each_column_and_what_is_wrong_in_it() -> None:
    """Shapes instead of values; the judgement is the last line."""
    lines = inspection_text(inspection()).splitlines()
    assert lines[1].split() == ["column", "filled", "distinct", "looks", "like", "problems"]
    assert lines[2].split()[:4] == ["e-mail", "66.7", "%", "2"]
    assert "aaa@aaaaaaa.aaa" in lines[2]
    assert lines[2].endswith("bad_email (1), nbsp repaired (2)")
    assert lines[-1] == "crm: 1 rows can be sent, 1 are left out by `when`, 1 are unusable: bad_email (1)"


def test_the_values_are_those_of_the_table() -> None:
    """For a program."""
    values = inspection_values(inspection())
    assert (values["read"], values["usable"], values["filtered"], values["unusable"]) == (3, 1, 1, 1)
    [column] = values["columns"]
    assert (column["filled"], column["distinct"], column["problems"]) == (2, 2, {"bad_email": 1})
    assert values["repairs"][0]["repaired"] == 2


class _Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> _Reader:
    """The page as tags and text."""
    reader = _Reader()
    reader.feed(html)
    return reader


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe&amp;\x00\x1b[31m"


def test_no_name_of_a_file_can_break_the_page() -> None:
    """Headers, file and job names stand there as text; there is no script, and nothing is loaded from anywhere."""
    html = page(inspection(HOSTILE, HOSTILE, HOSTILE))
    tags = read(html).tags
    assert not {"script", "img", "iframe", "link", "object", "a"} & {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on") or name == "href"]
    assert "<script>alert(1)</script>" in read(html).text
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "default-src 'none'" in html


@given(st.text(max_size=30))
def test_any_column_name_gives_the_same_page_but_for_its_text(name: str) -> None:
    """The tags of the page do not depend on what the file says."""
    plain = [tag for tag, _ in read(page(inspection("plain"))).tags]
    assert [tag for tag, _ in read(page(inspection(name))).tags] == plain


def test_a_page_of_nothing_is_a_page() -> None:
    """An empty file has no columns, and no division by zero."""
    assert "0 rows can be sent" in page(Inspection("crm", ("a.csv",), 0))


def test_a_page_of_many_columns_leads_to_those_with_problems() -> None:
    """Nobody looks through sixty rows of a table for the two that matter."""
    names = [HOSTILE, *(f"c{number}" for number in range(60))]
    found = Inspection("crm", ("a.csv",), 100)
    found.columns.add(chunk_of(names, [["x", *["1"] * 58, "", ""]]))
    found.count(10, "bad_email")
    found.found([], {(HOSTILE, "bad_email"): 1, ("c7", "bad_phone"): 1})
    tags = read(page(found)).tags
    assert "2 of 61 columns have problems; 2 are empty." in read(page(found)).text
    assert [attrs["href"] for tag, attrs in tags if tag == "a"] == ["#c0", "#c8"]
    assert {"c0", "c8"} <= {attrs["id"] for tag, attrs in tags if tag == "tr" and "id" in attrs}
    assert not any(tag == "a" for tag, _ in read(page(inspection())).tags)
