"""The window whose other side is one process, or several that share the connections.

What was with a process that ended without a word is in doubt, and the run stops.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import time
from collections.abc import Sequence
from typing import assert_never

from batchrunner.errors import BatchrunnerError, SenderDied
from batchrunner.model import Claim, InDoubt, Key, LimitRecord, Parcel, RequestId, Settled
from batchrunner.pipeline.claims import each_of, unsent
from batchrunner.pipeline.crossing import (
    Begin,
    Drain,
    Durable,
    Ends,
    Loaded,
    Over,
    Ready,
    Refused,
    Stop,
    ToSender,
    loads_of,
    settled,
)
from batchrunner.pipeline.started import READ_BYTES, Sender
from batchrunner.stopwatch import Stopwatch

log = logging.getLogger(__name__)

CLOSE_S = 30.0
GIVE_UP_S = 3.0
"""For it to end, when all is done, and when what is in flight is given up. Then it is ended."""


class ToldLimit:
    """An adaptive limit that is kept in another process, as it was told last."""

    def __init__(self, record: LimitRecord) -> None:
        """How it begins."""
        self.record = record

    @property
    def limit(self) -> int:
        """Of requests in flight."""
        return self.record.final


class ProcessWindow:
    """The other side is one process, or several that share the connections."""

    def __init__(
        self, senders: Sequence[Sender], begin: Begin, lock: int | None, limit: ToldLimit | None, watch: Stopwatch
    ) -> None:
        """Wait until all are ready. Raises what stands in the way."""
        self.trouble: BatchrunnerError | None = None
        self._senders = senders
        self._concurrency = sum(sender.share for sender in senders)
        self._limit = limit
        self._watch = watch
        self._back: list[Settled] = []
        self._closed = False
        for sender in senders:
            sender.must_have_loaded()
            sender.begin(begin, lock)
        for sender in senders:
            self._told(sender.must_be_ready().limit)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        for sender in senders:
            self._selector.register(sender.line, selectors.EVENT_READ, sender)

    @property
    def concurrency(self) -> int:
        """How many claims may be in flight at the moment. Cheap."""
        return self._concurrency if self._limit is None else self._limit.limit

    def submit(self, loads: Sequence[Claim | Parcel]) -> None:
        """Hand over claims that are durable in the ledger, each by itself or with others in a parcel."""
        there = self._there()
        if not there:
            self._back += map(unsent, each_of(loads))
            return
        given: dict[int, list[Claim | Parcel]] = {}
        for load in loads:
            chosen = 0 if len(there) == 1 else min(range(len(there)), key=lambda number: there[number].load)
            out = there[chosen].out
            if isinstance(load, Claim):
                out[load.request.key] = load
            else:
                out.update((claim.request.key, claim) for claim in load.claims)
            given.setdefault(chosen, []).append(load)
        for chosen, part in given.items():
            self._say(there[chosen], loads_of(part))

    def collect(self, *, wait: bool) -> list[Settled]:
        """What has ended since last asked. With `wait`, at least one end, or nothing when woken."""
        while not self._closed:
            waiting = wait and not self._back and bool(self._there())
            if self._turn(None if waiting else 0) or not waiting:
                break
        ends, self._back = self._back, []
        return ends

    def durable(self, ends: Sequence[Settled]) -> None:
        """The outcomes of these claims are in the ledger: what is kept on the other side until then may go."""
        for sender in self._there():
            if sender.wants_durable:
                self._say(sender, Durable([end.claim.request_id for end in ends]))

    def wake(self) -> None:
        """Let a waiting `collect` return. Safe inside a signal handler."""
        if not self._closed:
            with contextlib.suppress(BlockingIOError):  # it is full of wakes
                os.write(self._wake, b"\0")

    def drain(self) -> None:
        """Start nothing new: what is in flight ends as the world decides, the rest ends unsent."""
        for sender in self._there():
            self._say(sender, Drain())

    def close(self, *, at_once: bool = False) -> None:
        """End the processes. `at_once` gives up what is in flight; otherwise everything must have been collected."""
        if self._closed:
            return
        self._closed = True
        if at_once:
            log.warning("giving up what is in flight")
        until_s = time.monotonic() + (GIVE_UP_S if at_once else CLOSE_S)
        try:
            for sender in self._there():
                self._say(sender, Stop())
            while self._there() and (left_s := until_s - time.monotonic()) > 0:
                self._turn(left_s)
        except BaseException:  # no memory, perhaps: nobody may go on sending for want of a word
            until_s = 0.0
            raise
        finally:
            for sender in self._senders:
                sender.end(max(0.0, until_s - time.monotonic()))
                sender.gone = True
            self._selector.close()

    def release(self) -> None:
        """After `close`, when nobody can call `wake` any more but a signal handler of this thread.

        A byte that another thread writes while this is closed could end in whatever is opened next.
        """
        if self._woken >= 0:
            os.close(self._woken)
            os.close(self._wake)
            self._woken = self._wake = -1

    # --- the line ------------------------------------------------------------------------------------

    def _there(self) -> list[Sender]:
        return [sender for sender in self._senders if not sender.gone]

    def _say(self, sender: Sender, message: ToSender) -> None:
        sender.say(message)
        self._listen(sender)

    def _listen(self, sender: Sender) -> None:
        """For what it says, and, while there is something left to be said to it, for when that can be said."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if sender.unsent else 0)
        if self._selector.get_key(sender.line).events != events:
            self._selector.modify(sender.line, events, sender)

    def _turn(self, timeout_s: float | None) -> bool:
        """Let bytes come and go. Whether somebody wanted us awake."""
        woken = False
        for key, events in self._selector.select(timeout_s):
            sender = key.data
            if sender is None:
                os.read(self._woken, READ_BYTES)
                woken = True
                continue
            if events & selectors.EVENT_WRITE:
                sender.say_on()
                self._listen(sender)
            if events & selectors.EVENT_READ:
                self._read(sender)
        return woken

    def _read(self, sender: Sender) -> None:
        messages = sender.read()
        if messages is None:
            self._gone(sender)
            return
        for message in messages:
            match message:
                case Ends():
                    self._told(message.limit)
                    self._back += [settled(end, sender.out.pop(Key(end.key))) for end in message.ends]
                case Over():
                    sender.over = True
                    self._told(message.limit)
                    self._watch.add_elsewhere("submit", message.cpu_ns)
                case Loaded() | Ready() | Refused():
                    raise RuntimeError("it is ready already")
                case _:
                    assert_never(message)

    def _told(self, record: LimitRecord | None) -> None:
        if record is not None and self._limit is not None:
            self._limit.record = record

    def _gone(self, sender: Sender) -> None:
        """Whatever was with it may have left."""
        self._selector.unregister(sender.line)
        sender.gone = True
        if sender.over or self._closed:  # who closes knows what to make of what has not ended
            return
        how, count = sender.how_it_ended(), len(sender.out)
        doubt = InDoubt("sender_died", f"the process that sent it died ({how}) before an answer came")
        asked: set[RequestId] = set()
        for claim in sender.out.values():
            self._back.append(Settled(claim, doubt, 1, 0 if claim.request_id in asked else 1))
            asked.add(claim.request_id)
        sender.out.clear()
        self.trouble = self.trouble or SenderDied(
            f"stopped: a process that sends died ({how}), and {count} rows that were with it are in doubt; "
            "see whether memory was short, then run again, perhaps with fewer --processes"
        )
