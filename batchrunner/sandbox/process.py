"""A sandbox in a process of its own, for tests and demonstrations. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchrunner.sandbox.settings import Settings

_START_LIMIT_S: Final = 30
_STOP_LIMIT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Handle:
    """A running sandbox: where it is, and what it saw. Safe from any thread; each call is one HTTP request."""

    url: str
    token: str
    pid: int

    def engagement_counts(self) -> dict[str, int]:
        """How often each search value was engaged."""
        return dict(self._ask("GET", "engagements", {"counts": 1})["by_key"])

    def engagements(self, since: int = 0, limit: int = 10_000) -> list[dict[str, Any]]:
        """The engagements after sequence number `since`, in order."""
        return list(self._ask("GET", "engagements", {"since": since, "limit": limit})["engagements"])

    def profiles(self, limit: int = 100) -> list[dict[str, Any]]:
        """The first profiles: `id`, `data`, `subscriptions`."""
        return list(self._ask("GET", "profiles", {"limit": limit})["profiles"])

    def requests(self, limit: int = 100) -> list[dict[str, Any]]:
        """The last raw requests, the newest last: `arrived_s`, `method`, `path`, `headers`, `body`; tokens masked."""
        return list(self._ask("GET", "requests", {"limit": limit})["requests"])

    def uploads(self) -> dict[str, dict[str, Any]]:
        """The files that were uploaded, by key: `name`, `size`, `sha256`."""
        return dict(self._ask("GET", "uploads")["files"])

    def stats(self) -> dict[str, Any]:
        """All counts since the start or the last reset."""
        return self._ask("GET", "stats")

    def reset(self) -> None:
        """Forget data, repeats, counts and fired faults; keep the settings."""
        self._ask("POST", "reset")

    def change(self, **settings: object) -> dict[str, Any]:
        """Replace settings and return all of them. Raises ValueError with the sandbox's sentence."""
        return self._ask("POST", "settings", body=settings)

    def _ask(
        self, method: str, name: str, query: Mapping[str, int] | None = None, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        # Imported late, as it is slow to load. Not urllib.request: that would go through a proxy of the environment.
        import http.client  # noqa: PLC0415

        place, payload = urlsplit(self.url), json.dumps(body or {}, default=list)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_START_LIMIT_S)
        with contextlib.closing(connection):
            connection.request(method, f"/_sandbox/{name}?{urlencode(query or {})}", payload)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        if response.status != HTTPStatus.OK:
            raise ValueError(answer["error"])
        return answer


@contextlib.contextmanager
def running(settings: Settings, port: int = 0) -> Iterator[Handle]:
    """A sandbox as a subprocess on 127.0.0.1, for as long as the block lasts.

    It also ends when this process does, however that comes about: its standard input is a pipe from here.
    Raises RuntimeError when it does not start.
    """
    process = _start(settings, port)
    try:
        line = _first_line(process)
        yield Handle(line["url"], settings.token, line["pid"])
    finally:
        _stop(process)


def _start(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "batchrunner.sandbox", "--port", str(port), "--stop-on-stdin-eof"]
    command += ["--settings", json.dumps(settings.as_json())]
    # The child finds the very package that this is, from whatever directory it is started.
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(  # noqa: S603 - our own module on our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    limit = threading.Timer(_START_LIMIT_S, process.kill)
    limit.start()
    line = process.stdout.readline()
    limit.cancel()
    if not line:
        msg = f"the sandbox did not start (exit status {process.wait()}); its standard error says why"
        raise RuntimeError(msg)
    answer: dict[str, Any] = json.loads(line)
    return answer


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
