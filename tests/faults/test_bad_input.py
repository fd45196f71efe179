"""Bad input of people: whatever stands in a job file, a template or an option, the end is a sentence or a value.

What was found once stands beside the properties as an example, and is tried each time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchrunner.config import load_job, parse_concurrency, parse_max_errors, parse_rate
from batchrunner.errors import ConfigError, LedgerError
from batchrunner.ledger.database import locate
from batchrunner.mapping import lint_mapping

JOB = """name = "crm"
[source]
path = "x.csv"
encoding = "utf-8"
[target]
url = "https://platform.test"
workflow_id = 12
dedupe_window = "1d"
[request]
matching = "email"
email = "{email|trim|lower}"
[request.data]
_fname = "{First name|title}"
_bdate = { column = "Birth date", as = "date", format = "%d.%m.%Y" }
phones = [ { column = "Phone", as = "phone", region = "RU" } ]
[rules]
repeat = "unchanged"
when = "{Country} == RU and {Age} >= 18"
[limits]
concurrency = 16
rate = "50/s"
max_errors = "5%"
"""

PIECES = st.sampled_from([
    '"', "'", "{", "}", "[", "]", "|", "=", ",", "\n", "\\", "\x00", "é", "\u2028", "-1", "1e999", "nan", "true", "{}",
    "[[", "{ column = 1 }", "as = ", '"{a|b|c:d}"', "{{", "99999999999999999999", "0x", "1979-05-27", "()", "and",
    "$(x)", "../",
])  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.integers(0, len(JOB)), st.integers(0, 12), st.lists(PIECES, max_size=3).map("".join))
@example(0, 0, "\ufeff")
@example(len(JOB), 0, "\n[request.content]\na = { a = { a = 1 } }\n")
def test_a_job_file_that_was_spoilt_anywhere_is_a_job_or_a_sentence(at: int, gone: int, more: str) -> None:
    """Some letters taken out, others put in: never a traceback, and what loads can be linted."""
    judge(JOB[:at] + more + JOB[at + gone :])


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x.csv", "a\\u0000b.csv", "*.csv", "."])
def test_a_path_that_leads_nowhere_is_a_sentence(path: str, tmp_path: Path) -> None:
    """Homes of people who do not exist, letters that no file system takes."""
    file = tmp_path / "job.toml"
    file.write_text(JOB.replace("x.csv", path))
    ended = subprocess.run(
        [sys.executable, "-m", "batchrunner", "check", str(file)], capture_output=True, text=True, check=False
    )
    assert ended.returncode in {2, 4}, ended.stderr
    assert ended.stderr.startswith("batchrunner: "), ended.stderr


def judge(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.toml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with suppress(ConfigError):
            assert all(lint_mapping(load_job(path)))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_for_a_job_file_are_a_sentence(content: bytes) -> None:
    """A picture, a core dump, an export named by mistake."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "job.toml")
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"job\.toml"):
            load_job(path)


VALUES = st.one_of(
    st.text(max_size=12),
    st.builds("{}{}{}".format, st.sampled_from(["", "-", "+", " ", "1", "0", "1e9", "²", "٣"]), st.integers(), PIECES),
    st.sampled_from(["50/s", "0/s", "1/fortnight", "5%", "%", "101%", "-1%", "auto", "nan/s", "inf/s", "1e400/s"]),
)


@pytest.mark.parametrize("parse", [parse_rate, parse_max_errors, parse_concurrency])
@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_any_value_of_an_option_is_a_value_or_a_sentence(parse: Callable[[Any], object], value: str) -> None:
    """ValueError is what the command line turns into a usage error with its own words."""
    with suppress(ValueError):
        assert parse(value) is not None


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@example("sqlite:///")
@example("postgresql://user:secret@host/db")
@example("sqlite://\x00")
@example("~nobody-of-that-name/x")
def test_any_name_of_a_ledger_is_a_path_or_a_sentence(name: str) -> None:
    """Homes of nobody, letters that no file system takes, databases that we do not speak."""
    with suppress(LedgerError):
        assert locate(name).is_absolute()


def test_the_password_of_a_database_is_not_repeated() -> None:
    """In a sentence that goes to logs."""
    with pytest.raises(LedgerError, match="keeps ledgers in SQLite files") as caught:
        locate("postgresql://user:secret@host/db")
    assert "secret" not in str(caught.value)
