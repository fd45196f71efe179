"""Where the token comes from, and what is refused: every sentence names the next step, and none the token."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from batchrunner.config import Job, load_job, read_token
from batchrunner.errors import ConfigError

TOKEN = "s3cret-token"

JOB = """
name = "crm"
[source]
path = "x.csv"
[target]
url = "https://platform.test"
workflow_id = 1
{more}
[request]
matching = "email"
email = "{{email}}"
"""


def job(folder: Path, more: str) -> Job:
    path = folder / "job.toml"
    path.write_text(JOB.format(more=more))
    path.chmod(0o600)
    return load_job(path)


def test_a_command_prints_the_token(tmp_path: Path) -> None:
    """White space around it is nobody's intention."""
    assert read_token(job(tmp_path, f'token_command = ["{sys.executable}", "-c", "print(\' {TOKEN} \')"]'), {}) == TOKEN


def test_a_command_runs_without_a_shell(tmp_path: Path) -> None:
    """What stands in a word stays in it."""
    made = job(tmp_path, 'token_command = ["echo", "a$(touch owned)b;touch", "owned"]')
    with pytest.raises(ConfigError, match="does not hold one token"):
        read_token(made, {})
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ('["/no/such/program"]', "does not run .*try it by hand: /no/such/program"),
        (f'["{sys.executable}", "-c", "print(1); raise SystemExit(3)"]', "failed with exit code 3"),
        ('["echo", "two words"]', "does not hold one token"),
        ('["true"]', "does not hold one token"),
    ],
)
def test_a_command_that_gives_no_token_is_said(tmp_path: Path, command: str, sentence: str) -> None:
    """With what to try next, and without what it printed."""
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_token(job(tmp_path, f"token_command = {command}"), {})
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_command_in_a_job_file_that_others_can_write_does_not_run(tmp_path: Path, mode: int) -> None:
    """Whoever can change the job could run commands as its owner."""
    made = job(tmp_path, f'token_command = ["touch", "{tmp_path}/owned"]')
    made.file.chmod(mode)
    with pytest.raises(ConfigError, match=r"others can write to it.*chmod go-w"):
        read_token(made, {})
    assert not (tmp_path / "owned").exists()


def test_systemd_s_credential_comes_first(tmp_path: Path) -> None:
    """Whatever else the job says."""
    (tmp_path / "altcraft-token").write_text(f"{TOKEN}\n")
    made = job(tmp_path, 'token_command = ["false"]')
    assert read_token(made, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == TOKEN


def test_a_keyring_holds_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By service and user; what is not there is said with the command that puts it there."""
    keyring = pytest.importorskip("keyring")
    monkeypatch.setattr(keyring, "get_password", lambda *asked: {("altcraft/eu", "crm"): TOKEN}.get(asked))
    assert read_token(job(tmp_path, 'token_keyring = "altcraft/eu/crm"'), {}) == TOKEN
    with pytest.raises(ConfigError, match="run: keyring set altcraft crm"):
        read_token(job(tmp_path, 'token_keyring = "altcraft/crm"'), {})


def test_a_keyring_without_its_library_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install 'batchrunner\[keyring\]'"):
        read_token(job(tmp_path, 'token_keyring = "altcraft/crm"'), {})


def test_a_keyring_without_a_backend_is_said(tmp_path: Path) -> None:
    """As on most servers."""
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        with pytest.raises(ConfigError, match=r"does not answer.*token_file"):
            read_token(job(tmp_path, 'token_keyring = "altcraft/crm"'), {})
    finally:
        keyring.set_keyring(before)
