"""The calls that the platform has, as a table: what each does with a body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import RefusalError

if TYPE_CHECKING:
    from batchrunner.sandbox.observing import Incoming

_PREFIX: Final = "/api/v1.1/"


@dataclass(frozen=True, slots=True)
class Method:
    """One call. `scenario` is the field that names the scenario to engage in, None where nobody is engaged."""

    imports: bool = True
    creates: bool = True
    scenario: str | None = None
    database: bool = False
    many: bool = False
    """It is about many profiles, each with an answer of its own."""
    queued: bool = False
    """It is answered with the number of a task."""
    uploads: bool = False
    """It takes a file, and nothing of a profile."""
    lists: bool = False
    """It tells of scenarios."""


METHODS: Final[dict[str, Method]] = {
    "workflows/import_and_start": Method(scenario="workflow_id"),
    "workflows/import_and_start_batch": Method(scenario="workflow_id", many=True),
    "workflows/import_and_start_batch_task": Method(scenario="workflow_id", many=True, queued=True),
    "workflows/start": Method(imports=False, creates=False, scenario="id"),
    "profiles/import": Method(database=True),
    "profiles/import_batch": Method(database=True, many=True),
    "profiles/update": Method(creates=False),
    "campaigns/triggers/import_and_start": Method(scenario="trigger_id"),
    "campaigns/triggers/start/": Method(imports=False, creates=False, scenario="id"),
    "workflows/list": Method(imports=False, creates=False, lists=True),
    "file_upload": Method(imports=False, creates=False, uploads=True),
}


def method_of(incoming: Incoming) -> Method:
    """The method that a request asks for. Raises RefusalError(501)."""
    method = METHODS.get(incoming.path.removeprefix(_PREFIX))
    if method is None or incoming.method != "POST" or not incoming.path.startswith(_PREFIX):
        raise RefusalError(501, f"{incoming.method} {incoming.path}")
    return method
