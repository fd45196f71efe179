"""Putting together what fetches and uploads files, for jobs that name some."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from batchrunner.api.uploads import UploadApi
from batchrunner.clock import Clock
from batchrunner.config import Job
from batchrunner.endpoints import FILES_BYTES
from batchrunner.ports import Submitter
from batchrunner.retrying import RetryPolicy
from batchrunner.submit import Fetcher, FetchingSubmitter, Throttle, Transport, Uploader, UploadingSubmitter


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """What rows name beside their cells."""

    hosts: Mapping[str, int]
    """Whose contents go into requests, and how many bytes of each at most."""
    folders: frozenset[str]
    """Beneath which files are uploaded."""


def files_named_by(job: Job) -> NamedFiles:
    """What the job's mapping lets rows name."""
    from batchrunner.mapping import fetched_hosts, upload_folders  # noqa: PLC0415  a process that sends is told

    return NamedFiles(fetched_hosts(job), upload_folders(job))


def seeing_to_files(
    inner: Submitter,
    job: Job,
    token: str,
    transport: Transport,
    throttle: Throttle,
    policy: RetryPolicy,
    clock: Clock,
    ledger: Path,
    limit_s: float,
    files: NamedFiles,
) -> Submitter:
    """The submitter itself, or those in front of it that fetch and upload what rows name."""
    if files.hosts:
        inner = FetchingSubmitter(inner, Fetcher(dict(files.hosts)), job.target.max_bytes or FILES_BYTES)
    if not files.folders:
        return inner
    from batchrunner.ledger import SqlUploadShelf  # noqa: PLC0415  only these need it of all that send

    uploader = Uploader(
        UploadApi(job.target, token),
        transport,
        throttle,
        replace(policy, resend=True, window_ms=FOREVER_MS),  # an upload may always be repeated
        SqlUploadShelf(ledger, job.target.origin),
        {folder: job.beside(folder) for folder in files.folders},
        clock,
        random.random,
        round(job.rules.reupload_after.total_seconds() * 1000),
        limit_s,
    )
    return UploadingSubmitter(inner, uploader)


FOREVER_MS = 10**15
"""More than any run takes."""
