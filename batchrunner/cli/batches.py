"""The parts of a run that sends rows together: made only for the calls about many profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from batchrunner.api import Api, ParcelApi, Preview
from batchrunner.cli.steps import steps_shown
from batchrunner.clock import Clock
from batchrunner.config import Job
from batchrunner.model import Claim, Parcel, Request, Shape
from batchrunner.pipeline import Carriage
from batchrunner.ports import Submitter
from batchrunner.submit import HttpSubmitter, ParcelSubmitter

if TYPE_CHECKING:  # a process that sends does without
    from batchrunner.ledger import SqlLedger

XML_TIMES = 3
"""XML writes each name twice, and more for arrays: so many times the bytes of JSON are room enough."""

_ATTACH, _CONTENT = b'{"attach":', b'{"content":'
"""How a canonical payload begins that has something of its own: there is no field in front of these."""


def in_batches(job: Job) -> bool:
    """Whether the job's rows leave together."""
    return job.target.call.item is not None


def parcel_api(job: Job, token: str) -> ParcelApi:
    """How the job's batches are said."""
    return ParcelApi(job.target, token, job.target.call, job.target.format, job.batch.item, job.batch.key)


def taking_parcels(http: HttpSubmitter, alone: Submitter, api: ParcelApi) -> Submitter:
    """A submitter that sends batches through `http`, and single claims through `alone`."""
    return ParcelSubmitter(http, alone, api)


def carriage_of(job: Job, ledger: SqlLedger, clock: Clock) -> Carriage | None:
    """What puts the job's rows together; None where each goes by itself."""
    if not in_batches(job):
        return None
    most_bytes = job.batch.max_bytes // (XML_TIMES if job.target.format == "xml" else 1)
    has_own = job.request.attach or job.request.content
    goes_alone = _going_alone(job) if has_own else None
    return Carriage(job.batch.size, most_bytes, job.batch.search, goes_alone, _Memory(job, ledger, clock))


def _going_alone(job: Job) -> Callable[[Request], bool]:
    own = _ATTACH if job.batch.content == "inside" else (_ATTACH, _CONTENT)
    return lambda request: request.payload.startswith(own)


class _Memory:
    """What the ledger knows of how the job's platform wants to be asked."""

    def __init__(self, job: Job, ledger: SqlLedger, clock: Clock) -> None:
        target, batch = job.target, job.batch
        written = f"{target.format} {batch.item or target.call.item} {batch.key}"
        if batch.content == "inside":
            written += " content"
        self._shape = Shape(target.origin, target.endpoint, written)
        self._ledger = ledger
        self._clock = clock

    def known(self) -> bool:
        return self._ledger.knows_shape(self._shape)

    def note(self) -> None:
        self._ledger.note_shape(self._shape, self._clock.now_ms())


class Shown:
    """The requests of a job as a person may see them."""

    def __init__(self, job: Job, token: str) -> None:
        """Raises ConfigError for an address or a token that can never be sent."""
        self._many = parcel_api(job, token) if in_batches(job) else None
        self._goes_alone = _going_alone(job)
        self._steps = steps_shown(job, token)
        self._api = self._many.alone if self._many else Api(job.target, token, job.target.call, job.target.format)

    def requests_of(self, claim: Claim) -> list[Preview]:
        """The requests of a row, in their order."""
        if self._steps is None:
            return [self.request_of(claim)]
        return [api.masked(api.request_for(replace(claim, step=step))) for api, step in self._steps]

    def request_of(self, claim: Claim) -> Preview:
        """The request of a row; in a batch, as if it were there by itself."""
        if self._many is not None and not self._goes_alone(claim.request):
            return self._api.masked(self._many.request_for(Parcel((claim,))))
        return self._api.masked(self._api.request_for(claim))
