"""Parcels in, a settled claim for each of their rows out: attempt after attempt, as for a single claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from batchrunner.model import Accepted, Claim, Failed, InDoubt, Outcome, Parcel, Rejected, Settled
from batchrunner.ports import Durable, durable_of
from batchrunner.retrying import Answered, Verdict

if TYPE_CHECKING:
    import httpx

    from batchrunner.ports import Submitter
    from batchrunner.submit.submitter import HttpSubmitter, SpeaksApi


class Items(Protocol):
    """An answer that tells how each row ended."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]: ...  # noqa: D102
    @property
    def replayed(self) -> bool: ...  # noqa: D102
    @property
    def refusal(self) -> str | None: ...  # noqa: D102
    @property
    def task(self) -> str | None: ...  # noqa: D102


class SpeaksParcels(Protocol):
    """What is asked of the API room for a parcel."""

    @property
    def alone(self) -> SpeaksApi:
        """The words for a claim that goes alone."""
        ...

    def request_for(self, parcel: Parcel) -> httpx.Request:
        """The HTTP request of a parcel."""
        ...

    def read_answer(self, response: httpx.Response, rows: int) -> Items | Verdict:
        """What an answer means: for each row, or for all of them."""
        ...


class _Words:
    """A parcel, said as if it were one claim. It keeps what the answer said of each row."""

    def __init__(self, api: SpeaksParcels, parcel: Parcel) -> None:
        self._api = api
        self._parcel = parcel
        self.attempt_limit_s = api.alone.attempt_limit_s
        self.items: Items | None = None

    def request_for(self, _: Claim) -> httpx.Request:
        return self._api.request_for(self._parcel)

    def read_answer(self, response: httpx.Response) -> Verdict:
        read = self._api.read_answer(response, len(self._parcel.claims))
        if isinstance(read, Verdict):
            return read
        self.items = read
        return Answered(Accepted(None), read.replayed)

    def read_exception(self, error: Exception) -> Verdict:
        return self._api.alone.read_exception(error)


class ParcelSubmitter:
    """A submitter that takes parcels, too."""

    def __init__(
        self,
        http: HttpSubmitter,
        alone: Submitter,
        api: SpeaksParcels,
    ) -> None:
        """`alone` takes the claims that go alone, and closes `http` in the end."""
        self._http = http
        self._alone = alone
        self._api = api

    async def submit(self, claim: Claim) -> Settled:
        """Send a claim that goes alone."""
        return await self._alone.submit(claim)

    async def submit_parcel(self, parcel: Parcel) -> list[Settled]:
        """Send a parcel until it is settled: an end for each of its claims, in their order."""
        words = _Words(self._api, parcel)
        settled = await self._http.submit(parcel.lead, words)
        return spread(parcel, settled, words.items)

    @property
    def durable(self) -> Durable | None:
        """See the inner one."""
        return durable_of(self._alone)

    def drain(self) -> None:
        """Send nothing from now on."""
        self._alone.drain()

    async def aclose(self) -> None:
        """Close connections."""
        await self._alone.aclose()


def spread(parcel: Parcel, settled: Settled, items: Items | None) -> list[Settled]:
    """How each claim of a parcel ended. The requests are counted once, with the first of them. Pure."""
    if items is not None:
        pairs = zip(parcel.claims, items.outcomes, strict=True)
        attempts, requests, replayed, elapsed_ms = settled.attempts, 0, settled.replayed, settled.elapsed_ms
        ends = [
            Settled(
                claim,
                _lawful(outcome, claim) if isinstance(outcome, Failed) else outcome,
                attempts,
                requests,
                replayed,
                elapsed_ms,
            )
            for claim, outcome in pairs
        ]
        first = replace(ends[0], requests=settled.requests, refusal=items.refusal, task=items.task)
        return [first, *ends[1:]]
    whole = isinstance(settled.outcome, Rejected)
    return [
        replace(
            settled,
            claim=claim,
            requests=0 if number else settled.requests,
            refusal=None if number else settled.refusal,
            whole=whole,
        )
        for number, claim in enumerate(parcel.claims)
    ]


def _lawful(outcome: Failed, claim: Claim) -> Outcome:
    if claim.doubtful:
        return InDoubt(outcome.code, f"{outcome.text}; an earlier attempt may have taken effect")
    return outcome
