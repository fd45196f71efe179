"""A job that a real cron daemon runs."""

from __future__ import annotations

import sys
import time

import crons
import pytest
from bench import Bench, once_each, people
from test_schedule import schedule, slots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(crons.why_not() is not None, reason=str(crons.why_not())),
]

A_FEW_MINUTES_S = 240.0


def test_cron_runs_a_job_that_was_installed(bench: Bench) -> None:
    """`schedule install --as cron`, and at the next minute the export is imported; then `remove` ends it."""
    bench.job()
    bench.csv(people(3))
    schedule(bench, "* * * * *")
    ours = (sys.executable, "-m", "batchrunner", "schedule")
    with crons.cron_daemon(bench.home / "cron") as cron:
        environment = bench.environment_of_commands()
        installed = cron.run(*ours, "install", "job.toml", "--as", "cron", environment=environment, folder=bench.home)
        assert "installed in your crontab" in installed.stdout, installed.stderr
        deadline = time.monotonic() + A_FEW_MINUTES_S
        while not [one for one in slots(bench) if one["ended_ms"]]:
            assert time.monotonic() < deadline, "cron never ran the job"
            time.sleep(0.5)
        removed = cron.run(*ours, "remove", "welcome", environment=environment, folder=bench.home)
        assert "your crontab" in removed.stdout
    passed, fired = slots(bench)[:2]
    assert (passed["state"], fired["state"], fired["exit_code"]) == ("passed", "fired", 0)
    assert fired["slot_s"] % 60 == 0
    assert bench.effects() == once_each(people(3))
