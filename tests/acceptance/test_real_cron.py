"""Nights of the sample job that a real cron daemon runs: installed once, and nobody touches it again."""

from __future__ import annotations

import csv
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crons
import pytest
from bench import Bench, table
from test_notify import Hook, hook, webhook
from test_schedule import slots

__all__ = ["hook"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(crons.why_not() is not None, reason=str(crons.why_not())),
]

SAMPLES = Path(__file__).parents[2] / "sample_data"

Row = dict[str, str]

A_NIGHT_S = 240.0
"""Cron runs the job every minute here: as many minutes as a slow machine may need for one."""


def until_night(condition: Callable[[], object], what: str) -> None:
    """Wait as long as a night may take."""
    deadline = time.monotonic() + A_NIGHT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)


def sample_job(bench: Bench, hook: Hook) -> None:
    """The sample job with what makes a night of it. The deadline is over: what is not there is missing."""
    text = (SAMPLES / "crm-contacts.toml").read_text(encoding="utf-8")
    text = text.replace('path = "crm_contacts.csv"', 'path = "exports/*.csv"')
    text = text.replace('url = "https://example.com"', f'url = "{bench.sandbox.url}"\ntoken_file = "token"')
    text = text.replace('repeat = "identity"', 'repeat = "unchanged"')
    text = text.replace("[limits]\n", '[limits]\nthrottle_patience = "10ms"\n')
    text = 'timezone = "UTC"\n' + text
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    tables = (
        table("arrival", {"deadline": f"{an_hour_ago:%H:%M}"}),
        table("after", {"archive_to": "archive"}),
        table("schedule", {"cron": "* * * * *"}),
        table("notify", {}),
        webhook(bench, hook),
    )
    (bench.home / "crm-contacts.toml").write_text(text + "\n" + "".join(tables), encoding="utf-8")
    (bench.home / "token").write_text(bench.token, encoding="utf-8")
    (bench.home / "token").chmod(0o600)
    (bench.home / "exports").mkdir()


def sample_rows() -> list[Row]:
    """The first of the sample export, in which nothing is wrong yet."""
    with (SAMPLES / "crm_contacts.csv").open(encoding="utf-8", newline="") as file:
        return [row for row, _ in zip(csv.DictReader(file), range(13), strict=False)]


def export(bench: Bench, name: str, rows: Sequence[Row]) -> None:
    """An export comes, whole at once as a careful program writes it."""
    path = bench.home / "exports" / f"{name}.part"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    path.rename(path.with_suffix(".csv"))


def test_three_nights_of_the_sample_job_under_cron(bench: Bench, hook: Hook) -> None:
    """Repeats are skipped, a change is sent, a failed night is retried, a missing one alerted, all are archived."""
    sample_job(bench, hook)
    rows = sample_rows()
    first, fresh = rows[:10], rows[10:]
    moved = {**first[0], "City": "Leeds"}
    ours = (sys.executable, "-m", "batchrunner", "schedule")

    def archived(name: str) -> bool:
        return (bench.home / "archive" / f"{name}.csv").exists()

    def events() -> list[str]:
        return [told["event"] for told in hook.taken()]

    with crons.cron_daemon(bench.home / "cron") as cron:
        environment = bench.environment_of_commands()
        del environment["ALTCRAFT_TOKEN"]
        export(bench, "night-1", first)
        done = cron.run(
            *ours, "install", "crm-contacts.toml", "--as", "cron", environment=environment, folder=bench.home
        )
        assert "installed in your crontab" in done.stdout, done.stderr
        until_night(lambda: archived("night-1"), "the first night was imported")
        assert bench.sandbox.stats()["effects"] == 10

        # The platform throttles for a night: nobody gets through.
        bench.sandbox.change(fail=["429:100"])
        export(bench, "night-2", [moved, *first[1:]])
        until_night(lambda: archived("night-2"), "the second night had failed")
        until_night(lambda: "degraded" in events(), "somebody was told of it")
        bench.sandbox.change(fail=[])

        # No export tonight: that is told, and what failed goes again from the archive.
        until_night(lambda: "missing_file" in events(), "somebody was told that no file came")
        until_night(lambda: bench.sandbox.stats()["effects"] == 11, "the change was sent after all")

        export(bench, "night-3", [moved, *first[1:], *fresh])
        until_night(lambda: archived("night-3"), "the third night was imported")
        until_night(lambda: "recovery" in events(), "somebody was told that all is well again")
        removed = cron.run(*ours, "remove", "crm-contacts", environment=environment, folder=bench.home)
        assert "your crontab" in removed.stdout, removed.stderr

    assert list((bench.home / "exports").iterdir()) == []
    sent = bench.effects()
    assert len(sent) == 13
    assert {address: times for address, times in sent.items() if times != 1} == {moved["E-mail"]: 2}
    passed, *fired = slots(bench)
    assert passed["state"] == "passed"
    assert {slot["slot_s"] % 60 for slot in fired} == {0}
    assert len({slot["run"] for slot in fired if slot["run"]}) == len([slot for slot in fired if slot["run"]])
    degraded = next(told for told in hook.taken() if told["event"] == "degraded")
    assert degraded["rows"]["failed"] == 1
    assert degraded["reasons"] == [{"code": "failed:throttled", "rows": 1}]
    shutil.rmtree(bench.home / "cron")
