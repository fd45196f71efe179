"""A cron daemon of Debian, apart from the one of this machine: crontabs and folders of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ENTER = """
set -e
mount --bind "$1/crontabs" /var/spool/cron/crontabs
mount --bind "$1/none" /etc/cron.d
mount --bind "$1/crontab" /etc/crontab
mount -t tmpfs none /run
shift
exec "$@"
"""
"""In a mount namespace: the machine's own crontabs are neither seen nor changed, and its daemon's lock is not there."""


def why_not() -> str | None:
    """Why there can be no such daemon here."""
    if missing := [name for name in ("cron", "crontab", "unshare") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} not on this machine; apt-get install cron util-linux"
    if os.geteuid() != 0:
        return "a cron daemon needs root"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "no mount namespaces here"
    return None


@dataclass(frozen=True)
class Cron:
    """A running daemon, and the commands that see its crontabs."""

    home: Path

    def words(self, *words: str) -> list[str]:
        """A command, as one starts it beside this daemon."""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.home), *words]

    def run(self, *words: str, environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.words(*words), env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )


@contextmanager
def cron_daemon(home: Path) -> Iterator[Cron]:
    """Start it, and end it with the block."""
    for name in ("crontabs", "none"):
        (home / name).mkdir(parents=True)
    (home / "crontab").touch()
    cron = Cron(home)
    daemon = subprocess.Popen(cron.words("cron", "-f"), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield cron
    finally:
        daemon.terminate()
        daemon.wait(30)
