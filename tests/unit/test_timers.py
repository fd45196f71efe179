"""Timers as other programs read them: systemd looks at its units, YAML is parsed, crontabs keep what is not ours."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from batchrunner.config import load_job
from batchrunner.cron import Cron
from batchrunner.errors import UsageError
from batchrunner.schedule import crontab
from batchrunner.schedule.kubernetes import cron_job
from batchrunner.schedule.programs import Program
from batchrunner.schedule.systemd import calendar, quoted, service, timer

BERLIN = ZoneInfo("Europe/Berlin")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine; apt-get install systemd"
)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """What fires a nightly job whose folder has an awkward name."""
    home = tmp_path / "it's 100% $HOME"
    home.mkdir()
    (home / "token").write_text("secret", encoding="utf-8")
    (home / "job.toml").write_text(
        """
name = "nightly"
[source]
path = "incoming/export-*.csv"
[target]
url = "https://example.com"
workflow_id = 12
token_file = "token"
timeout = "45s"
[after]
archive_to = "kept/{date:%Y-%m}"
error_to = "incoming/refused"
[request]
email = "{email}"
[schedule]
cron = "30 2 * * 1-5"
timezone = "Europe/Berlin"
max_duration = "3h"
""",
        encoding="utf-8",
    )
    return Program(load_job(home / "job.toml"), tmp_path / "state" / "ledger.db", tmp_path / "state")


# --- systemd -----------------------------------------------------------------------------------


@needs_systemd
@pytest.mark.parametrize("run_as", [None, "root"], ids=["user", "system"])
def test_systemd_has_nothing_to_say_against_the_units(program: Program, run_as: str | None, tmp_path: Path) -> None:
    """`systemd-analyze verify` passes both units without a word."""
    units = tmp_path / "units"
    units.mkdir()
    (units / "batchrunner-nightly.service").write_text(service(program, run_as=run_as), encoding="utf-8")
    (units / "batchrunner-nightly.timer").write_text(timer(program), encoding="utf-8")
    found = sorted(map(str, units.iterdir()))
    done = subprocess.run(["systemd-analyze", "verify", *found], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "batchrunner" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_a_unit_stops_later_than_a_drain_takes_and_holds_its_token_apart(program: Program) -> None:
    """Connecting, answering and a margin; a credential, a state directory, and folders that may be written to."""
    text = service(program, run_as="crm")
    assert "TimeoutStopSec=85s" in text
    assert f"LoadCredential=altcraft-token:{program.job.file.parent}/token".replace("%", "%%") in text
    assert "StateDirectory=batchrunner" in text
    assert "User=crm" in text
    assert "ProtectSystem=strict" in text
    assert "it's 100%% $$HOME/incoming" in text
    # The archive is made when there is something to put there: until then what it will be made in is open.
    assert program.writes_to[2:] == (program.job.file.parent / "incoming", program.job.file.parent)
    assert "Persistent=true" in timer(program)


@needs_systemd
@pytest.mark.parametrize(
    "text", ["0 2 * * *", "*/15 9-17 * * 1-5", "30 2 1,15 * *", "0 6 1 * 1", "5 4 * 2,3 7", "10 30 4 * * *"]
)
def test_systemd_reads_the_same_moments_out_of_a_timer(text: str) -> None:
    """The next times that `systemd-analyze calendar` tells are those of the cron expression."""
    base = datetime(2027, 3, 20, 12, tzinfo=UTC)
    cron = Cron(text, UTC)
    expected = list(islice(cron.after(int(base.timestamp())), 6))
    told: set[int] = set()
    for line in calendar(cron, "UTC"):
        words = ["systemd-analyze", "calendar", "--iterations=6", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", line]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin"})
        moments = [line.split(":", 1)[1] for line in done.stdout.splitlines() if "elapse:" in line or "#" in line]
        told |= {
            int(datetime.strptime(one.strip(), "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC).timestamp())
            for one in moments
        }
    assert sorted(told)[:6] == expected


def test_words_of_a_unit_are_quoted() -> None:
    """Specifiers, variables and spaces stay what they are."""
    assert quoted("/srv/plain") == "/srv/plain"
    assert quoted("100% of $HOME") == '"100%% of $$HOME"'
    assert quoted('say "x"\\') == '"say \\"x\\"\\\\"'


# --- cron --------------------------------------------------------------------------------------


def test_a_crontab_keeps_what_is_not_ours(program: Program) -> None:
    """Blocks come and go; comments, variables and other people's lines stay as they were."""
    theirs = "MAILTO=ops@example.com\n# nightly backup\n0 1 * * * /usr/local/bin/backup\n"
    ours = crontab.block(program, BERLIN)
    other = ours.replace("batchrunner job nightly", "batchrunner job other")
    both = theirs + ours + other + "5 5 * * * /bin/true\n"
    assert set(crontab.jobs(both)) == {"nightly", "other"}
    assert crontab.without(both, "nightly") == theirs + other + "5 5 * * * /bin/true\n"
    assert crontab.without(theirs, "nightly") == theirs


def test_a_line_of_cron_is_one_command_of_a_shell(program: Program) -> None:
    """With the job's awkward path in one word, and percent signs that cron would turn into newlines escaped."""
    line = crontab.block(program, BERLIN).splitlines()[1]
    assert line.startswith("30 2 * * 1,2,3,4,5 env ")
    command = line.split(" env ", 1)[1].replace("\\%", "%")
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True).stdout
    assert str(program.job.file) in words.splitlines()


def test_cron_in_another_time_zone_asks_every_hour() -> None:
    """Debian's cron knows only the machine's zone: it asks at every hour's right minutes, and what is due fires."""
    assert crontab.times(Cron("30 2 * * *", BERLIN), UTC) == ["30 * * * *"]
    assert crontab.times(Cron("30 2 * * *", ZoneInfo("Asia/Kolkata")), UTC) == ["0 * * * *"]
    assert crontab.times(Cron("0 2 L * *", UTC), UTC) == ["0 2 28,29,30,31 * *"]


def test_cron_refuses_what_it_cannot_do(program: Program) -> None:
    """Seconds, and a token that only the environment of a person has."""
    job = program.job
    seconds = job.model_copy(update={"schedule": job.schedule.model_copy(update={"cron": "*/5 * * * * *"})})
    with pytest.raises(UsageError, match="cron knows no seconds"):
        crontab.block(replace(program, job=seconds), UTC)
    without = job.model_copy(update={"target": job.target.model_copy(update={"token_file": None})})
    with pytest.raises(UsageError, match="`token_file` under"):
        crontab.block(replace(program, job=without), UTC)


# --- Kubernetes --------------------------------------------------------------------------------


def test_a_cron_job_is_what_kubernetes_reads(program: Program) -> None:
    """One pod at a time, never restarted, with time to drain, its token from a secret and its state on a volume."""
    read = yaml.safe_load(cron_job(program, "registry.example.com/batchrunner:0.1"))
    assert (read["kind"], read["metadata"]["name"]) == ("CronJob", "batchrunner-nightly")
    spec = read["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("30 2 * * 1-5", "Europe/Berlin")
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3 * 3600 + 2 * 85
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", 85)
    (container,) = pod["containers"]
    assert container["command"][:3] == ["batchrunner", "schedule", "fire"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "batchrunner-nightly", "key": "token"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
