"""`file_upload`: a file goes to the platform once, and gets a key by which rows name it. Pure.

Documented: a name (`header`) and the content as a data: URL; the answer holds `data.file`. That this is what `attach`
takes as `file_key` is inferred from the names.
"""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from uuid import uuid4

import httpx
import msgspec

from batchrunner.api.answers import read_answer
from batchrunner.api.exceptions import read_exception
from batchrunner.api.probes import Target, probe_request
from batchrunner.model import Accepted
from batchrunner.retrying import Answered, Doubtful, Verdict

CALL = "file_upload"

REPEATABLE = "batchrunner.repeatable"
"""An extension of a request that belongs to no row: nothing is lost with its answer."""


class _Said(msgspec.Struct):
    """The part of the answer with the key."""

    file: str


class _Answer(msgspec.Struct):
    """The documented answer."""

    error: int
    data: _Said


_read = msgspec.json.Decoder(_Answer).decode


def upload_request(target: Target, token: str, name: str, content: bytes, request_id: str) -> httpx.Request:
    """The request that uploads a file. Sending it again makes a second copy, and does no other harm."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    data = f"data:{kind};base64,{b64encode(content).decode('ascii')}"
    ids = (("Request-ID", request_id), ("X-Request-ID", request_id))
    request = probe_request(target, token, CALL, {"header": name, "data": data}, ids)
    request.extensions = {**request.extensions, REPEATABLE: True}
    return request


class UploadApi:
    """`file_upload` at one address, with one token."""

    def __init__(self, target: Target, token: str) -> None:
        """Nothing is sent by it."""
        self._target = target
        self._token = token

    def request_for(self, name: str, content: bytes) -> httpx.Request:
        """The request that uploads a file, under an id of its own."""
        return upload_request(self._target, self._token, name, content, str(uuid4()))

    def read_answer(self, response: httpx.Response) -> Verdict:
        """See `read_upload`."""
        return read_upload(response)

    def read_exception(self, error: Exception) -> Verdict:
        """See `exceptions`."""
        return read_exception(error)


def read_upload(response: httpx.Response) -> Verdict:
    """What an answer means: Accepted holds the key of the file."""
    verdict = read_answer(response)
    if not isinstance(verdict, Answered) or not isinstance(verdict.outcome, Accepted):
        return verdict
    try:
        key = _read(response.read()).data.file
    except msgspec.MsgspecError:
        key = ""
    if not key or not key.isascii() or not key.isprintable() or '"' in key or "\\" in key:
        return Doubtful("unparsable", "the answer to an upload holds no key of a file")
    return Answered(Accepted(key))
