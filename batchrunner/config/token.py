"""Where the API token comes from. It never stands in an argument or a message, and in a file only its owner reads it.

In this order: what systemd hands over, `token_file`, `token_command`, `token_keyring`, the environment.
"""

from __future__ import annotations

import importlib
import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchrunner.config.job import Job
from batchrunner.errors import ConfigError

TOKEN_VARIABLE = "ALTCRAFT_TOKEN"  # noqa: S105  the name of a variable, not a token

CREDENTIAL = "altcraft-token"  # what a unit of systemd calls the token it hands over (LoadCredential)

COMMAND_LIMIT_S = 60.0
"""A command may ask a person or a network for a secret; it must not hang a night."""


def read_token(job: Job, environment: Mapping[str, str] = os.environ) -> str:
    """The API token. Raises ConfigError, without the token in it."""
    target = job.target
    handed_over = Path(environment.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    if "CREDENTIALS_DIRECTORY" in environment and handed_over.is_file():
        # systemd sees to who can read it, with an access list that its mode does not show.
        return _from_file(handed_over, private=False)
    if target.token_file is not None:
        return _from_file(job.beside(target.token_file))
    if target.token_command:
        return _from_command(job, target.token_command)
    if target.token_keyring is not None:
        return _from_keyring(job, target.token_keyring)
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError(
            f"{job.file}: no API token; set {TOKEN_VARIABLE} in the environment, or `token_file` under [target]"
        )
    return _checked(token, TOKEN_VARIABLE)


def read_secret(path: Path) -> str:
    """What a file holds that nobody else may read. Raises ConfigError, without the secret in it."""
    if not (secret := _text_of(path, "file of a secret", private=True)):
        raise ConfigError(f"{path}: is empty; write the secret into it")
    return secret


def _from_file(path: Path, *, private: bool = True) -> str:
    return _checked(_text_of(path, "token file", private=private), str(path))


def _text_of(path: Path, what: str, *, private: bool) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the {what} cannot be read ({error.__class__.__name__})") from None
    if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: other users can read the {what}; run: chmod 600 {path}")
    return text


def _from_command(job: Job, command: Sequence[str]) -> str:
    """What a command prints. It runs only where nobody else could have written it into the job file."""
    _must_be_ours(job.file)
    try:
        ended = subprocess.run(  # noqa: S603  the words of the job's owner, and no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=COMMAND_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"{job.file}: `token_command` does not run ({type(error).__name__}); try it by hand: {command[0]}"
        ) from None
    if ended.returncode:
        raise ConfigError(
            f"{job.file}: `token_command` failed with exit code {ended.returncode}; try it by hand: {command[0]}"
        )
    return _checked(ended.stdout.decode("utf-8", "replace").strip(), f"{job.file}: `token_command`")


def _must_be_ours(file: Path) -> None:
    status = file.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{file}: names a `token_command`, and others can write to it; it runs only from a job file that is yours: "
            f"chmod go-w {file}"
        )


def _from_keyring(job: Job, entry: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise ConfigError(
            f"{job.file}: `token_keyring` needs the keyring library; run: pip install 'batchrunner[keyring]'"
        ) from None
    service, _, user = entry.rpartition("/")
    try:
        token: str | None = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise ConfigError(
            f"{job.file}: the keyring does not answer ({type(error).__name__}); unlock it, or use `token_file`"
        ) from None
    if token is None:
        raise ConfigError(f"{job.file}: the keyring has no '{entry}'; run: keyring set {service} {user}")
    return _checked(token.strip(), f"{job.file}: the keyring's '{entry}'")


def _checked(token: str, origin: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{origin}: does not hold one token; it must be one word of printable ASCII characters")
    return token
