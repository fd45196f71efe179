"""The README's commands, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench import DEADLINE_S

from batchrunner.cli import COMMANDS
from batchrunner.cli.exits import Exit
from batchrunner.sandbox import DEFAULT_TOKEN

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MAKEFILE = ROOT / "Makefile"
SAMPLES = ROOT / "sample_data"

BLOCK = re.compile(
    r"(?P<skip><!--\s*not run:[^>]*-->\s*)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FINISHED = {Exit.OK, Exit.SOME_BAD, Exit.IN_DOUBT}
"""The samples hold bad rows on purpose, so that a command may well end so."""


@dataclass(frozen=True)
class Block:
    """One fenced block of the README."""

    language: str
    lines: tuple[str, ...]
    runnable: bool

    @property
    def commands(self) -> list[str]:
        """What a reader would type."""
        return [line[2:] for line in self.lines if line.startswith("$ ")]


def blocks() -> Iterator[Block]:
    """All fenced blocks, in order."""
    for found in BLOCK.finditer(README.read_text(encoding="utf-8")):
        runnable = found["language"] == "console" and not found["skip"]
        yield Block(found["language"], tuple(found["text"].splitlines()), runnable)


def commands_of(program: str) -> list[str]:
    """Every command line of a program, in whichever block it stands."""
    lines = (line.removeprefix("$ ") for block in blocks() for line in block.lines)
    return [line for line in lines if line.startswith(f"{program} ")]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a new user has: the program on the path, a token, and no memory."""
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "ALTCRAFT_TOKEN": DEFAULT_TOKEN,
    }


def test_the_commands_of_the_readme_run_as_they_stand(tmp_path: Path, environment: dict[str, str]) -> None:
    """Line by line, in a copy of the sample data, from a clean state."""
    scratch = shutil.copytree(SAMPLES, tmp_path / "sample_data")
    commands = [command for block in blocks() if block.runnable for command in block.commands]
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode in FINISHED, f"$ {command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
    assert sum(command.startswith("batchrunner ") for command in commands) >= 3


def test_every_command_that_the_readme_names_exists() -> None:
    """Verbs of the program, and targets of the Makefile, run or not."""
    verbs = {line.split()[1] for line in commands_of("batchrunner")}
    targets = {line.split()[1] for line in commands_of("make")}
    assert verbs
    assert targets
    assert verbs <= set(COMMANDS)
    made = set(re.findall(r"^([a-z]+):", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE))
    assert targets <= made
