"""Values inside JSON cells, addressed by a path: `contact.email`, `phones.0`. Texts stay as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_arrays = msgspec.json.Decoder(list[msgspec.Raw])

MOST_PATHS = 1_000
"""Told of one source: an object that is used as a map would otherwise make a column of every key in the file."""


def text_of(raw: msgspec.Raw) -> str:
    """A JSON value as a cell: strings as they read, null as nothing, everything else as it is written."""
    text = bytes(raw).decode()
    if text == "null":
        return ""
    if text.startswith('"'):
        return msgspec.json.decode(text, type=str)
    return text


def text_at(cell: str, path: Sequence[str]) -> str:
    """What stands at a path inside a cell; empty where the path leads nowhere."""
    found = _at(cell.encode(), path) if cell.startswith(("{", "[")) else None
    return "" if found is None else text_of(found)


def paths_in(cell: str) -> Iterator[str]:
    """Every path that leads somewhere inside a cell, the outer ones first."""
    if cell.startswith(("{", "[")):
        yield from _paths(cell.encode(), "")


def split_path(column: str) -> Iterator[tuple[str, list[str]]]:
    """Each way to read a column's name as another one's and a path inside its cells, the longest name first."""
    parts = column.split(".")
    for count in range(len(parts) - 1, 0, -1):
        yield ".".join(parts[:count]), parts[count:]


def _at(text: bytes | msgspec.Raw, path: Sequence[str]) -> msgspec.Raw | None:
    members = _members(text)
    for count in range(1, len(path) + 1):  # keys may have dots in them
        found = members.get(".".join(path[:count]))
        if found is None:
            continue
        if count == len(path):
            return found
        if (deeper := _at(found, path[count:])) is not None:
            return deeper
    return None


def _paths(text: bytes | msgspec.Raw, before: str) -> Iterator[str]:
    members = _members(text)
    yield from (f"{before}{name}" for name in members)
    for name, raw in members.items():
        if _first(raw) in (b"{", b"["):
            yield from _paths(raw, f"{before}{name}.")


def _members(text: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The values of an object by key, or of an array by place; none in what is neither."""
    first = _first(text)
    try:
        if first == b"{":
            return _objects.decode(text)
        if first == b"[":
            return {str(place): raw for place, raw in enumerate(_arrays.decode(text))}
    except (msgspec.MsgspecError, RecursionError):  # a text that only looks like JSON
        pass
    return {}


def _first(text: bytes | msgspec.Raw) -> bytes:
    return bytes(memoryview(text)[:1])
