"""How many claims may be in the window at once. Pure.

Those in flight, and as many again, so that no connection waits for a commit: while one set of requests is in flight,
the answers of the one before are being settled and the next is being claimed. More would only leave more in doubt after
a crash. But where answers lie there already whenever they are asked for, it is we who are slow, or our disk: then
larger commits are what helps, and there may be more.
"""

from __future__ import annotations

MOST_AHEAD = 256
"""Claims that wait for a connection. More would hardly make a commit cheaper."""

AGAIN_AND_AGAIN = 8
"""Turns in a row in which answers lay there already. One may be a slow disk, or a chunk that was mapped meanwhile."""


AT_ONCE_S = 0.0002
"""What lay there already has been handed over after this."""


class Room:
    """Follows the load."""

    def __init__(self, most_ahead: int) -> None:
        """As little as will do, to begin with; `most_ahead` is as far as it goes."""
        self._most_ahead = most_ahead
        self._ahead = 0
        self._turns = 0

    def for_claims(self, concurrency: int) -> int:
        """How many claims may be in the window now."""
        return concurrency + max(self._ahead, _least(concurrency))

    def collected(self, waited_s: float, concurrency: int) -> None:
        """Ends were asked for, because there was no room left, and came after so long."""
        if waited_s > AT_ONCE_S:
            self._turns = 0
            self._ahead -= -(-self._ahead // 8)
            return
        self._turns += 1
        if self._turns >= AGAIN_AND_AGAIN:
            self._turns = 0
            self._ahead = min(self._most_ahead, 2 * max(self._ahead, _least(concurrency)))


def room_for(concurrency: int) -> int:
    """How many claims may be in the window to begin with."""
    return concurrency + _least(concurrency)


def _least(concurrency: int) -> int:
    return max(2, min(concurrency, MOST_AHEAD))
