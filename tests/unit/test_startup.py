"""What a command loads before it does anything: the large libraries only where they are needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LARGE = (
    "pandas",
    "numpy",
    "httpx",
    "pyreqwest",
    "httptools",
    "aiohttp",
    "pydantic",
    "sqlalchemy",
    "tqdm",
    "phonenumbers",
)

_RUN = """
import sys
from batchrunner.cli import main
main(sys.argv[2:], standalone_mode=False)
print("LOADED", *(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (["--help"], set()),
        (["status"], set()),
        (["runs"], {"sqlalchemy"}),
    ],
)
def test_a_look_loads_no_library_that_it_does_not_need(command: list[str], needed: set[str], tmp_path: Path) -> None:
    """Loading is nearly all of the time of such a command, and what is loaded does not depend on the machine."""
    assert loaded(command, tmp_path) == needed


def test_a_run_does_without_pandas(tmp_path: Path) -> None:
    """It took a third of the time in which a run starts, and a third of its memory; who looks into columns needs it."""
    job = tmp_path / "job.toml"
    job.write_text(
        'name = "crm"\n[source]\npath = "crm.csv"\n[target]\nurl = "http://127.0.0.1:9"\nworkflow_id = 1\n'
        '[request]\nmatching = "email"\nemail = "{Email}"\n'
    )
    (tmp_path / "crm.csv").write_text("Email\nann@example.com\n")
    assert not {"pandas", "numpy"} & loaded(["run", str(job), "--dry-run"], tmp_path)


def loaded(command: list[str], state: Path) -> set[str]:
    """The large libraries that a command has loaded when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, ",".join(LARGE), *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "XDG_STATE_HOME": str(state), "ALTCRAFT_TOKEN": "t"},
    )
    told, *names = ended.stdout.splitlines()[-1].split()
    assert told == "LOADED"
    return set(names)
