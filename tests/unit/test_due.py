"""Which slots are due, by what the job says about missed ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from batchrunner.config import Job, load_job
from batchrunner.errors import ConfigError
from batchrunner.schedule import Due, begins_s, cron_of, due

JOB = """
name = "nightly"
[source]
path = "people.csv"
[target]
url = "https://example.com"
workflow_id = 12
token_file = "token"
[request]
email = "{email}"
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Job]:
    """A job with the given [schedule]."""

    def make(schedule: str) -> Job:
        path = tmp_path / "job.toml"
        path.write_text(JOB + schedule, encoding="utf-8")
        return load_job(path)

    return make


def nightly(catch_up: str, more: str = "") -> str:
    return f'[schedule]\ncron = "0 2 * * *"\ntimezone = "UTC"\ncatch_up = "{catch_up}"\n{more}'


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NIGHTS = [at(f"2026-11-{day}T02:00:00Z") for day in (20, 21, 22, 23)]
MORNING = at("2026-11-23T08:00:00Z")


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("last", Due((NIGHTS[3],), 2)),
        ("all", Due(tuple(NIGHTS[1:]), 0)),
        ("none", Due((), 3)),
    ],
)
def test_missed_nights(job: Callable[[str], Job], catch_up: str, expected: Due) -> None:
    """After three missed nights: one run, three runs, or none."""
    assert due(job(nightly(catch_up)), NIGHTS[0], MORNING) == expected


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
def test_a_night_in_time(job: Callable[[str], Job], catch_up: str) -> None:
    """A minute later it is due whatever is said of missed ones, and once it was fired nothing is."""
    nights = job(nightly(catch_up))
    assert due(nights, NIGHTS[2], NIGHTS[3] + 60) == Due((NIGHTS[3],), 0)
    assert due(nights, NIGHTS[3], NIGHTS[3] + 60) == Due()
    assert due(nights, NIGHTS[2], NIGHTS[3] - 1) == Due()


def test_the_first_time_the_slot_that_has_just_come_is_meant(job: Callable[[str], Job]) -> None:
    """Of a schedule that nothing is known of, not every night since 1970."""
    assert due(job(nightly("all")), None, NIGHTS[3] + 1) == Due((NIGHTS[3],), 0)


def test_a_year_of_seconds_is_no_backlog(job: Callable[[str], Job]) -> None:
    """Of very many missed slots the newest hundred are fired, and asking takes no year."""
    every_second = job('[schedule]\ncron = "* * * * * *"\ncatch_up = "all"\n')
    found = due(every_second, MORNING - 366 * 86_400, MORNING)
    assert found.slots == tuple(range(MORNING - 99, MORNING + 1))
    assert found.passed_over > 0


def test_jitter_is_one_delay_for_each_slot(job: Callable[[str], Job]) -> None:
    """Never before its time nor later than said, the same for whoever asks, and not the same every night."""
    jittered = job(nightly("last", 'jitter = "10m"\n'))
    delays = [begins_s(jittered, night) - night for night in NIGHTS]
    assert all(0 <= delay < 600 for delay in delays)
    assert delays == [begins_s(jittered, night) - night for night in NIGHTS]
    assert len(set(delays)) == len(delays)
    assert begins_s(job(nightly("last")), NIGHTS[0]) == NIGHTS[0]


def test_a_job_without_a_schedule_says_what_to_add(job: Callable[[str], Job]) -> None:
    """One sentence with an example."""
    with pytest.raises(ConfigError, match=r'has no \[schedule\]; add one, as in \[schedule\] cron = "0 2'):
        cron_of(job(""))


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ('cron = "0 25 * * *"', "schedule.cron': '0 25 "),
        ('cron = "0 2 * * *"\ntimezone = "Europe/Berlim"', "is no time zone"),
        ('cron = "0 2 * * *"\ncatch_up = "some"', "schedule.catch_up' is 'some'"),
        ("", "`cron` is missing"),
    ],
)
def test_mistakes_in_a_schedule_are_said(job: Callable[[str], Job], schedule: str, says: str) -> None:
    """With the key and the value."""
    with pytest.raises(ConfigError) as raised:
        job(f"[schedule]\n{schedule}\n")
    assert says in str(raised.value)
