"""Ledger backends, and small builders of the values that go in and come out of a ledger."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import replace

from batchrunner.ledger import SqlLedger, open_ledger
from batchrunner.model import (
    Accepted,
    Claim,
    EntryRef,
    Failed,
    InDoubt,
    Key,
    Outcome,
    Rejected,
    Request,
    RequestId,
    Row,
    RunId,
    Settled,
    Source,
    State,
    Totals,
    Who,
)
from batchrunner.pipeline.tally import Tally

NOW_MS = 1_750_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

BACKENDS: Mapping[str, Callable[[Path], str]] = {"sqlite": lambda folder: str(folder / "ledger.db")}
"""Every backend, by name: what `--ledger` is given for a ledger of its own in an empty folder."""


@dataclass(frozen=True)
class Backend:
    """A place for one ledger."""

    url: str

    def open(self) -> SqlLedger:
        """A connection of its own to that ledger."""
        return open_ledger(self.url)


OUTCOMES: Mapping[State, Outcome] = {
    State.ACCEPTED: Accepted("5f1e9c0a5f1e9c0a5f1e9c0a"),
    State.REJECTED: Rejected("304", "bad field"),
    State.FAILED: Failed("connect", "refused"),
    State.IN_DOUBT: InDoubt("read_timeout", "no answer"),
}
"""One outcome for each state that a claim can settle in."""


def digest(text: str) -> bytes:
    """8 bytes for a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def key_of(who: str, what: str = "hello") -> Key:
    """The key of something for somebody."""
    return Key(digest(who) + digest(what))


def who_of(name: str) -> Who:
    """Somebody, as keys know them."""
    return Who(digest(name))


def a_request(number: int = 1, who: str | None = None, what: str = "hello") -> Request:
    """A request of row `number`; by default each row is about somebody else."""
    name = f"person-{number}" if who is None else who
    payload = f'{{"email":"{name}@example.com","text":"{what}"}}'.encode()
    return Request(key_of(name, what), Row(number, number + 1, (name, what)), payload)


def a_claim(request: Request | int = 1, *, source_no: int = 1, at_ms: int = NOW_MS, **changes: Any) -> Claim:
    """A claim with a Request-ID of its own."""
    asked = a_request(request) if isinstance(request, int) else request
    return replace(Claim(source_no, asked, RequestId(str(uuid4())), at_ms), **changes)


def ends(claim: Claim, outcome: Outcome | State = State.ACCEPTED, **changes: Any) -> Settled:
    """How a claim ended, in one attempt."""
    return replace(Settled(claim, OUTCOMES[outcome] if isinstance(outcome, State) else outcome, 1, 1), **changes)


def a_source(name: str = "export.csv", content: str | None = None) -> Source:
    """A source whose fingerprint follows from its content."""
    text = name if content is None else content
    return Source(f"/exports/{name}", hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), 1000)


def a_run(
    ledger: SqlLedger,
    name: str = "run-1",
    *,
    job: str = "crm",
    at_ms: int = NOW_MS,
    read: Sequence[Source] = (a_source(),),
    mapping: str = "mapping 1",
    installation: str = "https://platform.test",
) -> RunId:
    """Begin a run."""
    return ledger.begin_run(
        job=job,
        name=name,
        verb="run",
        now_ms=at_ms,
        read=read,
        mapping=mapping,
        run_dir=f"/runs/{name}",
        installation=installation,
    )


def totals_of(claims: int, settled: Sequence[Settled] = ()) -> Totals:
    """What a run with so many claims tells, once some of them have settled."""
    tally = Tally()
    tally.claimed(claims)
    tally.settled(settled)
    return tally.totals()


def send(ledger: SqlLedger, run: RunId, *claims: Claim, to: State | None = State.ACCEPTED, **changes: Any) -> None:
    """Claim, and settle all in one state (None: leave them open)."""
    ledger.exchange(run, [], claims, totals_of(len(claims)))
    if to is not None:
        settled = [ends(claim, to, **changes) for claim in claims]
        ledger.exchange(run, settled, [], totals_of(len(claims), settled))


def end(ledger: SqlLedger, run: RunId, totals: Totals | None = None, *, at_ms: int = NOW_MS + 1000) -> None:
    """Close a run that went well."""
    ledger.end_run(run, totals=totals or Totals(), ending="finished", exit_code=0, now_ms=at_ms)


def refs(run: RunId, *numbers: int, source_no: int = 1) -> tuple[EntryRef, ...]:
    """Addresses of entries."""
    return tuple(EntryRef(run, source_no, number) for number in numbers)


def a_uuid(number: int) -> RequestId:
    """A Request-ID that a test can foretell."""
    return RequestId(str(UUID(int=number)))


@contextmanager
def a_process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python running a script in a process of its own, its pipes open; it is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,  # so that scripts can use these builders
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
