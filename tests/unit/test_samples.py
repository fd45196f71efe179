"""The sample data: what is checked in is what the script writes, and what it promises is what is in it."""

from __future__ import annotations

import csv
import io
import re
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchrunner.config import load_job
from batchrunner.mapping import compile_mapping, lint_mapping, mapping_columns
from batchrunner.model import Request, Unusable
from batchrunner.pipeline import in_file_order
from batchrunner.sources import open_source

SAMPLES = Path(__file__).parents[2] / "sample_data"
WRITTEN = ("crm_contacts.csv", "crm_contacts.jsonl", "README.md")
JOBS = ("crm-contacts.toml", "crm-contacts-jsonl.toml")
ADDRESS = re.compile(rb"[^\s\",@]+@+[^\s\",]+")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The names that the script defines."""
    sys.path.insert(0, str(SAMPLES))
    try:
        return runpy.run_path(str(SAMPLES / "make_samples.py"))
    finally:
        sys.path.remove(str(SAMPLES))


def judged(job_name: str) -> Iterator[Request | Unusable]:
    """Every row of a job's file, mapped."""
    job = load_job(SAMPLES / job_name)
    reader = open_source(job.beside(job.source.path), job.source)
    mapper = compile_mapping(job, reader.source, reader.columns, job.source.path)
    for chunk in reader.chunks():
        yield from in_file_order(chunk, mapper)


def test_the_script_writes_the_same_bytes_every_time(tmp_path: Path) -> None:
    """What is checked in is what the script writes, byte for byte, whatever the seed of hashes."""
    command = [sys.executable, "-B", str(SAMPLES / "make_samples.py"), str(tmp_path / "new")]
    printed = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env={"PYTHONUTF8": "1"}).stdout
    for name in WRITTEN:
        assert (tmp_path / "new" / name).read_bytes() == (SAMPLES / name).read_bytes(), f"run `make samples`: {name}"
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(WRITTEN)
    tables = [part for part in printed.split("\n\n") if part.startswith("|")]
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert [table.strip() in readme for table in tables] == [True, True]


@pytest.mark.parametrize("name", JOBS)
def test_the_job_files_load_and_compile(name: str) -> None:
    """Each job is without mistakes, and its file has the columns that it names."""
    job = load_job(SAMPLES / name)
    assert lint_mapping(job) == []
    assert (job.target.url, job.target.workflow_id) == ("https://example.com", 12)
    reader = open_source(job.beside(job.source.path), job.source)
    assert set(mapping_columns(job)) <= set(reader.columns)


def test_the_export_has_the_faults_it_says(script: dict[str, Any]) -> None:
    """Reading and mapping finds each unusable row that is stated, for the reason that is stated, and no other."""
    stated = Counter[str]()
    for fault in script["FAULTS"]:
        if fault.ends == "unusable":
            stated[fault.outcome.removeprefix("unusable: ")] += fault.rows
    rows = list(judged("crm-contacts.toml"))
    assert Counter(row.code for row in rows if isinstance(row, Unusable)) == stated
    assert len(rows) == script["first_run"]()["read"] >= 2_000
    assert len({row.key for row in rows if isinstance(row, Request)}) == len(rows) - stated.total() - script["rows"](
        "skipped"
    )


def test_the_first_rows_can_be_shown() -> None:
    """`preview` shows requests, not faults."""
    rows = judged("crm-contacts.toml")
    assert all(isinstance(next(rows), Request) for _ in range(10))


def test_the_objects_have_no_faults(script: dict[str, Any]) -> None:
    """Each row of the JSONL file becomes a request about somebody else."""
    rows = list(judged("crm-contacts-jsonl.toml"))
    assert len({row.who for row in rows if isinstance(row, Request)}) == len(rows) == script["JSONL_ROWS"]


def test_few_rows_aim_at_faults_of_the_sandbox(script: dict[str, Any]) -> None:
    """A sample is no storm."""
    assert 0 < sum(fault.rows for fault in script["FAULTS"] if fault.what.startswith("`+")) <= 12


@pytest.mark.parametrize("name", WRITTEN)
def test_nobody_is_real(name: str) -> None:
    """Addresses lie in the domains that are kept for examples, phone numbers in ranges that belong to nobody."""
    content = (SAMPLES / name).read_bytes()
    domains = {address.rpartition(b"@")[2].lower() for address in ADDRESS.findall(content)}
    assert domains <= {b"example.com", b"example.org", b"example.net", b"`:"}
    if name.endswith(".csv"):
        records = csv.DictReader(io.StringIO(content.decode(errors="replace"), newline=""))
        digits = {re.sub(r"\D", "", record["Phone"] or "") for record in records}
        long = {number for number in digits if len(number) >= 10}
        assert all(re.fullmatch(r"[78]?900000\d{4}|447700900\d{3}|120255501\d{2}", number) for number in long)
