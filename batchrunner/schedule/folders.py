"""Watching the folder that a job's exports come into. The only door to watchfiles, an extra."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import PurePath

from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.schedule.due import table_of
from batchrunner.schedule.programs import export_folder

POLL_MS = 1000


def check_watching(job: Job) -> None:
    """Raises ConfigError where a job is to watch its folder, and cannot."""
    if table_of(job).watch == "no":
        return
    if job.arrival is None:
        raise ConfigError(f"{job.file}: `watch` needs [arrival], which says when a file is complete; add it")
    try:
        import watchfiles  # noqa: F401, PLC0415  an extra
    except ImportError:
        raise ConfigError(f"{job.file}: `watch` needs watchfiles; run: pip install 'batchrunner[watch]'") from None
    if not (folder := export_folder(job)).is_dir():
        raise ConfigError(f"{job.file}: the folder to watch, {folder}, is not there; make it, or correct `path`")


async def arrivals(job: Job, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Yields whenever files have come into the job's folder, or grown there, until a stop is asked for."""
    from watchfiles import Change, awatch  # noqa: PLC0415  an extra

    ignored = job.arrival.ignore if job.arrival is not None else ()

    def is_news(change: Change, path: str) -> bool:
        # Our own archiving takes files away.
        return change is not Change.deleted and not any(fnmatch(PurePath(path).name, one) for one in ignored)

    polled = table_of(job).watch == "poll"
    watching = awatch(
        export_folder(job),
        watch_filter=is_news,
        stop_event=stopping,
        force_polling=polled,
        poll_delay_ms=POLL_MS,
        recursive=False,
    )
    async for _ in watching:
        yield
