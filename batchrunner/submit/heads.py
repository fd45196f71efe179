"""Heads of answers that have been read before, byte for byte.

Under load a server says the same head in hundreds of answers a second: only its date changes. Such an answer need not
be parsed again, which would cost more than all else that is done with it.
"""

from __future__ import annotations

from batchrunner.submit.whole import Pairs, WholeAnswer

OK = 200
END = b"\r\n\r\n"

_MOST = 16
"""Heads that are remembered. Where every answer has one of its own, more would not be found again either."""

_LENGTH = "content-length"
_MORE_TO_IT = frozenset(("transfer-encoding", "content-encoding", "upgrade"))
"""Headers that say more of what follows than its length."""


class Heads:
    """Of the answers of one server."""

    def __init__(self) -> None:
        """None is known yet."""
        self._known: dict[bytes, tuple[int, Pairs]] = {}

    def answer(self, data: bytes, room: int) -> WholeAnswer | None:
        """The answer that this is, where its head is known and its body follows, shorter than there is room, alone."""
        end = data.find(END) + len(END)
        known = self._known.get(data[:end])
        if known is None or len(data) - end != known[0] or known[0] >= room:
            return None
        return WholeAnswer(OK, known[1], data[end:])

    def learn(self, data: bytes, status: int, pairs: Pairs) -> None:
        """A parser has read this as one whole answer, after which the connection is as good as before."""
        end = data.find(END) + len(END)
        lengths = [value for name, value in pairs if name == _LENGTH]
        if status != OK or lengths != [str(len(data) - end)] or any(name in _MORE_TO_IT for name, _ in pairs):
            return
        if len(self._known) == _MOST:
            self._known.clear()
        self._known[data[:end]] = len(data) - end, pairs
