"""`/_sandbox/…`: looking into a running sandbox, and changing it. No token; bind to loopback only."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchrunner.sandbox.installation import Installation

PREFIX: Final = "/_sandbox/"
_PAGE: Final = 10_000
_SHORT_PAGE: Final = 100


def observe(installation: Installation, method: str, path: str, query: Mapping[str, str], raw: bytes) -> Reply:
    """Answer a request under `/_sandbox/`. What cannot be understood is answered 400, 404 or 405 with a sentence."""
    name = path.removeprefix(PREFIX)
    try:
        if method == "GET" and name in _VIEWS:
            return _json(200, _VIEWS[name](installation, query))
        if method == "POST" and name in _CHANGES:
            return _json(200, _CHANGES[name](installation, raw))
    except ValueError as error:
        return _json(400, {"error": str(error)})
    known = name in _VIEWS or name in _CHANGES
    return _json(405 if known else 404, {"error": f"{method} {path} does not exist"})


def _engagements(installation: Installation, query: Mapping[str, str]) -> dict[str, object]:
    store = installation.store
    count = len(store.engagements)
    if query.get("counts", "0") not in ("", "0"):
        imports = dict(store.imports_by_key)
        return {"count": count, "by_key": dict(store.engagements_by_key), "imports_by_key": imports}
    since, limit = _number(query, "since", 0), _number(query, "limit", _PAGE)
    # Sequence numbers count from 1, so the engagement after number n is at index n.
    return {"count": count, "engagements": list(map(dataclasses.asdict, store.engagements[since : since + limit]))}


def _profiles(installation: Installation, query: Mapping[str, str]) -> dict[str, object]:
    profiles = installation.store.profiles
    chosen = islice(profiles.values(), _number(query, "limit", _SHORT_PAGE))
    return {
        "count": len(profiles),
        "profiles": [
            {"id": profile.id, "data": profile.data, "subscriptions": list(profile.subscriptions.values())}
            for profile in chosen
        ],
    }


def _uploads(installation: Installation, _: Mapping[str, str]) -> dict[str, object]:
    return {"files": {str(key): file for key, file in installation.uploads.files.items()}}


def _stats(installation: Installation, _: Mapping[str, str]) -> dict[str, object]:
    memory = installation.memory
    return {**installation.stats.as_json(), "remembered": len(memory), "forgotten_early": memory.forgotten}


def _requests(installation: Installation, query: Mapping[str, str]) -> dict[str, object]:
    return {"requests": installation.log.last(_number(query, "limit", _SHORT_PAGE))}


def _settings(installation: Installation, _: Mapping[str, str]) -> dict[str, object]:
    return installation.settings.as_json()


def _change(installation: Installation, raw: bytes) -> dict[str, object]:
    changes = json.loads(raw)
    if not isinstance(changes, dict):
        msg = "settings are an object of names and values"
        raise ValueError(msg)  # noqa: TRY004 - answered as 400 like all else that is wrong with the body
    return installation.change(changes).as_json()


def _reset(installation: Installation, _: bytes) -> dict[str, object]:
    installation.reset()
    return {"reset": True}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        msg = f"{name} is {text!r}, expected a whole number from 0"
        raise ValueError(msg)
    return int(text)


def _json(status: int, value: dict[str, object]) -> Reply:
    return Reply(status, "application/json; charset=utf-8", json.dumps(value, ensure_ascii=True).encode())


_VIEWS: Final[dict[str, Callable[[Installation, Mapping[str, str]], dict[str, object]]]] = {
    "engagements": _engagements,
    "profiles": _profiles,
    "uploads": _uploads,
    "stats": _stats,
    "requests": _requests,
    "settings": _settings,
}
_CHANGES: Final[dict[str, Callable[[Installation, bytes], dict[str, object]]]] = {
    "reset": _reset,
    "settings": _change,
}
