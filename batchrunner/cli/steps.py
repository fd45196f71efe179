"""The parts of a run whose rows do not all go by the job's own call: made only for jobs that ask for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from batchrunner.api import Api, ImportApi, StartApi
from batchrunner.config import Job
from batchrunner.model import Importing, Starting, Step
from batchrunner.pipeline import Changes, Relay, Steps
from batchrunner.ports import Submitter
from batchrunner.retrying import RetryPolicy
from batchrunner.submit import HttpSubmitter, StepSubmitter

if TYPE_CHECKING:  # a process that sends does without
    from batchrunner.ledger import SqlLedger

EXAMPLE_PROFILE_ID = "000000000000000000000000"
"""Stands in a preview where a run would put what the import has told."""


def steps_of(job: Job) -> Steps:
    """By which requests the job's rows go, beside its call."""
    return Steps(split=job.target.mode == "split", updates=job.rules.on_change == "update")


def in_steps(job: Job) -> bool:
    """Whether some rows go by other requests than the job's call."""
    steps = steps_of(job)
    return steps.split or steps.updates


def relay_of(job: Job) -> Relay | None:
    """What takes rows from step to step; None where each goes by the job's call."""
    return Relay(steps_of(job)) if in_steps(job) else None


def changes_of(job: Job, ledger: SqlLedger) -> Changes | None:
    """What decides about rows that have changed; None where they go like any other."""
    if job.rules.on_change == "engage":
        return None
    after = job.rules.repeat_after
    forgotten_after_ms = None if after is None else after // timedelta(milliseconds=1)
    return Changes(ledger, updates=job.rules.on_change == "update", forgotten_after_ms=forgotten_after_ms)


def engaging_api(job: Job, token: str) -> Api:
    """The words for a request that engages somebody, or for whatever the job's call does."""
    if job.target.mode == "split":
        return StartApi(job.target, token, job.target.format)
    return Api(job.target, token, job.target.call, job.target.format)


def steps_shown(job: Job, token: str) -> list[tuple[Api, Step]] | None:
    """The requests of a row in their order, for a preview; None where it is one. Raises ConfigError."""
    if job.target.mode != "split":
        return None
    importing = ImportApi(job.target, token, job.target.db_id or 0, job.target.format)
    return [(importing, Importing()), (engaging_api(job, token), Starting(EXAMPLE_PROFILE_ID))]


def taking_steps(http: HttpSubmitter, engaging: Submitter, job: Job, token: str, policy: RetryPolicy) -> Submitter:
    """A submitter that takes claims at any step."""
    # Nobody is engaged by an import: it may be repeated whether or not the platform would recognise it.
    harmless = replace(
        policy, resend=job.rules.in_doubt == "resend", window_ms=timedelta.max // timedelta(milliseconds=1)
    )
    importing = ImportApi(job.target, token, job.target.db_id or 0, job.target.format)
    return StepSubmitter(http, engaging, importing, harmless)
