"""What `init` writes is a job file, whatever the export is called and whatever stands in its header."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.config import load_job
from batchrunner.guess import Head, Known, job_text, propose, sample_of, toml

HEADERS = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n\0'), min_size=1, max_size=20)


def written(content: bytes, tmp_path: Path, name: str = "a.csv") -> Path:
    """The job file for an export."""
    sample = sample_of(Head(name, content, whole=True))
    path = tmp_path / "job.toml"
    path.write_text(job_text(Known("job", name), sample, propose(sample)), encoding="utf-8")
    return path


@settings(max_examples=60, deadline=None)
@given(headers=st.lists(HEADERS, min_size=1, max_size=4, unique=True))
def test_no_header_breaks_the_job_file(headers: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Quotes, bars, braces, control characters, bidi marks: it reads as TOML, and as a job."""
    lines = [["email", *headers], ["ann@example.com", *["x"] * len(headers)]]
    content = "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines)
    job = load_job(written(content.encode(), tmp_path_factory.mktemp("job")))
    assert job.request.matching == "email"


@given(value=st.recursive(st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(), st.lists))
def test_values_come_back_from_toml_as_they_went_in(value: Any) -> None:
    """Texts with any character, numbers, truths, lists."""
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value


def test_a_comment_cannot_be_left_by_a_header(tmp_path: Path) -> None:
    """A header with a line break in it stays in its comment."""
    content = b'email,"evil\nurl = ""https://evil.example"""\nann@example.com,1\n'
    job = load_job(written(content, tmp_path))
    assert job.target.url == "http://127.0.0.1:8080"


def test_proposals_that_are_switched_on_by_hand_work(tmp_path: Path) -> None:
    """Taking the comment signs away from every proposal gives a job that still reads."""
    content = "email;Сумма;Метки;Пол;Комментарий\n" + "".join(
        f"p{n}@example.com;{n} 000,50;a|b;{'МЖ'[n % 2]};слова и слова\n" for n in range(10)
    )
    path = written(content.encode(), tmp_path)
    proposed = ("# summa =", "# tags =", "# _sex =", "# kommentariy =")
    text = path.read_text(encoding="utf-8")
    assert all(one in text for one in proposed)
    for one in proposed:
        text = text.replace(one, one.removeprefix("# "))
    path.write_text(text, encoding="utf-8")
    data = load_job(path).request.data
    assert data["_sex"].map == {"М": "male", "Ж": "female"}
    assert data["tags"].separator == "|"
    assert data["summa"].decimal == ","
