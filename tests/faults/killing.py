"""Points at which a process kills itself, as the machine would: SIGKILL, with no warning and no clean-up.

The product knows nothing of them: named functions of it are wrapped in the process that is to die, before its command
begins. A point is a name and a number: `committed:3` dies when something has been committed for the third time.

A part of the product that is new (another verb, another way of sending) adds its own points to `POINTS`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).parent))

import spoilt_senders as senders

Install = Callable[[int], None]


def die() -> NoReturn:
    """At once."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody comes here")


def countdown(at: int) -> Callable[[], bool]:
    """True when it is asked for the time that was named."""
    left = [at]

    def now() -> bool:
        left[0] -= 1
        return left[0] == 0

    return now


def before(owner: Any, name: str, *, when: Callable[..., bool] = lambda *_, **__: True) -> Install:
    """Die where a function is entered for the n-th time."""

    def install(at: int) -> None:
        original, now = getattr(owner, name), countdown(at)

        def dying(*args: Any, **kwargs: Any) -> Any:
            if when(*args, **kwargs) and now():
                die()
            return original(*args, **kwargs)

        setattr(owner, name, dying)

    return install


def after(owner: Any, name: str, *, when: Callable[[Any], bool] = lambda _: True) -> Install:
    """Die where a function has done its work for the n-th time."""

    def install(at: int) -> None:
        original, now = getattr(owner, name), countdown(at)

        def dying(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if when(result) and now():
                die()
            return result

        setattr(owner, name, dying)

    return install


def each(*installs: Install) -> Install:
    """One point that lies in several places, one for each way of sending."""

    def install(at: int) -> None:
        for one in installs:
            one(at)

    return install


def _statement(at: int, *, done: bool) -> None:
    """Each statement of the ledger, whether SQLAlchemy gives it to the driver or we do: BEGIN and COMMIT too."""
    import sqlite3

    from batchrunner.ledger import database

    now, create_engine, pragmas = countdown(at), database.create_engine, database.PRAGMAS

    def dying(execute: Callable[..., Any], sql: str, *values: Any) -> Any:
        counted = sql not in pragmas
        if counted and not done and now():
            die()
        result = execute(sql, *values)
        if counted and done and now():
            die()
        return result

    class DyingCursor(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> Any:
            return dying(super().execute, sql, *values)

        def executemany(self, sql: str, *values: Any) -> Any:
            return dying(super().executemany, sql, *values)

    class DyingConnection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(DyingCursor)

        def execute(self, sql: str, *values: Any) -> Any:
            return self.cursor().execute(sql, *values)

        def executemany(self, sql: str, *values: Any) -> Any:
            return self.cursor().executemany(sql, *values)

    def create(*args: Any, **options: Any) -> Any:
        return create_engine(*args, **options, connect_args={"factory": DyingConnection})

    database.create_engine = create


def _sent(at: int) -> None:
    """The request has been given to the engine, and the loop has turned often enough for its bytes to have left."""
    from batchrunner.submit.submitter import HttpSubmitter

    original, begin, now = HttpSubmitter._attempt, HttpSubmitter.begin, countdown(at)

    def beginning(self: HttpSubmitter, *claim_and_landing: Any) -> bool:
        begun = begin(self, *claim_and_landing)
        if begun and now():
            asyncio.get_running_loop().call_later(0.001, die)
        return begun

    async def dying(self: HttpSubmitter, *claim_and_api: Any) -> Any:
        if not now():
            return await original(self, *claim_and_api)
        task = asyncio.ensure_future(original(self, *claim_and_api))
        await asyncio.sleep(0.001)
        assert task is not None
        return die()

    HttpSubmitter._attempt = dying  # type: ignore[method-assign]
    HttpSubmitter.begin = beginning  # type: ignore[method-assign]


def _half_a_line(at: int) -> None:
    """What a file was given has reached it in part: its end is somewhere in a record."""
    from batchrunner.results.files import ResultFiles

    original, now = ResultFiles._flush, countdown(at)

    def dying(self: ResultFiles) -> None:
        sizes = {file.name: os.fstat(file.fileno()).st_size for file in self._open}
        original(self)
        grown = [file for file in self._open if os.fstat(file.fileno()).st_size > sizes[file.name]]
        if grown and now():
            for file in grown:
                size = os.fstat(file.fileno()).st_size
                os.truncate(file.name, size - min(5, size - sizes[file.name]))
            die()

    ResultFiles._flush = dying  # type: ignore[method-assign]


def _halves_claimed(at: int) -> None:
    """The halves of what was refused as a whole are durable, and have not left."""
    from batchrunner.ledger import SqlLedger

    original, now = SqlLedger.exchange, countdown(at)

    def dying(self: SqlLedger, *given: Any) -> None:
        original(self, *given)
        if len(given) > 4 and given[4] is not None and given[4].claims and now():
            die()

    SqlLedger.exchange = dying  # type: ignore[method-assign]


def _half_sent(at: int) -> None:
    """One half was answered, and the other one is somewhere."""
    from batchrunner.pipeline.carriage import Carriage
    from batchrunner.submit import ParcelSubmitter

    halves, now = set(), countdown(at)
    searching, submitting = Carriage._searching, ParcelSubmitter.submit_parcel

    def noting(self: Carriage, *given: Any) -> Any:
        for parcel in searching(self, *given):
            halves.add(parcel.lead.request_id)
            yield parcel

    async def dying(self: ParcelSubmitter, parcel: Any) -> Any:
        ends = await submitting(self, parcel)
        if parcel.lead.request_id in halves and now():
            die()
        return ends

    Carriage._searching = noting  # type: ignore[method-assign]
    ParcelSubmitter.submit_parcel = dying  # type: ignore[method-assign]


def _jump(at: int, by_ms: int) -> None:
    """No death, but a clock that jumps when it has been asked so often."""
    from batchrunner.clock import SystemClock

    original, asked = SystemClock.now_ms, [0]

    def jumping(self: SystemClock) -> int:
        asked[0] += 1
        return original(self) + (by_ms if asked[0] >= at else 0)

    SystemClock.now_ms = jumping  # type: ignore[method-assign]


DAY_MS = 86_400_000


def _limit(name: str, more: int) -> None:
    """A limit of the operating system, so much above what is used already."""
    import resource

    if name == "RLIMIT_AS":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    else:
        used = len(list(Path("/proc/self/fd").iterdir())) - 1
    resource.setrlimit(getattr(resource, name), (used + more, used + more))


def _limit_once_sending(name: str, more: int) -> None:
    """The same, when the first rows leave: everything is open and set up by then."""
    from batchrunner.pipeline import ThreadWindow

    original = ThreadWindow.submit

    def limiting(self: ThreadWindow, loads: Any) -> None:
        ThreadWindow.submit = original  # type: ignore[method-assign]
        _limit(name, more)
        original(self, loads)

    ThreadWindow.submit = limiting  # type: ignore[method-assign]


def _impatient(wait_ms: int) -> None:
    """Does not wait half a minute for another program to let go of the ledger."""
    from batchrunner.ledger import database

    database.PRAGMAS = (*database.PRAGMAS, f"PRAGMA busy_timeout = {wait_ms}")


DISTURBANCES: dict[str, Install] = {
    "clock_forward": lambda at: _jump(at, DAY_MS),
    "clock_back": lambda at: _jump(at, -DAY_MS),
    "memory": lambda megabytes: _limit("RLIMIT_AS", megabytes << 20),
    "memory_later": lambda megabytes: _limit_once_sending("RLIMIT_AS", megabytes << 20),
    "descriptors": lambda more: _limit("RLIMIT_NOFILE", more),
    "impatient": _impatient,
}
"""What a process can be made to suffer without dying of it."""


def _points() -> dict[str, Install]:
    """Every point by name. Imported late, so that the list of names costs nothing."""
    from batchrunner.api import Api, ParcelApi
    from batchrunner.cli import whole, work
    from batchrunner.ledger import SqlLedger, store
    from batchrunner.pipeline import ThreadWindow, feed
    from batchrunner.pipeline.carriage import Carriage
    from batchrunner.pipeline.process_window import ProcessWindow
    from batchrunner.results import Mending, ResultFiles

    # `feed` is a module and a function of it: the module is wanted.
    feeding = __import__("sys").modules["batchrunner.pipeline.feed"]
    del feed
    return {
        "begun": after(SqlLedger, "begin_run"),
        "read": after(feeding, "in_file_order"),
        "judged": after(feeding.PlainGate, "judge"),
        "claimed": each(before(ThreadWindow, "submit"), before(ProcessWindow, "submit")),
        "sent": _sent,
        "answered": each(before(Api, "read_answer"), before(ParcelApi, "read_answer")),
        "collected": each(after(ThreadWindow, "collect", when=bool), after(ProcessWindow, "collect", when=bool)),
        "committed": before(ResultFiles, "settled"),
        "unusable_committed": before(ResultFiles, "unusable"),
        "half_a_line": _half_a_line,
        "written": after(ResultFiles, "settled"),
        "run_over": before(SqlLedger, "end_run"),
        "run_ended": after(SqlLedger, "end_run"),
        "before_summary": before(work, "write_private"),
        "after_summary": after(work, "write_private"),
        "half_a_summary": before(Path, "replace", when=lambda self, _: self.name == "summary.json.part"),
        "buried": after(SqlLedger, "bury_dead_runs", when=bool),
        "mended": before(Mending, "finish"),
        "half_mended": before(
            Path, "replace", when=lambda self, _: self.suffix == ".part" and "summary" not in self.name
        ),
        "mended_summary": before(whole, "write_private"),
        "packed": after(Carriage, "claims", when=bool),
        "halved": after(Carriage, "unload", when=lambda ended_and_onward: bool(ended_and_onward[1])),
        "onward": before(store, "note_onward", when=lambda _connection, _run, onward: bool(onward.claims)),
        "halves_claimed": _halves_claimed,
        "half_sent": _half_sent,
        "shape_noted": after(SqlLedger, "note_shape"),
        "before_statement": lambda at: _statement(at, done=False),
        "after_statement": lambda at: _statement(at, done=True),
    }


NAMES = (
    "begun", "read", "judged", "claimed", "sent", "answered", "collected", "committed", "unusable_committed",
    "half_a_line", "written", "run_over", "run_ended", "before_summary", "after_summary", "half_a_summary", "buried",
    "mended", "half_mended", "mended_summary", "packed", "halved", "onward", "halves_claimed", "half_sent",
    "shape_noted", "before_statement", "after_statement",
)  # fmt: skip
"""All points; a test holds this to what can be installed."""


IN_SENDERS = "sender."
"""In front of a point: not this process dies there, but the one that was started first to send for it."""


def install(points: str) -> None:
    """Make this process die there; several are separated by commas. Raises KeyError for a point that does not exist."""
    for point in points.split(","):
        name, _, at = point.partition(":")
        if name.startswith(IN_SENDERS):
            senders.install(point.removeprefix(IN_SENDERS), install)
            continue
        {**DISTURBANCES, **_points()}[name](int(at or 1))
