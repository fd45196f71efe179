"""Putting together the side of HTTP: all that a process needs which does nothing but send.

Nothing here, nor what it imports, needs the ledger's database: such a process starts in half the time without.
"""

from __future__ import annotations

import gc
import os
import random
from datetime import timedelta
from pathlib import Path

from batchrunner.cli.batches import in_batches, parcel_api, taking_parcels
from batchrunner.cli.broker import attempt_limit_s, broker_line
from batchrunner.cli.steps import engaging_api, in_steps, taking_steps
from batchrunner.cli.uploading import NamedFiles, seeing_to_files
from batchrunner.clock import Clock
from batchrunner.config import Job
from batchrunner.ports import Submitter
from batchrunner.retrying import RetryPolicy
from batchrunner.submit import (
    AdaptiveLimit,
    Facts,
    HttpSubmitter,
    Pacer,
    ScheduleFile,
    SharedPacer,
    Slots,
    Throttle,
    connection_facts,
    make_transport,
    schedule_path,
)


def milliseconds(duration: timedelta) -> int:
    """A duration as the ledger counts."""
    return duration // timedelta(milliseconds=1)


def resends(job: Job) -> bool:
    """Whether a doubtful request may be repeated: where the installation recognises it, or where nobody is engaged."""
    return job.rules.in_doubt == "resend" and (job.recognises_repeats or not job.target.call.engages)


def retry_policy(job: Job) -> RetryPolicy:
    """What the job says about trying again."""
    limits = job.limits
    return RetryPolicy(
        attempts=limits.attempts,
        backoff_s=limits.backoff.total_seconds(),
        backoff_max_s=limits.backoff_max.total_seconds(),
        throttle_patience_s=limits.throttle_patience.total_seconds(),
        resend=resends(job),
        window_ms=milliseconds(job.target.dedupe_window if job.target.call.engages else timedelta.max),
    )


def facts_of(job: Job) -> Facts:
    """How the job's platform is reached. Raises ConfigError."""
    plain = job.target.url.startswith("http://") and job.rabbitmq is None
    return connection_facts(
        job.target, job.connection, insecure=job.insecure, environ=os.environ, beside=job.beside, plain=plain
    )


def adaptive_limit(job: Job) -> AdaptiveLimit | None:
    """What finds out how many requests may be in flight, where the job wants that to be found out."""
    return AdaptiveLimit(job.limits.concurrency_max) if job.limits.concurrency == "auto" else None


def make_submitter(
    job: Job,
    token: str,
    clock: Clock,
    limit: AdaptiveLimit | None,
    ledger: Path,
    connections: int,
    files: NamedFiles,
) -> Submitter:
    """What sends the job's claims, over so many connections. Inside the loop that it is to be used on."""
    facts = facts_of(job)
    many = parcel_api(job, token) if in_batches(job) else None
    api = many.alone if many else engaging_api(job, token)
    transport = broker_line(job, facts) or make_transport(job.target.transport, facts, connections)
    slots = None if limit is None else Slots(limit, clock)
    throttle = Throttle(_pace(job, token, clock, ledger), clock, slots=slots)
    # Jitter is no secret: an ordinary generator will do.
    policy = retry_policy(job)
    limit_s = attempt_limit_s(job, facts) or api.attempt_limit_s + (facts.send_timeout_s or 0.0)
    submitter = HttpSubmitter(api, transport, throttle, policy, clock, random.random, limit_s)
    alone = seeing_to_files(submitter, job, token, transport, throttle, policy, clock, ledger, limit_s, files)
    if many is not None:
        return taking_parcels(submitter, alone, many)
    return taking_steps(submitter, alone, job, token, policy) if in_steps(job) else alone


def _pace(job: Job, token: str, clock: Clock, ledger: Path) -> Pacer | SharedPacer | None:
    limits = job.limits
    if limits.rate is None:
        return None
    if not limits.rate_shared:
        return Pacer(limits.rate.per_s)
    schedule = ScheduleFile(schedule_path(ledger, job.target.origin, token))
    schedule.check(clock.elapsed_s())
    return SharedPacer(limits.rate.per_s, schedule)


def leave_the_collector_little_to_do() -> None:
    """Rows and claims die by reference count; what was imported lives for ever: walking it costs a fifth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
