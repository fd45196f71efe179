"""The programs of `make bench` go on knowing the parts of the product that they reach into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[1] / "bench"

_STORY = """
import sys
from pathlib import Path
from exports import export, job
from batchrunner.ledger import SqlLedger
from seeding import accept_all, random_rows
home = Path(sys.argv[1])
file = job(home, export(50), "http://127.0.0.1:9")
accept_all(file, home / "ledger.db")
with SqlLedger(home / "ledger.db") as ledger:
    random_rows(ledger, 20, "others")
    from parts.ledger import _cost
    assert _cost(ledger, ledger.path, 20).exchange_us > 0
"""


def test_a_ledger_that_the_bench_fills_holds_back_every_row(tmp_path: Path) -> None:
    """Otherwise its re-run would send, and measure something else."""
    environment = {
        **os.environ,
        "BENCH_BUILD": str(tmp_path / "build"),
        "PYTHONPATH": str(PROGRAM),
        "XDG_STATE_HOME": str(tmp_path),
        "ALTCRAFT_TOKEN": "t",
    }
    subprocess.run([sys.executable, "-c", _STORY, str(tmp_path)], check=True, env=environment)
    command = [sys.executable, "-m", "batchrunner", "run", "job.toml", "--ledger", "ledger.db", "--output", "json"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["skipped"] == {"accepted": 50}
