"""The Altcraft HTTP API: how a claim is said, and what an answer means. Nothing here sends anything.

Which calls there are is the table in `endpoints`; the first is `POST /api/v1.1/workflows/import_and_start`: import a
profile and engage it in a scenario. HTTP status and
the body's `error` are two separate verdicts; a row is accepted only if the status is 2xx, the body parses, and
`error` is 0. Whatever cannot be trusted is in doubt; that it had no effect has to be certain before we say so.
"""

from __future__ import annotations

from batchrunner.api.answers import LARGEST_ANSWER_BYTES, LONGEST_TEXT, read_answer
from batchrunner.api.codes import ERROR_CODES, ErrorCode, Kind
from batchrunner.api.exceptions import EXCEPTIONS, read_exception
from batchrunner.api.parcels import Items, ParcelApi, read_answer_about
from batchrunner.api.requests import PATH, Api, Preview
from batchrunner.api.steps import ImportApi, StartApi

__all__ = [
    "ERROR_CODES",
    "EXCEPTIONS",
    "LARGEST_ANSWER_BYTES",
    "LONGEST_TEXT",
    "PATH",
    "Api",
    "ErrorCode",
    "ImportApi",
    "Items",
    "Kind",
    "ParcelApi",
    "Preview",
    "StartApi",
    "read_answer",
    "read_answer_about",
    "read_exception",
]
