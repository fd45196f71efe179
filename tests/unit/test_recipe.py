"""The recipe of keys: equal where equal cells have equal keys, and none where the cells alone do not decide."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from batchrunner.config import Job
from batchrunner.mapping import recipe_of


def job_of(
    request: str = 'email = "{Email}"', rules: dict[str, Any] | None = None, repair: dict[str, str] | None = None,
    **target: object,
) -> Job:  # fmt: skip
    """A job with this [request]."""
    return Job.model_validate(
        {
            "name": "crm",
            "source": {"path": "crm.csv"},
            "target": {"url": "https://altcraft.example.com", "workflow_id": 12, **target},
            "request": tomllib.loads(request),
            "rules": rules or {},
            "limits": {"concurrency": 3},
            "repair": repair or {},
            "file": Path("/jobs/crm.toml"),
        }
    )


@pytest.mark.parametrize(
    "other",
    [
        job_of('email = "{Mail}"'),
        job_of('email = "{Email}"\ndata.a = 1'),
        job_of(rules={"empty": "null"}),
        job_of(rules={"repeat": "identity"}),
        job_of(rules={"when": "Email is filled"}),
        job_of(repair={"nbsp": "keep"}),
        job_of(workflow_id=13),
        job_of(installation="ours"),
        job_of(format="xml"),
        job_of().model_copy(update={"name": "other"}),
    ],
)
def test_what_decides_keys_or_which_rows_have_one_changes_the_recipe(other: Job) -> None:
    """Each of these makes other requests of the same cells, or of fewer rows."""
    assert recipe_of(other) not in {recipe_of(job_of()), None}


def test_what_only_decides_how_to_send_does_not() -> None:
    """The same cells have the same keys."""
    assert recipe_of(job_of(rules={"in_doubt": "hold"}, timeout="5s")) == recipe_of(job_of())


@pytest.mark.parametrize(
    ("request_table", "rules"),
    [
        ('email = "{Email}"', {"repeat": "file"}),
        ('email = "{Email}"\ndata.a = {column = "A", as = "file", folder = "."}', {}),
        (
            'email = "{Email}"\ndata.a = {column = "A", as = "datetime", format = "%d.%m.%Y", timezone = "Asia/Omsk"}',
            {},
        ),
    ],
)
def test_where_more_than_cells_decides_there_is_no_recipe(request_table: str, rules: dict[str, Any]) -> None:
    """The number of a row, what a file holds by now, and when the clocks of a country are said to have changed."""
    assert recipe_of(job_of(request_table, rules)) is None
