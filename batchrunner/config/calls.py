"""What a job asks for, held against the call that it makes: what would be refused is said before a row is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from pydantic_core import PydanticCustomError

from batchrunner.endpoints import ENDPOINTS, FLAGS

EndpointName = Literal[
    "workflows/import_and_start",
    "workflows/import_and_start_batch",
    "workflows/import_and_start_batch_task",
    "workflows/start",
    "profiles/import",
    "profiles/import_batch",
    "profiles/update",
]

_PARTS = ("data", "content", "attach", *FLAGS)
_WHY = {
    "data": "it imports nothing",
    "content": "it sends no message",
    "attach": "it sends no message",
}


class NamesCall(Protocol):
    """`[target]`, as far as it says which call is made."""

    @property
    def endpoint(self) -> EndpointName: ...  # noqa: D102
    @property
    def workflow_id(self) -> int | None: ...  # noqa: D102
    @property
    def db_id(self) -> int | None: ...  # noqa: D102


def check_numbers_of(target: NamesCall) -> None:
    """The numbers that the call wants are there, and no others. Raises PydanticCustomError."""
    call = ENDPOINTS[target.endpoint]
    wanted = {"workflow_id": "no" if call.scenario is None else "must", "db_id": call.database}
    for name, wish in wanted.items():
        context, given = {"name": name, "call": call.name}, getattr(target, name) is not None
        if wish == "must" and not given:
            raise PydanticCustomError("needs", "`{name}` is missing; {call} needs it", context)
        if wish == "no" and given:
            raise PydanticCustomError("needs", "`{name}` goes with other calls, {call} has none; remove it", context)


def check_parts(target: NamesCall, request: object) -> None:
    """The call has a field for each part of `[request]`. Raises PydanticCustomError."""
    call = ENDPOINTS[target.endpoint]
    for name in _PARTS:
        if name not in call.takes and getattr(request, name) not in (None, {}, ()):
            why = _WHY.get(name, "it imports nothing")
            sentence = "'request.{name}': {call} has no such field, because {why}; remove it, or change target.endpoint"
            raise PydanticCustomError("part", sentence, {"name": name, "call": call.name, "why": why})


class Asks(Protocol):
    """A job, as far as it says what is asked of the platform."""

    @property
    def target(self) -> NamesCall: ...  # noqa: D102
    @property
    def request(self) -> object: ...  # noqa: D102


def notes_on(job: Asks) -> Iterator[str]:
    """What a user should know of the call before relying on it, a sentence each."""
    call = ENDPOINTS[job.target.endpoint]
    alone = [name for name in ("content", "attach") if getattr(job.request, name)]
    if call.item is not None and alone and call.takes.issuperset(alone):
        yield (
            f"request.{' and request.'.join(alone)}: a batch has no place for it; rows that have it are sent one by "
            f"one, through {call.alone}"
        )
    if call.sure == "inferred":
        yield (
            f"target.endpoint: how {call.name} is asked is inferred, the vendor's text does not say it; "
            "send a few rows first (--limit 3), and look at what they did"
        )
    if call.sure == "sister":
        yield (
            f"target.endpoint: how {call.name} is asked is taken from a sister call of the vendor; "
            "send a few rows first (--limit 3), and look at what they did"
        )
