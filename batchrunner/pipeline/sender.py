"""In a process that sends: the side of HTTP, at the end of a line to the process of file and ledger.

    what to send with (handed over) -> Loaded -> Begin, with the lock of the job -> Ready -> Loads in, Ends out -> Stop
    -> Over

It never outlives the other process by a request: the line ends with that one, however that one ended, and so do we.
The job's lock is held here as well, so that until then no other run of the job can begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from batchrunner.errors import BatchrunnerError
from batchrunner.model import LimitRecord, Settled
from batchrunner.pipeline.crossing import (
    LENGTH_BYTES,
    Begin,
    Drain,
    Durable,
    FromSender,
    Loaded,
    Loads,
    Over,
    Ready,
    Refused,
    Stop,
    claims_in,
    ends_of,
    framed,
    to_sender,
)
from batchrunner.pipeline.serving import LoopFactory, Serving
from batchrunner.ports import Submitter

log = logging.getLogger(__name__)

ORPHANED = 70
"""How a process ends whose parent is gone: nobody is left to read it."""

_PR_SET_PDEATHSIG = 1


class AdaptiveLimit(Protocol):
    """A limit that changes by itself."""

    @property
    def limit(self) -> int: ...  # noqa: D102
    @property
    def record(self) -> LimitRecord: ...  # noqa: D102


def die_with(parent: int) -> None:
    """Have the operating system end this process with its parent, where it can (Linux); elsewhere the line does."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before we could ask
        orphaned()


def orphaned() -> NoReturn:
    """End at once: what is in flight is cut, and what was to be sent is not."""
    os._exit(ORPHANED)


def handed_over(line: socket.socket) -> Any:  # noqa: ANN401  whatever our parent has put into it
    """What the parent has given us to begin with. Raises EOFError when it is gone."""
    length = int.from_bytes(_exactly(line, LENGTH_BYTES), "big")
    return pickle.loads(_exactly(line, length))  # noqa: S301  nobody but our parent has the other end


def serve(  # noqa: PLR0913  two sides, and what stands between them
    line: socket.socket,
    make_submitter: Callable[[Begin], Submitter],
    concurrency: int,
    new_loop: LoopFactory,
    *,
    limit: AdaptiveLimit | None = None,
    said: Callable[[BaseException], BatchrunnerError | None] = lambda _: None,
    lost: Callable[[], None] = orphaned,
) -> None:
    """Send what comes until told to stop. Returns early when the parent ends before it began.

    `make_submitter` is called in the loop; `said` knows what errors mean that are none of ours; `lost` is called when
    the parent has gone.
    """
    line.sendall(framed(Loaded()))
    begin, lock = _begun(line)  # the descriptor is never closed: the lock is ours, too, until we end
    if begin is None:
        return
    if begin.locked and not lock:
        raise OSError(errno.EMFILE, "the job's lock has not come: no more files may be open")
    line.setblocking(False)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_Sender(concurrency, limit, said, lost).serve(line, lambda: make_submitter(begin)))


class _Sender(asyncio.Protocol):
    """One end of the line, in the loop."""

    def __init__(
        self,
        concurrency: int,
        limit: AdaptiveLimit | None,
        said: Callable[[BaseException], BatchrunnerError | None],
        lost: Callable[[], None],
    ) -> None:
        self._concurrency = concurrency
        self._limit = limit
        self._said = said
        self._lost = lost
        self._told = 0
        self._frames = to_sender()
        self._over = False

    async def serve(self, line: socket.socket, make_submitter: Callable[[], Submitter]) -> None:
        loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = loop.create_future()
        began_ns = time.process_time_ns()
        self._transport, _ = await loop.create_unix_connection(lambda: self, sock=line)
        refusal = self._made(make_submitter)
        if refusal is None:
            self._say(Ready(self._record(), self._serving.wants_durable))
            await self._serving.until_stopped()
            self._say(Over(time.process_time_ns() - began_ns, self._record()))
        else:
            self._say(refusal)
        self._over = True
        self._transport.close()
        await self._closed

    def _made(self, make_submitter: Callable[[], Submitter]) -> Refused | None:
        """Make the submitter. What stands in the way, if something does."""
        try:
            submitter = make_submitter()
        except Exception as error:
            end = error if isinstance(error, BatchrunnerError) else self._said(error)
            if end is None:
                raise
            return Refused(type(end).__name__, str(end))
        limit, all_of_them = self._limit, self._concurrency
        limit_now = (lambda: all_of_them) if limit is None else (lambda: limit.limit)
        self._serving = Serving(submitter, all_of_them, self._hand_back, limit_now)
        return None

    def _hand_back(self, ends: list[Settled]) -> None:
        changed = self._limit is not None and self._limit.limit != self._told
        try:
            self._say(ends_of(ends, self._record() if changed else None))
        except BaseException:
            # Nobody would ever hear of these: better that the parent sees us die, and calls them in doubt.
            log.exception("ends of %d rows cannot be told", len(ends))
            self._transport.abort()

    def _record(self) -> LimitRecord | None:
        if self._limit is None:
            return None
        self._told = self._limit.limit
        return self._limit.record

    def _say(self, message: FromSender) -> None:
        self._transport.write(framed(message))

    # --- what the loop calls -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        for message in self._frames.feed(data):
            match message:
                case Loads():
                    self._serving.feed(claims_in(message))
                case Durable():
                    self._serving.durable(message.request_ids)
                case Drain():
                    self._serving.drain()
                case Stop():
                    self._serving.stop()
                case Begin():
                    raise RuntimeError("this has begun already")

    def eof_received(self) -> None:
        """The parent is gone, or has had enough."""
        if not self._over:
            self._lost()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is closed."""
        del exc
        if not self._over:
            self._lost()
        self._closed.set_result(None)


def _begun(line: socket.socket) -> tuple[Begin | None, list[int]]:
    """The first message, and the descriptors that come with its first bytes. None: the parent ended before."""
    head, lock, _, _ = socket.recv_fds(line, LENGTH_BYTES, 1)
    if not head:
        return None, lock
    head += _exactly(line, LENGTH_BYTES - len(head))
    (begin,) = to_sender().feed(head + _exactly(line, int.from_bytes(head, "big")))
    if not isinstance(begin, Begin):
        raise TypeError("nothing comes before Begin")
    return begin, lock


def _exactly(line: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        more = line.recv(count - len(content))
        if not more:
            raise EOFError
        content += more
    return bytes(content)
