"""The two halves of `workflows/import_and_start` as calls of their own: `profiles/import`, and `workflows/start`.

{"matching": "email", "email": "a@example.com", "data": {…}, "content": {…}, "attach": […], "workflow_id": 12}
profiles/import   the search key, `data` and the flags, with the database's number
workflows/start   the profile id that the import has told, the scenario, `content` and `attach`
"""

from __future__ import annotations

import httpx
import msgspec

from batchrunner.api.requests import Api, Format, Target
from batchrunner.endpoints import ENDPOINTS
from batchrunner.model import Claim, Starting

IMPORT = ENDPOINTS["profiles/import"]
START = ENDPOINTS["workflows/start"]

_WHOLE = "workflow_id"
"""What the whole call, whose payloads these are, calls the scenario."""

_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class ImportApi(Api):
    """The first half."""

    def __init__(self, target: Target, token: str, db_id: int, form: Format = "json") -> None:
        """Raises ConfigError for an address or a token that can never be sent."""
        super().__init__(target, token, IMPORT, form)
        self._db_id = db_id

    def request_for(self, claim: Claim) -> httpx.Request:
        """The import of a claim, under the claim's Request-ID."""
        return self.said(import_part(claim.request.payload, self._db_id), claim.request_id)


class StartApi(Api):
    """The second half, for claims that have come so far."""

    def __init__(self, target: Target, token: str, form: Format = "json") -> None:
        """Raises ConfigError for an address or a token that can never be sent."""
        super().__init__(target, token, START, form)

    def request_for(self, claim: Claim) -> httpx.Request:
        """The start of a claim, under the claim's Request-ID."""
        if not isinstance(claim.step, Starting):
            raise TypeError("only a profile that was imported can be started")
        return self.said(start_part(claim.request.payload, claim.step.profile_id), claim.request_id)


def import_part(payload: bytes, db_id: int) -> bytes:
    """What `profiles/import` takes of a payload of the whole call. Canonical, as that is."""
    fields: dict[str, object] = {
        name: value for name, value in _fields_of(payload).items() if name not in START.takes | {_WHOLE}
    }
    return _encode({**fields, "db_id": db_id})


def start_part(payload: bytes, profile_id: str) -> bytes:
    """What `workflows/start` takes of it."""
    fields = _fields_of(payload)
    message: dict[str, object] = {name: fields[name] for name in START.takes if name in fields}
    return _encode({**message, str(START.scenario): fields[_WHOLE], "matching": "profile_id", "profile_id": profile_id})
