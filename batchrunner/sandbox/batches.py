"""Requests about many profiles: taken apart into calls about one, and their answers put together again.

The shape is not documented for `import_and_start_batch`; its sisters have what is the same for all beside `data`, and
in `data` an item for each profile: `{"email": …, "data": {…}}` (wrapped) or `{"email": …, "_fname": …}` (flat).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import RefusalError

if TYPE_CHECKING:
    from batchrunner.sandbox.settings import Settings
    from batchrunner.sandbox.wire import Body

_SEARCH_FIELDS: Final = ("email", "phone", "profile_id", "field_value", "provider", "subscription_id")


def bodies_of(body: Body, settings: Settings) -> list[Body]:
    """One body for each profile, as a call about it alone would have it. Raises RefusalError(400)."""
    shared = {name: value for name, value in body.items() if name != "data"}
    items = body.get("data")
    if not isinstance(items, list) or not items:
        raise RefusalError(400, "data is not an array with items")
    return [{**shared, **_fields(item, settings.batch_item)} for item in items]


def _fields(item: object, wanted: str) -> Body:
    if not isinstance(item, dict):
        raise RefusalError(400, "data: an item is not an object")
    inner = item.get("data")
    wrapped = isinstance(inner, dict) or (set(item) <= {*_SEARCH_FIELDS, "data"} and wanted == "wrapped")
    if wanted not in ("any", "wrapped" if wrapped else "flat"):
        raise RefusalError(400, f"data: an item is not {wanted}")
    if not wrapped:
        return {**_search(item), "data": item}
    fields = inner if isinstance(inner, dict) else {}
    return {**_search(fields), **item, "data": fields}


def _search(fields: Body) -> Body:
    return {name: fields[name] for name in _SEARCH_FIELDS if name in fields}
