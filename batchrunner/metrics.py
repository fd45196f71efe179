"""Metrics of scheduled runs for Prometheus: a file for the node exporter, or a push. The only door to its client.

A run has ended when anybody could ask it, so it leaves its numbers behind instead of being asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.config import MetricsTable
from batchrunner.errors import NotifyError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

OUTCOMES = ("accepted", "rejected", "failed", "in_doubt", "unusable")

PUSH_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One ended run, and when the job last went well."""

    job: str
    told: Mapping[str, Any]
    """The object that it printed."""
    exit_code: int
    ended_ms: int
    success_ms: int | None
    """The end of its last good run; None if it never had one."""


def publish(table: MetricsTable, folder: Path, run: Measured) -> None:
    """Leave the numbers where the job says; a relative `textfile_dir` is beneath `folder`. Raises NotifyError."""
    try:
        from prometheus_client import push_to_gateway, write_to_textfile  # noqa: PLC0415  an extra
    except ImportError:
        raise NotifyError("[metrics] needs prometheus-client; run: pip install 'batchrunner[metrics]'") from None
    registry = registry_of(run)
    if table.textfile_dir is not None:
        path = (folder / Path(table.textfile_dir).expanduser()).absolute() / f"batchrunner-{run.job}.prom"
        try:
            # It writes beside the file and renames: the exporter never sees half of it.
            write_to_textfile(str(path), registry)
        except OSError as error:
            raise NotifyError(f"{path}: cannot be written ({error.strerror or error}); see [metrics]") from None
    if table.pushgateway is not None:
        try:
            push_to_gateway(table.pushgateway, job="batchrunner", registry=registry, timeout=PUSH_TIMEOUT_S,
                            grouping_key={"batch": run.job})  # fmt: skip
        except OSError as error:  # what urllib raises is one
            raise NotifyError(
                f"the Pushgateway at {table.pushgateway} did not take the metrics ({type(error).__name__}); "
                "see [metrics]"
            ) from None


def registry_of(run: Measured) -> CollectorRegistry:
    """The metrics of one run. Names are relied on: add, never rename."""
    from prometheus_client import CollectorRegistry, Gauge  # noqa: PLC0415  an extra

    registry = CollectorRegistry()

    made: dict[str, Gauge] = {}

    def gauge(name: str, help_: str, value: float, **labels: str) -> None:
        if name not in made:
            made[name] = Gauge(f"batchrunner_{name}", help_, ["batch", *labels], registry=registry)
        made[name].labels(batch=run.job, **labels).set(value)

    gauge("last_run_timestamp_seconds", "When the last scheduled run of the job ended.", run.ended_ms / 1000)
    gauge("last_run_exit_code", "How it ended.", run.exit_code)
    if run.success_ms is not None:
        gauge("last_success_timestamp_seconds", "When the job last went well.", run.success_ms / 1000)
    if "read" in run.told:
        gauge("last_run_duration_seconds", "How long it took.", run.told["duration_s"])
        gauge("last_run_rows_read", "Rows that it read.", run.told["read"])
        gauge("last_run_requests", "Requests that it sent.", run.told["requests"])
        counts = {name: run.told[name] for name in OUTCOMES} | {"skipped": sum(run.told["skipped"].values())}
        for outcome, count in counts.items():
            gauge("last_run_rows", "How its rows ended.", count, outcome=outcome)
    return registry
