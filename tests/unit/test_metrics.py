"""Numbers of scheduled runs for Prometheus: as its own parser reads them, and as a gateway gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batchrunner.config import MetricsTable
from batchrunner.errors import NotifyError
from batchrunner.metrics import Measured, publish

TOLD = {
    "read": 10, "accepted": 6, "rejected": 1, "failed": 0, "in_doubt": 0, "unusable": 1, "skipped": {"accepted": 2},
    "duration_s": 2.5, "requests": 7,
}  # fmt: skip


def measured(told: object = TOLD, exit_code: int = 1, success_ms: int | None = 1_700_000_000_500) -> Measured:
    return Measured("crm", told, exit_code, 1_700_000_000_500, success_ms)


def samples(text: str) -> dict[tuple[str, str | None], float]:
    """Every sample, by its name and outcome."""
    return {
        (sample.name, sample.labels.get("outcome")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels["batch"] == "crm"
    }


def test_a_textfile_has_the_numbers_of_a_run(tmp_path: Path) -> None:
    """Rows by outcome, which add up to those read; times; and when the job last went well."""
    publish(MetricsTable(textfile_dir="prom"), _made(tmp_path, "prom"), measured())
    found = samples((tmp_path / "prom/batchrunner-crm.prom").read_text())
    rows = {outcome: value for (name, outcome), value in found.items() if name == "batchrunner_last_run_rows"}
    assert rows == {"accepted": 6, "rejected": 1, "failed": 0, "in_doubt": 0, "unusable": 1, "skipped": 2}
    assert sum(rows.values()) == found["batchrunner_last_run_rows_read", None] == 10
    assert found["batchrunner_last_success_timestamp_seconds", None] == 1_700_000_000.5
    assert found["batchrunner_last_run_exit_code", None] == 1
    assert [path.name for path in (tmp_path / "prom").iterdir()] == ["batchrunner-crm.prom"]


def test_a_run_that_never_began_keeps_the_last_success(tmp_path: Path) -> None:
    """It has no rows, and a job that never went well has no such moment."""
    publish(MetricsTable(textfile_dir="."), tmp_path, measured({"error": "no file"}, 4, 1_600_000_000_000))
    found = samples((tmp_path / "batchrunner-crm.prom").read_text())
    assert found["batchrunner_last_success_timestamp_seconds", None] == 1_600_000_000
    assert ("batchrunner_last_run_rows_read", None) not in found
    publish(MetricsTable(textfile_dir="."), tmp_path, measured({"error": "no file"}, 4, None))
    found = samples((tmp_path / "batchrunner-crm.prom").read_text())
    assert ("batchrunner_last_success_timestamp_seconds", None) not in found


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """With its path and the table to look at."""
    with pytest.raises(NotifyError, match=r"nowhere/batchrunner-crm.prom: cannot be written .*\[metrics\]"):
        publish(MetricsTable(textfile_dir="nowhere"), tmp_path, measured())


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Something that takes pushes over HTTP."""
    got: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.command, self.path, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_a_gateway_gets_one_group_for_each_job(gateway: tuple[str, list[tuple[str, str, str]]], tmp_path: Path) -> None:
    """In place of the group's earlier numbers; a gateway that is not there is said."""
    address, got = gateway
    publish(MetricsTable(pushgateway=f"http://{address}"), tmp_path, measured())
    ((verb, path, body),) = got
    assert (verb, path) == ("PUT", "/metrics/job/batchrunner/batch/crm")
    assert samples(body)["batchrunner_last_run_requests", None] == 7
    with pytest.raises(NotifyError, match="did not take the metrics"):
        publish(MetricsTable(pushgateway="http://127.0.0.1:9"), tmp_path, measured())


def _made(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder
