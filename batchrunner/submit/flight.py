"""The short way of a claim: out on a line that is open, and back by a callback.

Nearly every row goes so once there are connections. A task, a future and another turn of the loop would cost a fifth of
a request, and the next one would leave so much later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx

    from batchrunner.model import Claim
    from batchrunner.ports import Landing
    from batchrunner.retrying import Verdict
    from batchrunner.submit.lines import Hearer


class Way(Protocol):
    """What a request has left by."""

    def give_up(self, hearer: Hearer) -> None:
        """Nobody waits for this answer any more."""
        ...


Post = Callable[["httpx.Request", "Hearer"], Way | None]
"""Sends a request without waiting, and gives what it has left by. None, or an exception: nothing was sent."""


def post_of(transport: object) -> Post | None:
    """How a transport sends without waiting, where it can."""
    post: Post | None = getattr(transport, "post", None)
    return post


class Reads(Protocol):
    """What a flight asks of the API room."""

    def read_answer(self, response: httpx.Response) -> Verdict:
        """What an answer that was read to its end means."""
        ...

    def read_exception(self, error: Exception) -> Verdict:
        """What it means that no answer could be read."""
        ...


class Flight:
    """One request of one claim. `came` is told what it came to, once."""

    __slots__ = ("_api", "_came", "_overdue", "claim", "landing", "started_s", "way")

    def __init__(  # noqa: PLR0913, PLR0917  made for every row
        self,
        claim: Claim,
        landing: Landing,
        started_s: float,
        api: Reads,
        came: Callable[[Flight, Verdict], None],
        overdue: Verdict,
    ) -> None:
        """About to leave. `overdue` is what it comes to when its time is up."""
        self.claim = claim
        self.landing = landing
        self.started_s = started_s
        self._api = api
        self._came = came
        self._overdue = overdue
        self.way: Way | None = None

    def answered(self, answer: httpx.Response) -> None:
        """There is an answer."""
        try:
            verdict = self._api.read_answer(answer)
        except Exception as error:  # noqa: BLE001  an edge: whatever happens once a byte may have left is a verdict
            verdict = self._api.read_exception(error)
        self._came(self, verdict)

    def failed(self, error: httpx.TransportError) -> None:
        """There will be none."""
        self._came(self, self._api.read_exception(error))

    def cancel(self) -> None:
        """Its time is up."""
        if self.way is not None:
            self.way.give_up(self)
        self._came(self, self._overdue)
