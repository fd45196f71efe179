"""The platform's database, in memory: profiles found by index, and the record of engagements."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrunner.sandbox.answers import RefusalError
from batchrunner.sandbox.calls import address_of
from batchrunner.sandbox.matching import Key, email_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrunner.sandbox.calls import Call
    from batchrunner.sandbox.matching import Search
    from batchrunner.sandbox.wire import Body

_ID_PREFIX = 0x5EEB54A2  # looks like the ids of the documentation: 8 digits of time, then 16 that count
_AMBIGUOUS = 2


@dataclass(slots=True)
class Profile:
    """One person. `subscriptions` by channel, resource and address."""

    id: str
    data: Body = field(default_factory=dict)
    subscriptions: dict[tuple[object, ...], Body] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engagement:
    """One start of a scenario for one profile: a message on its way. `sequence` counts from 1."""

    sequence: int
    profile_id: str
    workflow_id: int
    request_id: str | None
    key: str
    content: Body
    attached: tuple[str, ...]
    created: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call has done."""

    profile_id: str
    created: bool


class Store:
    """Profiles and engagements. Every lookup is by index; nothing is scanned, however many profiles there are."""

    def __init__(self) -> None:
        self.profiles: dict[str, Profile] = {}
        self.engagements: list[Engagement] = []
        self.engagements_by_key: Counter[str] = Counter()
        self.imports_by_key: Counter[str] = Counter()
        self._index: dict[Key, tuple[str, ...]] = {}
        self._watched: set[str] = set()

    def carry_out(self, call: Call, request_id: str | None) -> Effect:
        """Import the profile and engage it, as the call says. Raises RefusalError(404 or 435) with no effect."""
        profile = self._find(call.search, creates=call.method.creates and call.search.creates)
        created = profile is None
        profile = profile or self._create()
        if call.method.imports:
            self._update(profile, call)
            self.imports_by_key[call.search.value] += 1
        if call.workflow_id is not None:
            self._engage(profile, call, call.workflow_id, request_id, created=created)
        return Effect(profile.id, created)

    def _engage(self, profile: Profile, call: Call, workflow_id: int, request_id: str | None, *, created: bool) -> None:
        engagement = Engagement(
            len(self.engagements) + 1,
            profile.id,
            workflow_id,
            request_id,
            call.search.value,
            call.content,
            call.attached,
            created,
        )
        self.engagements.append(engagement)
        self.engagements_by_key[engagement.key] += 1

    def _find(self, search: Search, *, creates: bool) -> Profile | None:
        found = {identifier for key in search.keys for identifier in self._lookup(key)}
        if len(found) >= _AMBIGUOUS:
            raise RefusalError(435, f"{len(found)} profiles")
        if not found and not creates:
            raise RefusalError(404, "profile")
        return self.profiles[found.pop()] if found else None

    def _lookup(self, key: Key) -> tuple[str, ...]:
        if key[0] == "id":
            return (key[1],) if key[1] in self.profiles else ()
        if key[0] == "field":
            self._watch(key[1])
        return self._index.get(key, ())

    def _watch(self, name: str) -> None:
        """Index a custom field from its first use as a search key on: one pass, once per field name."""
        if name in self._watched:
            return
        self._watched.add(name)
        for profile in self.profiles.values():
            for key in _field_keys(profile, {name}):
                self._add(key, profile.id)

    def _create(self) -> Profile:
        profile = Profile(f"{_ID_PREFIX:08x}{len(self.profiles) + 1:016x}")
        self.profiles[profile.id] = profile
        return profile

    def _update(self, profile: Profile, call: Call) -> None:
        before = set(self._keys(profile)) if profile.data or profile.subscriptions else set()
        profile.data.update(call.data)
        for subscription in call.subscriptions:
            name = (subscription.get("channel"), subscription.get("resource_id"), address_of(subscription))
            profile.subscriptions[name] = {**profile.subscriptions.get(name, {}), **subscription}
        after = set(self._keys(profile))
        for key in before - after:
            self._remove(key, profile.id)
        for key in after - before:
            self._add(key, profile.id)

    def _keys(self, profile: Profile) -> Iterator[Key]:
        email, phones = profile.data.get("email"), profile.data.get("phones")
        if isinstance(email, str) and email:
            yield email_key("email", email)
        if isinstance(phones, list):
            yield from (("phone", phone) for phone in phones)
        for subscription in profile.subscriptions.values():
            address = address_of(subscription)
            if address:
                yield address
        yield from _field_keys(profile, self._watched)

    def _add(self, key: Key, identifier: str) -> None:
        self._index[key] = (*self._index.get(key, ()), identifier)

    def _remove(self, key: Key, identifier: str) -> None:
        rest = tuple(other for other in self._index.get(key, ()) if other != identifier)
        if rest:
            self._index[key] = rest
        else:
            self._index.pop(key, None)


def _field_keys(profile: Profile, names: set[str]) -> Iterator[Key]:
    for name in names:
        value = profile.data.get(name)
        if isinstance(value, list):  # tags are searched as "tag-1, tag-2"
            yield ("field", name, ", ".join(map(str, value)))
        elif isinstance(value, str | int) and value != "":
            yield ("field", name, str(value))
