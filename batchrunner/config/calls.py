"""What a job asks for, held against the call that it makes: what would be refused is said before a row is read."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic_core import PydanticCustomError

from batchrunner.endpoints import DEFAULT, ENDPOINTS, FLAGS

EndpointName = Literal[
    "workflows/import_and_start",
    "workflows/import_and_start_batch",
    "workflows/import_and_start_batch_task",
    "workflows/start",
    "profiles/import",
    "profiles/import_batch",
    "profiles/update",
    "campaigns/triggers/import_and_start",
    "campaigns/triggers/start",
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
    def trigger_id(self) -> int | None: ...  # noqa: D102
    @property
    def db_id(self) -> int | None: ...  # noqa: D102


def check_numbers_of(target: NamesCall) -> None:
    """The numbers that the call wants are there, and no others. Raises PydanticCustomError."""
    call = ENDPOINTS[target.endpoint]
    # Whether the default call wants the database depends on more than `[target]`: see `check_steps`.
    database = "may" if call == DEFAULT else call.database
    wanted = {"workflow_id": "no", "trigger_id": "no", "db_id": database}
    if call.scenario is not None:
        wanted[call.number] = "must"
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
