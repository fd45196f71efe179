"""The calls of the platform that batchrunner speaks, as one table. Adding a call is one entry and its tests.

Each fact is marked as far as it is documented: `sure` says of the whole call

    documented   in the vendor's text for exactly this call
    sister       in the vendor's text for a sister call
    inferred     nowhere we could read: said by `check`, and adjustable in the job file
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from batchrunner.model import Value

Sure = Literal["documented", "sister", "inferred"]

BATCH_BYTES = 10_000_000
"""Of a request about many profiles, without files [documented]."""

FILES_BYTES = 100_000_000
"""Of a request with files in it [documented]. That both limits hold for requests about one profile, too: [sister]."""

BATCH_ROWS = 10_000
"""More in one request are not recommended [documented]."""

FLAGS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
"""Fields of the body that say how an import is done."""


class Endpoint(Value, frozen=True):
    """One call."""

    name: str
    """As `target.endpoint` has it: the path behind `/api/v1.1/`."""
    family: str
    """Calls of one family ask the same of the platform for a row, so a row that one of them did is done for all."""
    engages: bool
    """Somebody gets a message by it. Where not, it is an upsert: repeating it changes nothing."""
    takes: frozenset[str]
    """Of `data`, `content`, `attach` and the flags: the parts of `[request]` that it has a field for."""
    scenario: str | None = None
    """What it calls the field with the number of the scenario, or of the trigger campaign."""
    number: Literal["workflow_id", "trigger_id"] = "workflow_id"
    """The key of `[target]` that has that number."""
    tail: str = ""
    """Of its path, behind its name."""
    database: Literal["no", "may", "must"] = "no"
    """Whether it has the field `db_id`, and cannot do without."""
    item: Literal["wrapped", "flat"] | None = None
    """How a profile stands in a request about many, unless the job says otherwise; None: a request is about one."""
    alone: str = ""
    """Of a call about many: the call for a row that has `content` or `attach`, which a batch has no place for."""
    queued: bool = False
    """It is answered with the number of a task: accepted means queued, and there is no profile id."""
    sure: Sure = "documented"

    @property
    def path(self) -> str:
        """Of the URL."""
        return f"/api/v1.1/{self.name}{self.tail}"


_IMPORT = frozenset({"data", *FLAGS})
_MESSAGE = frozenset({"content", "attach"})

_ALL = (
    Endpoint(
        "workflows/import_and_start",
        family="workflows/import_and_start",
        engages=True,
        takes=_IMPORT | _MESSAGE,
        scenario="workflow_id",
    ),
    Endpoint(
        "workflows/import_and_start_batch",
        family="workflows/import_and_start",
        engages=True,
        takes=_IMPORT | _MESSAGE,
        scenario="workflow_id",
        item="wrapped",
        alone="workflows/import_and_start",
        sure="inferred",
    ),
    Endpoint(
        "workflows/import_and_start_batch_task",
        family="workflows/import_and_start",
        engages=True,
        takes=_IMPORT | _MESSAGE,
        scenario="workflow_id",
        item="wrapped",
        alone="workflows/import_and_start",
        queued=True,
        sure="inferred",
    ),
    Endpoint("workflows/start", family="workflows/start", engages=True, takes=_MESSAGE, scenario="id", sure="inferred"),
    Endpoint("profiles/import", family="profiles/import", engages=False, takes=_IMPORT, database="must"),
    Endpoint(
        "profiles/import_batch",
        family="profiles/import",
        engages=False,
        takes=_IMPORT,
        database="must",
        item="flat",
        alone="profiles/import",
        sure="sister",
    ),
    # The requests are documented; that they are answered as the calls above are, is not [sister]. Their batches answer
    # with a list of profile ids and no verdict for each row, so nothing could be laid to rows by them.
    Endpoint(
        "campaigns/triggers/import_and_start",
        family="campaigns/triggers/import_and_start",
        engages=True,
        takes=_IMPORT | _MESSAGE,
        scenario="trigger_id",
        number="trigger_id",
        sure="sister",
    ),
    Endpoint(
        "campaigns/triggers/start",
        family="campaigns/triggers/start",
        engages=True,
        takes=_MESSAGE,
        scenario="id",
        number="trigger_id",
        tail="/",
        sure="sister",
    ),
    Endpoint("profiles/update", family="profiles/update", engages=False, takes=_IMPORT, database="may", sure="sister"),
)

ENDPOINTS: Mapping[str, Endpoint] = {one.name: one for one in _ALL}
"""By name."""

DEFAULT = ENDPOINTS["workflows/import_and_start"]
"""Imports a profile and engages it in a scenario."""
