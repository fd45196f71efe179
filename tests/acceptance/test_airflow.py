"""The recipe for Airflow, run by Airflow: a DAG as it stands in the docs, against the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench import Bench, named, once_each, people

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / "build" / "airflow" / "bin" / "airflow"
RECIPE = re.compile(r"^## Airflow\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
THERE = "/srv/crm"
"""Where the recipe has its files."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AIRFLOW.exists(), reason="Airflow is not installed; make airflow installs it"),
]


def dags_of(bench: Bench) -> Path:
    """A folder of DAGs with the recipe of the docs in it, its files those of the bench."""
    found = RECIPE.search((ROOT / "docs" / "orchestrators.md").read_text(encoding="utf-8"))
    assert found is not None
    assert THERE in found[1]
    folder = bench.home / "dags"
    folder.mkdir()
    (folder / "crm.py").write_text(found[1].replace(THERE, str(bench.home)), encoding="utf-8")
    return folder


def airflow(bench: Bench, dags: Path, *arguments: str) -> str:
    """Run a command of Airflow to its end. What it says."""
    environment = {
        **bench.environment_of_commands(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(bench.home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ALTCRAFT": f"http://:{bench.token}@platform",
    }
    del environment["ALTCRAFT_TOKEN"]  # the recipe takes it from Airflow's own connection
    done = subprocess.run(
        [AIRFLOW, *arguments],
        env=environment,
        cwd=bench.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(600)
def test_the_recipe_runs_a_job_and_is_told_how_it_ended(bench: Bench) -> None:
    """Every row once, though the DAG runs twice; rows for a person are no failure of the task."""
    bench.job("crm-contacts.toml")
    rows = people(20)
    bench.csv([*rows, *named("a+fail-400")])
    dags = dags_of(bench)
    airflow(bench, dags, "db", "migrate")
    for day in ("2026-11-23", "2026-11-24"):
        said = airflow(bench, dags, "dags", "test", "crm_contacts", day)
        assert '"exit_code": 1' in said
        assert "successful" in said
        assert bench.token not in said
    assert bench.effects() == once_each(rows)
