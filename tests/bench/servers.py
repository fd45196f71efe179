"""What answers: nginx at once or after a while, on a free port of the loopback, ended with the block."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from place import PYTHON
from processes import NotMeasured, background
from tools import found, libraries

PATH = "/api/v1.1/workflows/import_and_start"
ANSWER = '{"error":0,"error_text":"Successful operation","profile_id":"5f4b7c8d9e0a1b2c3d4e5f60"}'

_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off; default_type application/json; keepalive_requests 1000000000; keepalive_timeout 300s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_body_buffer_size 512k; client_max_body_size 64m;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = {path} {{ return 200 '{answer}'; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(cores: Sequence[int] = ()) -> Iterator[str]:
    """A server that answers a POST at once with the documented success body. Gives its address."""
    program, port = found("nginx"), free_port()
    folder = Path(os.environ["BENCH_SCRATCH"]) / f"nginx-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, path=PATH, answer=ANSWER), encoding="utf-8")
    command = [program, "-p", folder, "-c", config, "-e", "stderr"]
    with background(command, env=libraries(), cores=cores):
        yield _listening(port)


@contextlib.contextmanager
def slow(answer_ms: float, *arguments: object, cores: Sequence[int] = ()) -> Iterator[str]:
    """A server that answers after so many milliseconds. Gives its address."""
    port = free_port()
    script = Path(__file__).with_name("slow_server.py")
    with background([PYTHON, script, port, answer_ms, *arguments], cores=cores):
        yield _listening(port)


@contextlib.contextmanager
def of_batches(cores: Sequence[int] = ()) -> Iterator[str]:
    """A server that accepts every item of a batch at once. Gives its address."""
    port = free_port()
    with background([PYTHON, Path(__file__).with_name("batch_server.py"), port], cores=cores):
        yield _listening(port)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(port: int) -> str:
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return f"http://127.0.0.1:{port}"
        time.sleep(0.02)
    raise NotMeasured(f"the server on port {port} did not start within 20 s (process group {os.getpgrp()})")
