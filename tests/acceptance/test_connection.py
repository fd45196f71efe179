"""The way to the platform as the command line takes it: TLS, `--insecure`, and hosts that may have the token."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from bench import Bench, counts, people

ANSWER = b'{"error": 0, "error_text": "", "profile_id": "5eeb54a2ce9448518e85fdad"}'


class _Accepts(BaseHTTPRequestHandler):
    """Accepts everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """An authority that only a job file can make known."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "company-ca.pem")
    return made


@pytest.fixture
def platform(authority: trustme.CA) -> Iterator[str]:
    """A platform behind TLS, with a certificate of that authority."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accepts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def job_to(bench: Bench, url: str, connection: str = "") -> None:
    """A job for that platform."""
    bench.csv(people(2))
    job = bench.job(target={"url": url})
    job.write_text(job.read_text(encoding="utf-8") + f"\n[connection]\n{connection}\n", encoding="utf-8")


def test_a_job_names_its_own_authority(bench: Bench, platform: str) -> None:
    """Relative to the job file; nothing is said of insecurity then."""
    job_to(bench, platform, 'ca_file = "company-ca.pem"')
    ended = bench.run()
    assert counts(ended.json) == {"accepted": 2}
    assert "insecure" not in ended.json


def test_insecure_is_said_in_every_summary(bench: Bench, platform: str) -> None:
    """On stderr, in the text, in the JSON, in the file; and the command that goes on keeps it."""
    job_to(bench, platform)
    refused = bench.run()
    assert counts(refused.json) == {"failed": 2}
    assert refused.json["codes"] == {"failed:connect": 2}
    ended = bench.cli("run", "job.toml", "--insecure")
    assert ended.code == 0, ended.told()
    assert "INSECURE      the server's certificate was not verified" in ended.out
    assert "the server's certificate is not verified" in ended.err
    again = bench.run("--insecure")
    assert again.json["insecure"] is True
    kept = json.loads((Path(again.json["run_dir"]) / "summary.json").read_text(encoding="utf-8"))
    assert kept["insecure"] is True


def test_the_command_that_goes_on_is_as_insecure(bench: Bench, platform: str) -> None:
    """A run that leaves something to retry names the flag that it needs."""
    job_to(bench, platform)
    bench.csv([*people(1), {"email": "b@example.com", "name": "B"}])
    bench.run()
    told = bench.cli("run", "job.toml", "--insecure", "--url", "http://127.0.0.1:1", "--output", "json")
    assert any("--insecure" in command for command in told.json["next"]), told.told()


def test_insecurity_is_no_habit(bench: Bench) -> None:
    """A job file cannot ask for it."""
    job = bench.job()
    job.write_text("insecure = true\n" + job.read_text(encoding="utf-8"), encoding="utf-8")
    ended = bench.cli("check", "job.toml")
    assert ended.code == 2
    assert "it is no habit: give --insecure with the command" in ended.err


def test_the_token_goes_to_the_hosts_of_the_job_only(bench: Bench, platform: str) -> None:
    """Whatever --url says: a slip must not give the token away."""
    job_to(bench, platform, 'ca_file = "company-ca.pem"\nhosts = ["127.0.0.1"]')
    assert bench.run().code == 0
    ended = bench.cli("run", "job.toml", "--url", "https://typo.example")
    assert ended.code == 2
    assert "may be sent to 127.0.0.1 only, as `connection.hosts` says, and not to typo.example" in ended.err
