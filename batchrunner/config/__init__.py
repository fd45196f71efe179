"""The job file and the environment become one frozen, validated Job."""

from __future__ import annotations

from batchrunner.config.connection import DIRECT, ConnectionTable
from batchrunner.config.job import ANY_OF, SEARCH_FIELDS, Job
from batchrunner.config.load import job_schema, load_job, with_overrides
from batchrunner.config.metrics import MetricsTable
from batchrunner.config.nights import AfterTable, ArrivalTable, GuardsTable
from batchrunner.config.nodes import ORIGINS, Cell, Node, Scalar
from batchrunner.config.notes import notes_on
from batchrunner.config.notify import AppriseTable, EmailTable, NotifyTable, WebhookTable
from batchrunner.config.repair import AS_IT_STANDS, RepairTable
from batchrunner.config.schedule import ScheduleTable
from batchrunner.config.source import SourceTable
from batchrunner.config.token import CREDENTIAL, read_secret, read_token
from batchrunner.config.units import (
    MOST_PROCESSES,
    Concurrency,
    DayTime,
    ErrorLimit,
    Hours,
    Rate,
    parse_concurrency,
    parse_duration,
    parse_max_errors,
    parse_rate,
)

__all__ = [
    "ANY_OF",
    "AS_IT_STANDS",
    "CREDENTIAL",
    "DIRECT",
    "MOST_PROCESSES",
    "ORIGINS",
    "SEARCH_FIELDS",
    "AfterTable",
    "AppriseTable",
    "ArrivalTable",
    "Cell",
    "Concurrency",
    "ConnectionTable",
    "DayTime",
    "EmailTable",
    "ErrorLimit",
    "GuardsTable",
    "Hours",
    "Job",
    "MetricsTable",
    "Node",
    "NotifyTable",
    "Rate",
    "RepairTable",
    "Scalar",
    "ScheduleTable",
    "SourceTable",
    "WebhookTable",
    "job_schema",
    "load_job",
    "notes_on",
    "parse_concurrency",
    "parse_duration",
    "parse_max_errors",
    "parse_rate",
    "read_secret",
    "read_token",
    "with_overrides",
]
