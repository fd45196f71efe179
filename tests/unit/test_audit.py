"""What is pinned: every version with its hashes, and none that is known to be vulnerable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
PINNED = "idna==3.6 \\\n    --hash=sha256:c05567e9c24a6b9faaa835c4821bad0590fbb9d5779e7caa6e1cc4978e7eb24f\n"
VULNERABLE = {
    "vulns": [{
        "id": "PYSEC-2024-60",
        "summary": "A made-up slowness.",
        "affected": [{
            "package": {"name": "idna", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
        }],
    }],
}  # fmt: skip


@contextmanager
def a_database(answer: object, status: int = 200) -> Iterator[str]:
    """Something that answers as OSV does, always alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def audit(lock: Path, *arguments: str) -> tuple[int, str]:
    """As `make audit`."""
    command = [sys.executable, str(ROOT / "tests" / "audit"), str(lock), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.strip()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with one pinned version."""
    path = tmp_path / "some.lock"
    path.write_text(PINNED)
    return path


def test_a_version_that_is_known_to_be_vulnerable_fails_the_check(lock: Path) -> None:
    """It is named, with the version that mends it."""
    with a_database(VULNERABLE) as database:
        code, told = audit(lock, "--database", database)
    assert code == 1
    assert "idna 3.6 is vulnerable (PYSEC-2024-60, mended in 3.7)" in told


def test_a_lock_without_known_faults_passes(lock: Path) -> None:
    """The database knows nothing against it."""
    with a_database({}) as database:
        assert audit(lock, "--database", database) == (0, "audit: 1 pinned versions, none known to be vulnerable")


@pytest.mark.parametrize("strict", [False, True])
def test_where_nobody_can_be_asked_one_line_says_so(lock: Path, strict: bool) -> None:
    """Without a network the check passes, unless it was told to be strict."""
    words = ["--strict"] if strict else []
    code, told = audit(lock, "--database", "http://127.0.0.1:9/v1/query", *words)
    assert code == int(strict)
    assert re.fullmatch(r"audit: nobody could be asked about pinned versions \(\w+\)", told)


def test_a_database_that_is_broken_is_not_an_answer(lock: Path) -> None:
    """Error 503: not clean, but not asked."""
    with a_database({}, status=503) as database:
        code, told = audit(lock, "--database", database)
    assert (code, told) == (0, "audit: nobody could be asked about pinned versions (ServiceError)")


def test_a_lock_without_hashes_is_no_missing_network(lock: Path) -> None:
    """What pip-audit cannot read fails the check, network or not."""
    lock.write_text("idna==3.6\n")
    code, told = audit(lock, "--database", "http://127.0.0.1:9/v1/query")
    assert code == 1
    assert "pip-audit failed" in told


def test_everything_that_is_installed_is_pinned_with_hashes() -> None:
    """Each requirement names one version and at least one SHA-256, and the set-up insists on them."""
    pins = re.findall(r"^(\S.*(?:\n {4}--hash=.*)+)", LOCK.read_text(), re.MULTILINE)
    requirements = [line for line in LOCK.read_text().splitlines() if line and line[0] not in " #"]
    assert len(pins) == len(requirements) > 50
    for pin in pins:
        assert re.match(r"[a-z0-9-]+==\S+", pin), pin
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
    assert "--require-hashes --no-deps -r requirements.lock" in (ROOT / "Makefile").read_text()
