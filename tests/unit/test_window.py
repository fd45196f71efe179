"""The window between the two sides: claims in, ends out, whatever the submitter does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from doubles import AtOnceSubmitter, ScriptedSubmitter
from ledgers import a_claim
from windows import CARRIERS, Opener, opener

from batchrunner.errors import ConfigError
from batchrunner.model import Claim, InDoubt, Settled, State
from batchrunner.pipeline import ThreadWindow, Window
from batchrunner.ports import Landing

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=[*CARRIERS, "thread, at once", "process, at once"])
def a_window(request: pytest.FixtureRequest) -> Opener:
    """An open window of each kind, given up at the end, over submitters that need a task and over those that do not."""
    carrier, *at_once = request.param.split(", ")
    return opener(carrier, AtOnceSubmitter if at_once else ScriptedSubmitter)


def claims(count: int) -> list[Claim]:
    """Claims of the rows from 1."""
    return [a_claim(number) for number in range(1, count + 1)]


def collected(window: Window, count: int) -> list[Settled]:
    """The next ends, however many calls they take."""
    ends: list[Settled] = []
    while len(ends) < count:
        ends += window.collect(wait=True)
    return ends


def rows(ends: list[Settled]) -> list[int]:
    """Their rows."""
    return sorted(end.claim.request.row.number for end in ends)


def test_every_claim_comes_back_as_an_end(a_window: Opener) -> None:
    """Once, with what the submitter said of it."""
    given = claims(25)
    with a_window() as (window, submitter):
        window.submit(given[:20])
        window.submit(given[20:])
        ends = collected(window, 25)
        window.close()

        assert rows(ends) == list(range(1, 26))
        assert {end.claim.request_id for end in ends} == {claim.request_id for claim in given}
        assert sorted(one.request_id for one in submitter.submitted) == sorted(one.request_id for one in given)
        assert submitter.closed
        assert window.collect(wait=False) == []


def test_as_many_fly_at_once_as_there_is_concurrency_and_no_more(a_window: Opener) -> None:
    """Three fly together, or nobody lands."""
    together = asyncio.Barrier(3)

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        await together.wait()
        return State.ACCEPTED

    with a_window(script, concurrency=3) as (window, submitter):
        window.submit(claims(9))
        collected(window, 9)

        assert submitter.most_flying == 3


def test_the_window_tells_how_many_may_fly_now(a_window: Opener) -> None:
    """All of them, or what the submitter has found out."""
    now = [3]
    with a_window(concurrency=7) as (window, _):
        assert window.concurrency == 7
    window = ThreadWindow(ScriptedSubmitter, 7, asyncio.new_event_loop, lambda: now[0])
    assert window.concurrency == 3
    now[0] = 5
    assert window.concurrency == 5
    window.close()


@pytest.mark.parametrize(
    ("error", "name"), [(RuntimeError, "RuntimeError"), (asyncio.CancelledError, "CancelledError")]
)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_submitter_that_raises_loses_no_outcome(
    a_window: Opener, error: Callable[[str], BaseException], name: str, concurrency: int
) -> None:
    """Its row is in doubt, because it may have left; its neighbours and those after it are unharmed."""

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        if claim.request.row.number == 2:
            raise error("secret@example.com")
        return State.ACCEPTED

    with a_window(script, concurrency) as (window, _):
        window.submit(claims(5))
        ends = collected(window, 5)

    outcomes = {end.claim.request.row.number: end.outcome for end in ends}
    assert outcomes.pop(2) == InDoubt(f"bug:{name}", f"the submitter failed with {name}")
    assert {type(outcome).__name__ for outcome in outcomes.values()} == {"Accepted"}
    assert len(outcomes) == 4


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_submitter_that_raises_as_it_begins_loses_no_outcome(carrier: str) -> None:
    """Its row is in doubt, too, and the others go on."""

    class Stumbling(AtOnceSubmitter):
        def begin(self, claim: Claim, landing: Landing) -> bool:
            if claim.request.row.number == 2:
                raise RuntimeError("secret@example.com")
            return super().begin(claim, landing)

    with opener(carrier, Stumbling)(concurrency=1) as (window, _):
        window.submit(claims(5))
        outcomes = {end.claim.request.row.number: end.outcome for end in collected(window, 5)}

    assert outcomes.pop(2) == InDoubt("bug:RuntimeError", "the submitter failed with RuntimeError")
    assert {type(outcome).__name__ for outcome in outcomes.values()} == {"Accepted"}


def test_closing_at_once_gives_up_what_flies_and_keeps_what_has_ended(a_window: Opener) -> None:
    """The thread ends although an answer never comes."""
    second_flies = threading.Event()

    async def script(claim: Claim, _: ScriptedSubmitter) -> State:
        if claim.request.row.number == 2:
            second_flies.set()
            await asyncio.Event().wait()
        return State.ACCEPTED

    with a_window(script, concurrency=1) as (window, submitter):
        window.submit(claims(3))
        assert second_flies.wait(10)
        window.close(at_once=True)

        assert rows(window.collect(wait=False)) == [1]
        assert submitter.closed
        assert len(submitter.submitted) == 2
        window.close(at_once=True)  # a second time does no harm
    assert "submit" not in [thread.name for thread in threading.enumerate()]


def test_a_waiting_collect_returns_when_woken(a_window: Opener) -> None:
    """With nothing, although claims are in flight."""
    flies = threading.Event()

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        flies.set()
        window.wake()
        await asyncio.Event().wait()
        return State.ACCEPTED

    with a_window(script) as (window, _):
        window.submit(claims(1))
        assert window.collect(wait=True) == []
        assert flies.is_set()


def test_draining_reaches_the_submitter(a_window: Opener) -> None:
    """In its own thread, where it may touch what belongs to the loop."""
    threads: list[str] = []

    async def script(_: Claim, submitter: ScriptedSubmitter) -> State:
        await submitter.drained.wait()
        threads.append(threading.current_thread().name)
        return State.FAILED

    with a_window(script) as (window, _):
        window.submit(claims(1))
        window.drain()
        assert rows(collected(window, 1)) == [1]
    assert threads == ["submit"]


def test_a_submitter_that_cannot_be_made_is_an_error_where_the_window_is_opened(a_window: Opener) -> None:
    """Not in a thread that nobody looks at."""

    def make() -> ScriptedSubmitter:
        raise ConfigError("no such proxy")

    with pytest.raises(ConfigError, match="no such proxy"), a_window(make=make):
        pass


def test_a_submitter_that_swallows_its_cancellation_does_not_keep_the_window_open(a_window: Opener) -> None:
    """What is awaited may answer in the very turn in which it is cancelled: then the task has to be told again."""
    begun = threading.Event()

    async def deaf_once(_: Claim, __: ScriptedSubmitter) -> State:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()
        return State.ACCEPTED

    with a_window(deaf_once, concurrency=1) as (window, submitter):
        window.submit(claims(2))
        assert begun.wait(20)
        window.close(at_once=True)
        assert submitter.closed
        assert [claim.request.row.number for claim in submitter.submitted] == [1]
