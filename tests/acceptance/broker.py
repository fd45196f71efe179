"""A RabbitMQ server of our own: the Debian package's program, on a free port, in a folder that goes away with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_LIMIT_S = 120.0
"""An Erlang machine takes its time to start on a busy computer."""


@dataclass
class Broker:
    """A running broker."""

    folder: Path
    port: int
    node: str
    process: subprocess.Popen[bytes] | None = None
    epmd_port: int = 0
    epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For clients."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = (self.folder / "output").open("ab")
        if self.epmd is None:  # our own: one that the broker starts would outlive it
            self.epmd_port = _free_port()
            command = ["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"]
            self.epmd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.process = subprocess.Popen(
            [PROGRAM], env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            told = (self.folder / "output").read_text(errors="replace")
            assert self.process.poll() is None, f"the broker ended with {self.process.returncode}\n{told}"
            assert time.monotonic() < deadline, f"the broker does not start\n{told}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as a machine that loses its power would: what it holds durably is there when it starts again."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        """Whether it speaks AMQP: it opens its port a little before it does."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
                sock.settimeout(2)
                sock.sendall(b"AMQP\x00\x00\x09\x01")
                return sock.recv(1) == b"\x01"
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        config = self.folder / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nvm_memory_high_watermark.absolute = 1GB\n")
        plugins = self.folder / "enabled_plugins"
        plugins.write_text("[].")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "RABBITMQ_SERVER_START_ARGS": "+S 1:1 +A 16",
        }


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def missing() -> str | None:
    """Why there can be no broker here, or None."""
    if not PROGRAM.exists() or shutil.which("erl") is None:
        return "RabbitMQ is not installed; on Debian: apt-get install rabbitmq-server"
    return None


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
    """Run a broker, or skip the test with the reason."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    port = _free_port()
    broker = Broker(folder, port, f"batchrunner-{port}@localhost")
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        if broker.epmd is not None:
            broker.epmd.kill()
            broker.epmd.wait()
