"""The sandbox as a process: how it starts, and every way in which it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from batchrunner.sandbox import Settings, running, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = """
import json, sys
from batchrunner.sandbox import Settings, running
with running(Settings()) as sandbox:
    print(json.dumps({"url": sandbox.url}), flush=True)
    sys.stdin.read()
"""
LIMIT_S = 20


@contextlib.contextmanager
def start(*options: str, code: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A sandbox from the command line (or some code) with its standard streams as pipes; killed if still there."""
    what = ["-c", code] if code else ["-m", "batchrunner.sandbox", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *what], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[bytes]) -> str:
    """The address in the first line of a started process."""
    assert process.stdout is not None
    line: dict[str, str] = json.loads(process.stdout.readline())
    return line["url"]


def connected(url: str) -> socket.socket:
    """An idle connection: it ends when the server does."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_sandbox_in_order(number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with status 0 and nothing on standard error."""
    with start("--port", "0") as process:
        url_of(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors) == (0, b"")


def test_the_ready_line_names_address_and_process() -> None:
    """The first line on standard output is JSON; the sandbox listens on loopback when it appears."""
    with start("--stop-on-stdin-eof") as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert line["pid"] == process.pid
        assert urlsplit(line["url"]).hostname == "127.0.0.1"
        connected(line["url"]).close()
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0


def test_the_sandbox_dies_with_a_parent_that_is_killed() -> None:
    """After kill -9 of the process that called running(), the sandbox closes its connections and is gone."""
    with start(code=PARENT) as parent, connected(url_of(parent)) as connection:
        parent.kill()
        parent.wait(LIMIT_S)
        assert connection.recv(1) == b""


def test_a_request_in_flight_does_not_hold_up_the_end() -> None:
    """The block ends soon though a call would be answered in a minute."""
    with running(Settings(latency_s=60)) as sandbox:
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
        headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/json"}
        body = json.dumps({"workflow_id": 1, "matching": "email", "email": "ann@example.com"})
        connection.request("POST", "/api/v1.1/workflows/import_and_start", body, headers)
        while sandbox.stats()["effects"] < 1:
            pass  # the effect is made before the wait
        pid = sandbox.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    connection.close()


def test_options_of_the_command_line_become_settings() -> None:
    """Shares, lists, switches and the JSON object arrive; single options win over the object."""
    options = ["--fail", "435:2", "--fail", "500:1", "--fault", "drop-after:3", "--workflow-id", "5", "--forget-errors"]
    options += ["--latency", "0.5", "--settings", '{"latency_s": 9, "seed": 4}', "--stop-on-stdin-eof"]
    with start(*options) as process:
        place = urlsplit(url_of(process))
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        connection.request("GET", "/_sandbox/settings")
        seen = json.loads(connection.getresponse().read())
        connection.close()
        process.communicate(timeout=LIMIT_S)
    assert (seen["fail"], seen["faults"]) == ([[435, 2.0], [500, 1.0]], [["drop-after", 3.0]])
    assert (seen["workflow_ids"], seen["remember_errors"], seen["latency_s"], seen["seed"]) == ([5], False, 0.5, 4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--fault", "explode:2"], "unknown fault 'explode'"),
        (["--fail", "435"], "is not NAME:PERCENT"),
        (["--latency", "-1"], "latency_s is -1.0, expected a number from 0"),
        (["--settings", "[]"], "not a JSON object"),
        (["--settings", '{"colour": 1}'], "unknown setting 'colour'"),
    ],
)
def test_wrong_options_are_explained(options: list[str], sentence: str) -> None:
    """A wrong option ends with status 2 and a sentence, not with a traceback."""
    with start(*options) as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert sentence in errors.decode()
    assert "Traceback" not in errors.decode()


def test_a_port_in_use_is_explained() -> None:
    """A second sandbox on the same port ends with status 1 and a sentence; running() raises."""
    with running(Settings()) as sandbox:
        port = urlsplit(sandbox.url).port or 0
        with start("--port", str(port)) as process:
            _, errors = process.communicate(timeout=LIMIT_S)
        with pytest.raises(RuntimeError, match="did not start"), running(Settings(), port):
            pass
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors.decode()


def test_a_handle_explains_a_refused_change() -> None:
    """change() raises the sandbox's own sentence, and returns all settings when it works."""
    with running(Settings(token="another")) as sandbox:
        assert sandbox.token == "another"
        assert sandbox.change(latency_s=0.5, workflow_ids={3})["workflow_ids"] == [3]
        with pytest.raises(ValueError, match="unknown setting 'colour'"):
            sandbox.change(colour="red")


def test_serve_runs_inside_a_loop_until_it_is_cancelled() -> None:
    """As a coroutine it is ready before its callback returns, and cancelling it frees the port."""

    async def run_and_cancel() -> str:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(Settings(), "127.0.0.1", 0, url.set_result))
        place = urlsplit(await url)
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.close()
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server
        return await url

    url = asyncio.run(run_and_cancel())
    with pytest.raises(ConnectionRefusedError):
        connected(url)
