"""The trust documents name tests: each of them exists, under that very name, in that very file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[`((?:test_|Test)\w+)`\]\((\.\./tests/[\w/]+\.py)\)")


@pytest.mark.parametrize("page", ["guarantees.md", "faults.md"])
def test_every_test_that_a_document_names_exists(page: str) -> None:
    """A promise whose test has gone is no promise."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    links = LINK.findall(text)
    assert len(links) > 10
    assert text.count("[`test_") + text.count("[`Test") == len(links), "a link does not lead to a test"
    for name, path in links:
        tests = (ROOT / "docs" / path).read_text(encoding="utf-8")
        assert re.search(rf"^\s*(async )?def {name}\(|^{name} = ", tests, re.MULTILINE), f"{page}: {name}"


def test_every_line_of_a_table_of_faults_names_its_test() -> None:
    """Fault, what happens, test."""
    lines = [line for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    rows = [line for line in lines if not line.startswith(("|---", "| fault "))]
    assert len(rows) > 20
    assert all(line.count("|") == 4 and LINK.search(line) for line in rows)


def test_the_readme_quotes_the_promise() -> None:
    """Word for word."""
    promise = "Every row of the file is accounted for, and nobody gets a message twice."
    assert promise in (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert promise in " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace(">", "").split())
