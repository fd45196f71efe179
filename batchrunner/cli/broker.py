"""Putting together what goes by way of a broker, for jobs that have one."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from batchrunner.api import Items, read_answer, read_answer_about
from batchrunner.config import Job
from batchrunner.model import RequestId
from batchrunner.retrying import Answered
from batchrunner.submit import Facts, Transport, connection_facts

if TYPE_CHECKING:
    from batchrunner.ledger import Late, SqlLedger
    from batchrunner.rabbit import BrokerFacts, Response

CONFIRMING_S = 30.0
"""Beside the time for an answer: a broker under pressure takes its time to confirm a message."""


def broker_line(job: Job, facts: Facts) -> Transport | None:
    """What takes the place of the HTTP engine, or None for a job without a broker. Raises ConfigError."""
    if job.rabbitmq is None:
        return None
    broker = _broker(job, facts)
    from batchrunner.rabbit.line import RabbitLine  # noqa: PLC0415  an extra

    return RabbitLine(broker, job.limits.most_in_flight)


def attempt_limit_s(job: Job, facts: Facts) -> float | None:
    """The bound on one attempt, where job or broker have one of their own."""
    if job.rabbitmq is None or facts.attempt_timeout_s is not None:
        return facts.attempt_timeout_s
    return facts.connect_timeout_s + job.rabbitmq.answer_timeout.total_seconds() + CONFIRMING_S


def settle_late_answers(job: Job, ledger: SqlLedger) -> int:
    """Settle rows in doubt whose answers lie in the queue; how many. Raises ConfigError, ApiRefusedUs, LedgerError.

    Only for the holder of the job's lock.
    """
    if job.rabbitmq is None:
        return 0
    from batchrunner.ledger import canonical, settle_answers  # noqa: PLC0415  a process that sends does without
    from batchrunner.rabbit import take_late_answers  # noqa: PLC0415  an extra

    settled = 0

    def settle(answers: Mapping[str, Response]) -> Collection[str]:
        nonlocal settled
        parcels = ledger.parcels(canonical(answers))
        queued = job.target.call.queued
        outcomes = {
            (one := RequestId(request_id)): _late_outcomes(answer, parcels[one].rows, queued=queued)
            if one in parcels
            else _late_outcome(answer)
            for request_id, answer in answers.items()
        }
        known, count = settle_answers(ledger, job.name, outcomes)
        settled += count
        return known

    take_late_answers(_broker(job, _facts(job)), settle)
    return settled


def _late_outcome(answer: Response) -> Late:
    verdict = read_answer(answer)
    return verdict.outcome if isinstance(verdict, Answered) else None


def _late_outcomes(answer: Response, rows: int, *, queued: bool) -> Late:
    """Of a batch: an outcome for each row. One that was refused whole says of its only row what it says of itself."""
    read = read_answer_about(answer, rows, queued=queued)
    if isinstance(read, Items):
        return read.outcomes
    return (read.outcome,) if rows == 1 and isinstance(read, Answered) else None


def try_the_broker(job: Job) -> str:
    """Connect to the job's broker and look for its queues; its address. Raises ConfigError, ApiRefusedUs."""
    from batchrunner.rabbit import try_broker  # noqa: PLC0415  an extra

    broker = _broker(job, _facts(job))
    try_broker(broker)
    return broker.shown


def _facts(job: Job) -> Facts:
    return connection_facts(job.target, job.connection, insecure=job.insecure, environ=os.environ, beside=job.beside)


def _broker(job: Job, facts: Facts) -> BrokerFacts:
    from batchrunner.rabbit import broker_facts  # noqa: PLC0415  an extra

    if job.rabbitmq is None:
        raise RuntimeError("only jobs with a broker come here")
    return broker_facts(job.rabbitmq, job.target.connect_timeout, facts.tls_context())
