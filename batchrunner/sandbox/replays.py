"""Recognised repeats: the memory of Request-IDs and the answers they got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchrunner.sandbox.answers import Reply


@dataclass(slots=True)
class _Entry:
    started_s: float
    fingerprint: int
    reply: Reply | None = None
    waiting: asyncio.Future[Reply] | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """What came of a call: its reply, whether it was replayed, and whether the repeat carried another body."""

    reply: Reply
    replayed: bool = False
    other_body: bool = False


class ReplayMemory:
    """Request-IDs within their window, oldest first.

    The window counts from the first request with an id. What happens to a repeat while the first is still being
    executed is not documented; here it waits and gets the first one's answer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.forgotten = 0
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def once(
        self, request_id: str, fingerprint: int, execute: Callable[[], Awaitable[Reply]], keep: Callable[[Reply], bool]
    ) -> Once:
        """Execute a call unless its id is recognised. `keep` decides whether the reply is for repeats too."""
        entry = self._entries.get(request_id)
        if entry is not None:
            return Once(await _reply_of(entry), replayed=True, other_body=entry.fingerprint != fingerprint)
        entry = self._entries[request_id] = _Entry(self._clock(), fingerprint)
        try:
            entry.reply = await execute()
        except BaseException:
            self._drop(request_id, entry)
            if entry.waiting is not None:
                entry.waiting.cancel()
            raise
        if entry.waiting is not None:
            entry.waiting.set_result(entry.reply)
        if not keep(entry.reply):
            self._drop(request_id, entry)
        return Once(entry.reply)

    def expire(self, window_s: float) -> None:
        """Forget the ids whose window is over. Entries are in the order of their start: the first good one ends it."""
        latest_s = self._clock() - window_s
        while self._entries:
            request_id = next(iter(self._entries))
            if self._entries[request_id].started_s > latest_s:
                return
            del self._entries[request_id]

    def trim(self, capacity: int) -> None:
        """Forget the oldest ids above the capacity, before their time."""
        while len(self._entries) > capacity:
            del self._entries[next(iter(self._entries))]
            self.forgotten += 1

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.forgotten = 0

    def _drop(self, request_id: str, entry: _Entry) -> None:
        # After expiry or a reset the id may belong to a newer entry.
        if self._entries.get(request_id) is entry:
            del self._entries[request_id]


async def _reply_of(entry: _Entry) -> Reply:
    if entry.reply is not None:
        return entry.reply
    if entry.waiting is None:
        entry.waiting = asyncio.get_running_loop().create_future()
    # Shielded: one repeat that goes away must not cancel the answer of the others.
    return await asyncio.shield(entry.waiting)
