"""The recipe of keys: what they are made by, apart from the cells of their rows."""

from __future__ import annotations

import sys
from hashlib import blake2b
from importlib.metadata import version

from batchrunner.config import Job
from batchrunner.mapping.compiling import Compiler
from batchrunner.mapping.texts import mapping_text

_CONVERTERS = ("batchrunner", "email-validator", "msgspec", "phonenumbers")
"""What may make something else of a cell in another version."""


def recipe_of(job: Job) -> bytes | None:
    """16 bytes: with equal recipes, equal cells in equal columns have equal keys.

    None where a key follows from more than that: from the number of the row, from a file that a cell names, or from
    what the machine knows of time zones.
    """
    compiler = Compiler(job)
    compiler.plan()
    if job.rules.repeat == "file" or compiler.looks_elsewhere:
        return None
    made = blake2b(digest_size=16, person=b"batchrunner.recp")
    versions = [sys.version, *map(version, _CONVERTERS)]
    for text in (mapping_text(job), job.target.keyed_as, job.target.format, *versions):
        said = text.encode()
        made.update(len(said).to_bytes(8, "big") + said)
    return made.digest()
