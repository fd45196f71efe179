"""How a profile is looked up: the matching modes as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.answers import RefusalError

if TYPE_CHECKING:
    from batchrunner.sandbox.wire import Body

Key = tuple[str, ...]
"""An entry of the index: a namespace such as "email" or "phone_sub", and the value."""


@dataclass(frozen=True, slots=True)
class Search:
    """Which index entries are looked at, and the search value as it was sent."""

    value: str
    keys: tuple[Key, ...]
    creates: bool = True


def read_search(body: Body) -> Search:
    """The search that a body asks for. Raises RefusalError(400)."""
    mode = body.get("matching")
    if not isinstance(mode, str) or mode not in _MODES:
        raise RefusalError(400, "matching is missing" if mode is None else "matching is not a known mode")
    return _MODES[mode](body)


def email_key(namespace: str, value: str) -> Key:
    """The index entry of an e-mail address. Case does not tell people apart (not documented; mail systems agree)."""
    return (namespace, value.strip().lower())


def _email(*namespaces: str) -> Callable[[Body], Search]:
    def read(body: Body) -> Search:
        value = _text(body, "email")
        return Search(value, tuple(email_key(name, value) for name in namespaces))

    return read


def _phone(*namespaces: str) -> Callable[[Body], Search]:
    def read(body: Body) -> Search:
        value = _text(body, "phone")
        return Search(value, tuple((name, value) for name in namespaces))

    return read


def _both(by_email: Callable[[Body], Search], by_phone: Callable[[Body], Search]) -> Callable[[Body], Search]:
    def read(body: Body) -> Search:
        parts = [by(body) for name, by in (("email", by_email), ("phone", by_phone)) if name in body]
        if not parts:
            raise RefusalError(400, "email and phone are both missing")
        return Search(", ".join(part.value for part in parts), tuple(key for part in parts for key in part.keys))

    return read


def _profile_id(body: Body) -> Search:
    value = _text(body, "profile_id")
    return Search(value, (("id", value),), creates=False)


def _field(namespace: str) -> Callable[[Body], Search]:
    def read(body: Body) -> Search:
        name, value = _text(body, "field_name"), body.get("field_value")
        if not isinstance(value, int) or isinstance(value, bool):
            value = _text(body, "field_value")
        return Search(str(value), ((namespace, name, str(value)),))

    return read


def _push(body: Body) -> Search:
    provider, subscription = _text(body, "provider"), _text(body, "subscription_id")
    return Search(subscription, (("push", provider, subscription),))


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RefusalError(400, f"{name} is missing or empty")
    return value


_MODES: Final[dict[str, Callable[[Body], Search]]] = {
    "email": _email("email", "email_sub"),
    "email_profile": _email("email"),
    "email_sub": _email("email_sub"),
    "phone": _phone("phone", "phone_sub"),
    "phone_sub": _phone("phone_sub"),
    "profile_id": _profile_id,
    "custom": _field("field"),
    "custom_sub": _field("cc"),
    "push_sub": _push,
    "email_phone": _both(_email("email", "email_sub"), _phone("phone", "phone_sub")),
    "email_phone_sub": _both(_email("email_sub"), _phone("phone_sub")),
}
