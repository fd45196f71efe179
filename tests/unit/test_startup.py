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
        (["status"], {"sqlalchemy"}),
        (["runs"], {"sqlalchemy"}),
    ],
)
def test_a_look_loads_no_library_that_it_does_not_need(command: list[str], needed: set[str], tmp_path: Path) -> None:
    """Loading is nearly all of the time of such a command, and what is loaded does not depend on the machine."""
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, ",".join(LARGE), *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )
    assert set(ended.stdout.splitlines()[-1].split()[1:]) == needed
