"""Putting together what fetches and uploads files, for jobs that name some."""

from __future__ import annotations

import random
from pathlib import Path

from msgspec.structs import replace

from batchrunner.api.uploads import UploadApi
from batchrunner.clock import Clock
from batchrunner.config import Job
from batchrunner.endpoints import FILES_BYTES
from batchrunner.mapping import fetched_hosts, upload_folders
from batchrunner.ports import Submitter
from batchrunner.retrying import RetryPolicy
from batchrunner.submit import Fetcher, FetchingSubmitter, Throttle, Transport, Uploader, UploadingSubmitter


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
) -> Submitter:
    """The submitter itself, or those in front of it that fetch and upload what rows name."""
    if hosts := fetched_hosts(job):
        inner = FetchingSubmitter(inner, Fetcher(hosts), job.target.max_bytes or FILES_BYTES)
    folders = upload_folders(job)
    if not folders:
        return inner
    from batchrunner.ledger import SqlUploadShelf  # noqa: PLC0415  only these need it of all that send

    uploader = Uploader(
        UploadApi(job.target, token),
        transport,
        throttle,
        replace(policy, resend=True, window_ms=FOREVER_MS),  # an upload may always be repeated
        SqlUploadShelf(ledger, job.target.origin),
        {folder: job.beside(folder) for folder in folders},
        clock,
        random.random,
        round(job.rules.reupload_after.total_seconds() * 1000),
        limit_s,
    )
    return UploadingSubmitter(inner, uploader)


FOREVER_MS = 10**15
"""More than any run takes."""
