"""[arrival], [after], [guards] and the time zone, as a job file has them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from batchrunner.config import load_job, with_overrides
from batchrunner.config.units import DayTime, Hours
from batchrunner.errors import ConfigError

JOB = """
name = "crm"
{top}
[source]
path = "a.csv"
[target]
url = "http://platform.test"
workflow_id = 1
[request]
email = "{{email}}"
{tables}
"""


def job_file(folder: Path, tables: str, top: str = "") -> Path:
    """A job with some more tables."""
    path = folder / "job.toml"
    path.write_text(JOB.format(top=top, tables=tables), encoding="utf-8")
    return path


def test_the_tables_are_read_and_survive_the_command_line(tmp_path: Path) -> None:
    """What an option changes elsewhere leaves them as they are."""
    tables = """
    [arrival]
    take = "all"
    stable_for = "30s"
    deadline = "4:00"
    shrink_alert = "50%"
    [after]
    archive_to = "done"
    keep = "90d"
    [guards]
    hours = "22:00-07:00"
    """
    job = load_job(job_file(tmp_path, tables, 'timezone = "Europe/Moscow"'))
    for one in (job, with_overrides(job, {"limits": {"concurrency": 3}})):
        assert one.arrival
        assert (one.arrival.take, one.arrival.stable_for, one.arrival.min_rows) == ("all", timedelta(seconds=30), 1)
        assert (one.arrival.deadline, one.arrival.shrink_alert) == (DayTime(4, 0), 50.0)
        assert (one.after.archive_to, one.after.keep) == ("done", timedelta(days=90))
        assert one.guards.hours == Hours(DayTime(22, 0), DayTime(7, 0))
        assert one.timezone == "Europe/Moscow"


def test_a_job_that_says_nothing_awaits_nothing(tmp_path: Path) -> None:
    """Its path is read as it is."""
    job = load_job(job_file(tmp_path, ""))
    assert (job.arrival, job.after.archive_to, job.guards.model_fields_set) == (None, None, set())


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ('[arrival]\ndeadline = "25:00"', "'arrival.deadline': '25:00' is no time of the day; write hours and minutes"),
        ('[arrival]\nshrink_alert = "0.5"', "'arrival.shrink_alert': '0.5' is no share; write a percentage"),
        ('[arrival]\nshrink_alert = "100%"', "'100%' is no share"),
        ('[arrival]\nstable_fo = "30s"', "unknown key 'arrival.stable_fo'; did you mean 'stable_for'?"),
        ('[arrival]\ndone_marker = "a/b"', "'arrival.done_marker' is 'a/b'; it must look like"),
        ('[after]\nkeep = "90"', "'after.keep': '90' is not a duration"),
        ('[guards]\nhours = "22-7"', "'guards.hours': '22-7' are no hours of the day; write from and until"),
        ('[guards]\nhours = "07:00-07:00"', "'07:00-07:00' are no hours of the day"),
        ("[guards]\nmax_rows = 0", "'guards.max_rows': "),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, tables: str, sentence: str) -> None:
    """With the file, the key, and how it is written."""
    with pytest.raises(ConfigError) as caught:
        load_job(job_file(tmp_path, tables))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "job.toml"))


def test_a_time_zone_must_exist(tmp_path: Path) -> None:
    """As the time zone database names it."""
    with pytest.raises(ConfigError, match="'Europe/Moskow' is no time zone; write one such as"):
        load_job(job_file(tmp_path, "", 'timezone = "Europe/Moskow"'))
