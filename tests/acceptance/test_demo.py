"""The samples and the demonstration, through the real command line: the stated counts are what happens."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bench import DEADLINE_S, Bench

SAMPLES = Path(__file__).parents[2] / "sample_data"
CSV_JOB, JSONL_JOB = SAMPLES / "crm-contacts.toml", SAMPLES / "crm-contacts-jsonl.toml"
ENDS = ("read", "accepted", "rejected", "in doubt", "unusable", "skipped")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The names that `make_samples.py` defines."""
    sys.path.insert(0, str(SAMPLES))
    try:
        return runpy.run_path(str(SAMPLES / "make_samples.py"))
    finally:
        sys.path.remove(str(SAMPLES))


def told(summary: dict[str, Any]) -> dict[str, int]:
    """A summary in the words of the README."""
    flat = {**summary, "in doubt": summary["in_doubt"], "skipped": sum(summary["skipped"].values())}
    return {end: flat[end] for end in ENDS}


def test_the_samples_end_as_their_readme_says(bench: Bench, script: dict[str, Any]) -> None:
    """Both runs count what the README states, for the stated reasons, and everybody is engaged once."""
    first = bench.run("--url", bench.sandbox.url, job=str(CSV_JOB))
    assert (first.code, told(first.json)) == (5, script["first_run"]()), first.told()
    stated = Counter[str]()
    for fault in script["FAULTS"]:
        if fault.ends in ("unusable", "rejected"):
            stated[fault.outcome.replace(": ", ":")] += fault.rows
    found = {code: count for code, count in first.json["codes"].items() if not code.startswith("in_doubt")}
    assert found == stated

    second = bench.run("--url", bench.sandbox.url, job=str(CSV_JOB))
    assert (second.code, told(second.json)) == (1, script["second_run"]()), second.told()
    assert second.json["requests"] == second.json["replays"] == 1

    people = Counter(address.casefold() for address in bench.effects().elements())
    assert people.total() == script["engaged"]()
    assert set(people.values()) == {1}


def test_check_agrees_with_the_readme(bench: Bench, script: dict[str, Any]) -> None:
    """`check` finds the unusable rows without sending anything."""
    ended = bench.cli("check", CSV_JOB, "--output", "json")
    stated = script["first_run"]()
    assert (ended.code, ended.json["read"], ended.json["unusable"]) == (1, stated["read"], stated["unusable"])
    assert bench.sandbox.stats()["requests"] == 0


def test_the_objects_are_all_accepted(bench: Bench, script: dict[str, Any]) -> None:
    """The JSONL file has no faults; numbers, truths, lists and objects arrive as such."""
    ended = bench.run("--url", bench.sandbox.url, job=str(JSONL_JOB))
    assert (ended.code, ended.json["accepted"]) == (0, script["JSONL_ROWS"])
    data = next(one["data"] for one in bench.sandbox.profiles(limit=1_000) if one["data"]["crm_id"] == "00124")
    assert data["tags"] == ["wholesale", "b2b"]
    assert data["address"]["country"] == "RU"
    assert (data["newsletter"], type(data["bonus"]), type(data["orders"])) == (True, float, int)


def test_the_demonstration_keeps_the_promise(tmp_path: Path) -> None:
    """`make demo` ends well, and shows that nobody was engaged twice."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONUTF8": "1"}
    for _ in range(2):  # it begins anew each time
        ended = subprocess.run(
            [sys.executable, SAMPLES / "demo.py", tmp_path / "demo"],
            env=environment, capture_output=True, encoding="utf-8", timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "engagements: 2242 before, 2242 after; most for one person: 1" in ended.stdout
        assert ended.stdout.count("$ batchrunner run sample_data/crm-contacts.toml") == 2
    assert (tmp_path / "demo" / "first" / "success.csv").is_file()
    assert not (tmp_path / "state").exists()


def test_the_demonstration_says_when_a_promise_is_broken() -> None:
    """A count that has changed, or somebody with two engagements, ends it with a sentence."""
    demo = runpy.run_path(str(SAMPLES / "demo.py"))
    seen, broken = demo["Seen"], demo["BrokenPromiseError"]
    demo["compare"](seen(10, 5, 1), seen(11, 5, 1))
    with pytest.raises(broken, match="engaged 1 people again"):
        demo["compare"](seen(10, 5, 1), seen(11, 6, 1))
    with pytest.raises(broken, match="somebody was engaged 2 times"):
        demo["compare"](seen(10, 5, 2), seen(11, 5, 2))
