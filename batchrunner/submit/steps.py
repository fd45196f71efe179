"""Claims in, by the step that each is at: what engages somebody goes one way, what only imports another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrunner.model import Claim, Importing, Settled, Updating
from batchrunner.ports import Durable, durable_of

if TYPE_CHECKING:
    from batchrunner.ports import Submitter
    from batchrunner.retrying import RetryPolicy
    from batchrunner.submit.submitter import HttpSubmitter, SpeaksApi


class StepSubmitter:
    """A submitter in front of the one for requests that engage somebody: it sees to the imports."""

    def __init__(self, http: HttpSubmitter, engaging: Submitter, importing: SpeaksApi, policy: RetryPolicy) -> None:
        """Imports go through `http` in words and by a policy of their own; `engaging` closes it in the end."""
        self._http = http
        self._engaging = engaging
        self._importing = importing
        self._policy = policy

    async def submit(self, claim: Claim) -> Settled:
        """Send a claimed request until it is settled."""
        if isinstance(claim.step, Importing | Updating):
            return await self._http.submit(claim, self._importing, self._policy)
        return await self._engaging.submit(claim)

    @property
    def durable(self) -> Durable | None:
        """See the other one."""
        return durable_of(self._engaging)

    def drain(self) -> None:
        """Send nothing from now on."""
        self._engaging.drain()

    async def aclose(self) -> None:
        """Close connections."""
        await self._engaging.aclose()
