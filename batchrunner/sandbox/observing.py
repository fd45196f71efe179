"""What a sandbox saw: counts, and the last raw requests with their tokens masked."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MASK: Final = "***"
_BODY_TOKEN: Final = re.compile(r"""("token"\s*:\s*")(?:[^"\\]|\\.)*(")|(<token>)[^<]*(</token>)""")
_KEPT_BODY_BYTES: Final = 65_536  # attachments may make bodies of 100 MB


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    arrived_s: float = field(default_factory=time.monotonic)
    """On a clock that never goes backwards, the same for all processes of a machine."""


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self, keep: int) -> None:
        self._kept: deque[Incoming] = deque(maxlen=keep)

    def note(self, incoming: Incoming) -> None:
        """Keep a request, pushing out the oldest."""
        if len(incoming.raw) > _KEPT_BODY_BYTES:
            incoming = replace(incoming, raw=incoming.raw[:_KEPT_BODY_BYTES])
        self._kept.append(incoming)

    def last(self, limit: int) -> list[dict[str, object]]:
        """The last requests as JSON values, the newest last."""
        chosen = list(self._kept)[-limit:] if limit else []
        return [_as_json(incoming) for incoming in chosen]

    def resized(self, keep: int) -> RequestLog:
        """The same log with another size."""
        log = RequestLog(keep)
        log._kept.extend(self._kept)
        return log


class Stats:
    """Counts since the start or the last reset. The two gauges of what is in flight survive a reset."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._flying: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Count from zero."""
        self.requests = 0
        self.effects = 0
        self.profiles_created = 0
        self.replays = 0
        self.repeats_with_other_body = 0
        self.by_code: Counter[int] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.rate_limited = 0
        self.max_in_flight = self._in_flight
        self.max_in_flight_per_identity = max(self._flying.values(), default=0)

    def arrived(self) -> None:
        """A call of the API begins."""
        self.requests += 1
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)

    def left(self) -> None:
        """A call of the API is over."""
        self._in_flight -= 1

    def identified(self, identity: str) -> None:
        """The call turned out to be about this person; "" is nobody."""
        if not identity:
            return
        self._flying[identity] += 1
        self.max_in_flight_per_identity = max(self.max_in_flight_per_identity, self._flying[identity])

    def released(self, identity: str) -> None:
        """The call about this person is over."""
        if not identity:
            return
        self._flying[identity] -= 1
        if not self._flying[identity]:
            del self._flying[identity]

    def as_json(self) -> dict[str, object]:
        """All counts as JSON values."""
        return {
            "requests": self.requests,
            "effects": self.effects,
            "profiles_created": self.profiles_created,
            "replays": self.replays,
            "repeats_with_other_body": self.repeats_with_other_body,
            "by_code": {str(code): count for code, count in sorted(self.by_code.items())},
            "by_fault": dict(sorted(self.by_fault.items())),
            "rate_limited": self.rate_limited,
            "in_flight": self._in_flight,
            "max_in_flight": self.max_in_flight,
            "max_in_flight_per_identity": self.max_in_flight_per_identity,
        }


def _as_json(incoming: Incoming) -> dict[str, object]:
    return {
        "arrived_s": incoming.arrived_s,
        "method": incoming.method,
        "path": incoming.path,
        "headers": dict(_masked_headers(incoming.headers)),
        "body": _BODY_TOKEN.sub(rf"\1\3{_MASK}\2\4", incoming.raw.decode(errors="replace")),
    }


def _masked_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        scheme, space, _ = value.partition(" ")
        masked = f"{scheme} {_MASK}" if space else _MASK
        yield name, masked if name.lower() == "authorization" else value
