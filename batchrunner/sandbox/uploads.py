"""`file_upload`: files by the keys that they were given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import RefusalError

if TYPE_CHECKING:
    from batchrunner.sandbox.wire import Body

_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,(?P<content>[A-Za-z0-9+/=]+)")


class Uploads:
    """The files that are here, by key: their names and a digest of what is in them."""

    def __init__(self) -> None:
        self.files: dict[object, dict[str, object]] = {}

    def take(self, body: Body) -> str:
        """Keep a file and give it a key, a new one each time. Raises RefusalError(400)."""
        name, data = body.get("header"), body.get("data")
        if not isinstance(name, str) or not name:
            raise RefusalError(400, "header is missing or empty")
        found = _DATA_URL.fullmatch(data) if isinstance(data, str) else None
        if found is None:
            raise RefusalError(400, "data is not a base64 data URL")
        try:
            content = base64.b64decode(found["content"], validate=True)
        except binascii.Error:
            raise RefusalError(400, "data is not base64") from None
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{len(self.files)}"))
        self.files[key] = {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return key
