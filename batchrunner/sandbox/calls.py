"""One call about one profile, checked field by field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import RefusalError
from batchrunner.sandbox.matching import Search, read_search

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from batchrunner.sandbox.methods import Method
    from batchrunner.sandbox.settings import Settings
    from batchrunner.sandbox.wire import Body

_CHANNELS: Final = frozenset({"email", "sms", "push", "notify", "viber", "whatsapp", "telegram_bot"})
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for one profile. `subscriptions` are valid and no longer part of `data`."""

    method: Method
    workflow_id: int | None
    search: Search
    data: Body
    subscriptions: tuple[Body, ...]
    content: Body
    attached: tuple[str, ...]


def read_call(body: Body, settings: Settings, method: Method, uploaded: Container[object] = ()) -> Call:
    """Check a body against the documentation. Raises RefusalError with 400, 404 or 413.

    `uploaded` are the keys of files that are here already.
    """
    _check_fields(body, _FIELDS)
    workflow_id = None if method.scenario is None else _scenario(body, method.scenario, settings)
    if method.database and not _is_number(body.get("db_id")):
        raise RefusalError(400, "db_id is missing or not a positive whole number")
    search = read_search(body)
    if not method.imports:
        return Call(
            method, workflow_id, search, {}, (), _object(body, "content"), _attached(body.get("attach"), uploaded)
        )
    data = dict(_object(body, "data"))
    skip = body.get("skip_invalid_subscriptions") is True
    subscriptions = _subscriptions(data.pop("subscriptions", None), settings, skip=skip)
    _check_fields(data, _DATA_FIELDS)
    content, attached = _object(body, "content"), _attached(body.get("attach"), uploaded)
    return Call(method, workflow_id, search, data, subscriptions, content, attached)


def _scenario(body: Body, name: str, settings: Settings) -> int:
    workflow_id = body.get(name)
    if not isinstance(workflow_id, int) or not _is_number(workflow_id):
        raise RefusalError(400, f"{name} is missing or not a positive whole number")
    if settings.workflow_ids is not None and workflow_id not in settings.workflow_ids:
        raise RefusalError(404, f"workflow {workflow_id}")
    return workflow_id


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    if value is None or value == "":  # an empty XML element is an empty object
        return {}
    if not isinstance(value, dict):
        raise RefusalError(400, f"{name} is not an object")
    return value


def _subscriptions(value: object, settings: Settings, *, skip: bool) -> tuple[Body, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RefusalError(400, "data.subscriptions is not an array")
    valid: list[Body] = []
    for subscription in value:
        wrong = _wrong_with(subscription)
        if wrong is None:
            valid.append(subscription)
        elif not skip:
            raise RefusalError(400, f"data.subscriptions: {wrong}")
    _check_resources(valid, settings)
    return tuple(valid)


def _wrong_with(subscription: object) -> str | None:
    if not isinstance(subscription, dict):
        return "an item is not an object"
    for name, fits in _SUBSCRIPTION_FIELDS.items():
        if name in subscription and not fits(subscription[name]):
            return f"{name} is not valid"
    return None if address_of(subscription) else "an item has no address"


def _check_resources(subscriptions: list[Body], settings: Settings) -> None:
    for subscription in subscriptions:
        known = settings.resource_ids is None or subscription.get("resource_id") in settings.resource_ids
        if not known:
            raise RefusalError(413, f"resource {subscription.get('resource_id')}")


def address_of(subscription: Body) -> tuple[str, ...] | None:
    """The index entry that a subscription makes: where it sends to, None if nowhere."""
    email = email_of(subscription)
    if email:
        return ("email_sub", email.strip().lower())
    if subscription.get("phone"):
        return ("phone_sub", str(subscription["phone"]))
    if subscription.get("subscription_id") and subscription.get("provider"):
        return ("push", str(subscription["provider"]), str(subscription["subscription_id"]))
    channel_data = subscription.get("cc_data")
    if isinstance(channel_data, dict) and channel_data:
        name, value = next(iter(channel_data.items()))
        return ("cc", name, str(value))
    return None


def email_of(subscription: Body) -> str | None:
    """The address of an e-mail subscription, flat or nested as `email_data: {email}`."""
    nested = subscription.get("email_data")
    value = subscription.get("email") or (nested.get("email") if isinstance(nested, dict) else None)
    return value if isinstance(value, str) else None


def _attached(value: object, uploaded: Container[object]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RefusalError(400, "attach is not an array")
    return tuple(_attachment_name(item, uploaded) for item in value)


def _attachment_name(item: object, uploaded: Container[object]) -> str:
    if not isinstance(item, dict):
        raise RefusalError(400, "attach: an item is not an object")
    key = "file_key" if "file_key" in item else "flie_key"  # one page of the documentation misspells it
    # A file that was uploaded is named by its key, and does not come along.
    content = () if item.get(key) in uploaded else ("data",)
    for name in ("name", key, *content, "mimetype"):
        if not isinstance(item.get(name), str) or not item[name]:
            raise RefusalError(400, f"attach: {name} is missing or empty")
    return str(item["name"])


def _check_fields(values: Body, rules: dict[str, Callable[[object], bool]]) -> None:
    for name, fits in rules.items():
        if name in values and not fits(values[name]):
            raise RefusalError(400, f"{name} is not valid")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _is_email(value: object) -> bool:
    return isinstance(value, str) and bool(_EMAIL.fullmatch(value))


def _is_email_data(value: object) -> bool:
    return isinstance(value, dict) and _is_email(value.get("email"))


def _is_ip(value: object) -> bool:
    try:
        IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _or_null(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


_FIELDS: Final[dict[str, Callable[[object], bool]]] = {
    "format": lambda value: value in ("json", "xml"),
    "skip_triggers": _is_bool,
    "skip_invalid_subscriptions": _is_bool,
    "detect_geo": _is_bool,
}

# `_sex` is left alone: the pages of the documentation disagree about it.
_DATA_FIELDS: Final[dict[str, Callable[[object], bool]]] = {
    "phones": _or_null(_is_texts),
    "_ip": _or_null(_is_ip),
    "_regip": _or_null(_is_ip),
    "_status": _or_null(_is_integer),
    "_postal_code": _or_null(lambda value: _is_text(value) or _is_integer(value)),
} | {
    name: _or_null(_is_text)
    for name in (
        *("email", "_fname", "_lname", "_vendor", "_tz", "_browser", "_bdate", "_regdate"),
        *("_city", "_regcity", "_region", "_country", "_regcountry", "_regurl"),
    )
}

_SUBSCRIPTION_FIELDS: Final[dict[str, Callable[[object], bool]]] = {
    "channel": lambda value: isinstance(value, str) and value in _CHANNELS,
    "resource_id": _is_integer,
    "email": _is_email,
    "email_data": _is_email_data,
    "phone": _is_text,
    "provider": _is_text,
    "subscription_id": _is_text,
    "cc_data": _is_object,
    "status": _is_text,
    "priority": _is_integer,
    "custom_fields": _is_object,
    "cats": _is_texts,
}
