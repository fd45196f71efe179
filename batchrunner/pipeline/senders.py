"""Processes that send for a run, and the window through which the run's own process gives claims to them.

Here file and ledger are, and the one writer; there (`sender`) nothing but the side of HTTP. A process that sends is a
fresh interpreter at the end of a socket: it has no other way to hear of anything, and ends with it.

    process ended without a word -> what was with it is in doubt, the run stops
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, assert_never

from batchrunner import errors
from batchrunner.errors import BatchrunnerError, SenderDied
from batchrunner.model import Claim, InDoubt, Key, LimitRecord, Parcel, RequestId, Settled
from batchrunner.pipeline.claims import each_of, unsent
from batchrunner.pipeline.crossing import (
    LENGTH_BYTES,
    Begin,
    Drain,
    Durable,
    Ends,
    FromSender,
    Loaded,
    Over,
    Ready,
    Refused,
    Stop,
    ToSender,
    framed,
    from_sender,
    loads_of,
    settled,
)
from batchrunner.stopwatch import UNWATCHED, Stopwatch

log = logging.getLogger(__name__)

START_S = 120.0
"""For a process to start and to make ready: a second, on a machine that has time for it."""

CLOSE_S = 30.0
GIVE_UP_S = 3.0
"""For it to end, when all is done, and when what is in flight is given up. Then it is ended."""

READ_BYTES = 1 << 18

ASKING_TO_STOP = (signal.SIGINT, signal.SIGTERM)
"""Signals that a terminal or a service manager sends to a whole group. The run's process alone decides what follows."""


class Process(Protocol):
    """As `subprocess.Popen` has it."""

    def wait(self, timeout: float | None = None) -> int: ...  # noqa: D102
    def kill(self) -> None: ...  # noqa: D102


class ToldLimit:
    """An adaptive limit that is kept in another process, as it was told last."""

    def __init__(self, record: LimitRecord) -> None:
        """How it begins."""
        self.record = record

    @property
    def limit(self) -> int:
        """Of requests in flight."""
        return self.record.final


class Senders:
    """The processes of one run, from their start to their end."""

    def __init__(
        self, shares: Sequence[int], command: Callable[[int], Sequence[str]], limit: ToldLimit | None = None
    ) -> None:
        """One process for each share of the connections. `command` names the program, given its end of the line.

        `limit` is told of, where the only process finds out for itself how much of its share it makes use of.
        """
        self.limit = limit
        self._shares = shares
        self._command = command
        self._started: list[Sender] = []

    def start(self, given: Callable[[int], object]) -> None:
        """Start them, unless that was done. Each is handed what is `given` for its share. Raises SenderDied."""
        if self._started:
            return
        for share in self._shares:
            self._started.append(self._start(share))
        for sender in self._started:
            sender.hand_over(given(sender.share))

    def must_have_loaded(self) -> None:
        """Wait until they have all that they need. Raises SenderDied."""
        for sender in self._started:
            sender.must_have_loaded()

    def window(self, begin: Begin, lock: int | None, watch: Stopwatch = UNWATCHED) -> ProcessWindow:
        """Have them make ready. They hold the lock, a descriptor, from now on. Raises what stands in the way."""
        return ProcessWindow(self._started, begin, lock, self.limit, watch)

    def close(self) -> None:
        """End whatever still runs."""
        for sender in self._started:
            sender.end()

    def _start(self, share: int) -> Sender:
        ours, theirs = socket.socketpair()
        with theirs:
            return Sender(ours, self._process(theirs), share)

    def _process(self, line: socket.socket) -> Process:
        # What is blocked here stays blocked there: from its first instruction on, these two signals mean nothing to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING_TO_STOP)
        try:
            return subprocess.Popen(  # noqa: S603  ourselves
                self._command(line.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # its log goes where ours goes
                pass_fds=[line.fileno()],
            )
        except (OSError, ValueError) as error:
            self.close()
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise SenderDied(
                f"a process that sends cannot be started ({why}); nothing was sent; "
                "give it what it lacks, or run with --processes 1"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Sender:
    """One process that sends, as seen from here."""

    def __init__(self, line: socket.socket, process: Process, share: int) -> None:
        """Just started; so much of the connections is its share."""
        self.line = line
        self.share = share
        self.out: dict[Key, Claim] = {}
        """Claims that are with it."""
        self.unsent = bytearray()
        self.wants_durable = False
        self.over = False
        """It has said that nothing comes any more."""
        self.gone = False
        self._process = process
        self._loaded = False
        self._frames = from_sender()
        line.settimeout(START_S)

    @property
    def load(self) -> float:
        """How many claims it has for each of its connections."""
        return len(self.out) / self.share

    def hand_over(self, given: object) -> None:
        """What it is to send with. Raises SenderDied."""
        content = pickle.dumps(given)
        with self._speaking():
            self.line.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)

    def begin(self, begin: Begin, lock: int | None) -> None:
        """Have it make ready. Raises SenderDied."""
        content = framed(begin)
        with self._speaking(), contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said why
            sent = socket.send_fds(self.line, [content], [] if lock is None else [lock])
            if sent < len(content):
                self.line.sendall(content[sent:])

    def must_have_loaded(self) -> None:
        """Wait until it has all that it needs; at once when asked again. Raises SenderDied."""
        if not self._loaded:
            message = self._heard()
            if not isinstance(message, Loaded):
                raise TypeError(f"{type(message).__name__} came before Loaded")
            self._loaded = True

    def must_be_ready(self) -> Ready:
        """Wait until it is. Raises SenderDied, and whatever error it says."""
        match self._heard():
            case Ready() as ready:
                self.wants_durable = ready.wants_durable
                self.line.setblocking(False)
                return ready
            case Refused(name, sentence):
                kind: type[BatchrunnerError] = getattr(errors, name)
                raise kind(sentence)
            case other:
                raise RuntimeError(f"{type(other).__name__} came before Ready")

    def _heard(self) -> FromSender:
        """One message: nothing else comes before it is answered."""
        messages: list[FromSender] = []
        while not messages:
            with self._speaking():
                more = self.line.recv(READ_BYTES)
            if not more:
                raise self._not_ready()
            messages = self._frames.feed(more)
        return messages[0]

    def read(self) -> list[FromSender] | None:
        """What it has said; None: it is gone."""
        try:
            more = self.line.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._frames.feed(more) if more else None

    def say(self, message: ToSender) -> None:
        """Send a message, or as much of it as goes off now."""
        content = framed(message)
        if not self.unsent:
            content = content[self._sent(content) :]
        self.unsent += content

    def say_on(self) -> None:
        """Send more of what is left."""
        del self.unsent[: self._sent(self.unsent)]

    def how_it_ended(self) -> str:
        """For people; waits for its end."""
        try:
            code = self._process.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def end(self, patience_s: float = 0.0) -> None:
        """Have no process any more, whatever it is doing."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.line.close()

    def _sent(self, content: bytes | bytearray) -> int:
        try:
            return self.line.send(content)
        except BlockingIOError:
            return 0
        except OSError:  # it is gone; what it has said before is read first
            return len(content)

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise SenderDied(
                f"a process that sends was not ready after {START_S:.0f} s; nothing was sent; "
                "look at what keeps the machine busy, or run with --processes 1"
            ) from error
        except OSError as error:
            raise self._not_ready() from error

    def _not_ready(self) -> SenderDied:
        return SenderDied(
            f"a process that sends ended before it was ready ({self.how_it_ended()}); nothing was sent; "
            "raise the limit that it ran into (ulimit -v, a container's limit), or run with --processes 1"
        )


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
        for sender in self._there():
            self._say(sender, Stop())
        until_s = time.monotonic() + (GIVE_UP_S if at_once else CLOSE_S)
        while self._there() and (left_s := until_s - time.monotonic()) > 0:
            self._turn(left_s)
        for sender in self._senders:
            sender.end(max(0.0, until_s - time.monotonic()))
        self._selector.close()
        os.close(self._woken)
        os.close(self._wake)

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
