"""What XML cannot say, told before a row is read: names that are no element's, null, and values of any shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Cell, Empty, Node

_NAME = re.compile(r"(?!xml)[^\W\d][\w.-]*", re.IGNORECASE)


class EmptyRule(Protocol):
    """`[rules]`, as far as it says what an empty cell becomes."""

    @property
    def empty(self) -> Empty: ...  # noqa: D102


def check_for_xml(request: object, rules: EmptyRule) -> None:
    """Raises PydanticCustomError with the first thing that XML cannot say."""
    if rules.empty == "null":
        raise _error("rules.empty", 'XML has no null; write "omit" or "keep"')
    for part in ("email", "phone", "profile_id", "field_value", "provider", "subscription_id", "data", "content"):
        for key, complaint in _complaints(f"request.{part}", getattr(request, part)):
            raise _error(key, complaint)
    for key, complaint in _complaints("request.attach", tuple(getattr(request, "attach", ()))):
        raise _error(key, complaint)


def _complaints(key: str, node: Node) -> Iterator[tuple[str, str]]:
    match node:
        case Cell():
            if node.as_ == "json":
                yield key, 'as = "json" may give names that no XML element can have; write its fields out'
            if node.empty == "null":
                yield key, 'XML has no null; write empty = "omit" or "keep"'
        case Mapping():
            for name, part in node.items():
                if not _NAME.fullmatch(name):
                    yield f"{key}.{name}", 'no XML element can have this name; set target.format = "json"'
                yield from _complaints(f"{key}.{name}", part)
        case tuple():
            for number, part in enumerate(node):
                yield from _complaints(f"{key}[{number}]", part)


def _error(key: str, complaint: str) -> PydanticCustomError:
    return PydanticCustomError("for_xml", "'{key}': {complaint}", {"key": key, "complaint": complaint})
