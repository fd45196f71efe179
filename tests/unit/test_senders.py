"""The window to processes that send: claims shared out, limits told, and what becomes of claims when one dies."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter

import pytest
from doubles import ScriptedSubmitter
from hypothesis import given
from hypothesis import strategies as st
from ledgers import a_claim, a_request
from msgspec.structs import replace
from windows import ALimit, a_sender, over

from batchrunner.cli.shares import shares
from batchrunner.errors import SenderDied
from batchrunner.model import (
    Accepted,
    Claim,
    Failed,
    Importing,
    InDoubt,
    Outcome,
    Parcel,
    Rejected,
    RequestId,
    Settled,
    Starting,
    State,
    Updating,
)
from batchrunner.pipeline import ToldLimit
from batchrunner.pipeline.crossing import (
    Ends,
    Loads,
    claims_in,
    ends_of,
    framed,
    from_sender,
    loads_of,
    settled,
    to_sender,
)

pytestmark = pytest.mark.timeout(60)


async def never(_: Claim, __: ScriptedSubmitter) -> State:
    """No answer comes."""
    await asyncio.Event().wait()
    return State.ACCEPTED


# --- the line ------------------------------------------------------------------------------------

texts = st.text(max_size=20)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Accepted, st.none() | texts),
    *(st.builds(kind, texts, texts) for kind in (Rejected, Failed, InDoubt)),
)
steps = st.one_of(st.none(), st.builds(Importing, st.booleans()), st.builds(Starting, texts), st.just(Updating()))


@st.composite
def given_claims(draw: st.DrawFn) -> Claim:
    """Claims of all kinds."""
    claim = a_claim(draw(st.integers(1, 10**9)))
    return replace(
        claim,
        request=replace(claim.request, payload=draw(st.binary(max_size=50))),
        request_id=RequestId(draw(texts)),
        doubtful=draw(st.booleans()),
        resent=draw(st.booleans()),
        step=draw(steps),
    )


@given(
    st.lists(given_claims() | st.lists(given_claims(), min_size=1, max_size=3).map(lambda some: Parcel(tuple(some))))
)
def test_claims_arrive_as_they_left_but_for_their_cells(loads: list[Claim | Parcel]) -> None:
    """Alone or in parcels; all that the side of HTTP needs is there, and what it does not need is not."""
    (message,) = to_sender().feed(framed(loads_of(loads)))
    assert isinstance(message, Loads)
    arrived = [claim for load in claims_in(message) for claim in (load.claims if isinstance(load, Parcel) else (load,))]
    alone = [load for load in loads if isinstance(load, Claim)]
    left = [*alone, *(claim for load in loads if isinstance(load, Parcel) for claim in load.claims)]
    assert [_seen(one) for one in arrived] == [_seen(one) for one in left]
    assert all(claim.request.row.record == "" for claim in arrived)


def _seen(claim: Claim) -> tuple[object, ...]:
    request = claim.request
    return (
        request.key, request.payload, request.row.number, claim.request_id, claim.requested_at_ms, claim.doubtful,
        claim.resent, claim.step,
    )  # fmt: skip


maybe = st.none() | texts
counts = st.integers(0, 10**6)
ends = st.builds(
    Settled, st.builds(a_claim), outcomes, counts, counts, st.booleans(), counts, maybe, maybe, st.booleans()
)


@given(ends)
def test_ends_come_back_as_they_were(end: Settled) -> None:
    """With the claim that this side has kept."""
    (message,) = from_sender().feed(framed(ends_of([end], None)))
    assert isinstance(message, Ends)
    assert settled(message.ends[0], end.claim) == end


@given(st.lists(st.lists(given_claims(), max_size=3), max_size=5), st.integers(1, 200))
def test_messages_are_whole_however_their_bytes_come(batches: list[list[Claim]], piece: int) -> None:
    """Cut anywhere."""
    written = b"".join(framed(loads_of(batch)) for batch in batches)
    frames = to_sender()
    came = [message for at in range(0, len(written), piece) for message in frames.feed(written[at : at + piece])]
    assert came == [loads_of(batch) for batch in batches]


# --- shares --------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 15))
def test_connections_are_shared_out_whole_and_evenly(connections: int, count: int) -> None:
    """None gets nothing, and none two more than another."""
    count = min(connections, count)
    parts = shares(connections, count)
    assert (len(parts), sum(parts)) == (count, connections)
    assert min(parts) >= 1
    assert max(parts) - min(parts) <= 1


def test_claims_go_where_there_is_most_room() -> None:
    """Two with unequal shares are filled alike, and each claim is with one of them."""
    senders = [a_sender(lambda: ScriptedSubmitter(never), share)[0] for share in (3, 1)]
    window = over(senders)
    try:
        assert window.concurrency == 4
        window.submit([a_claim(number) for number in range(1, 9)])
        assert [len(sender.out) for sender in senders] == [6, 2]
    finally:
        window.close(at_once=True)


def test_a_limit_that_is_found_out_there_is_known_here() -> None:
    """From the start on, and whenever it has changed."""
    limit = ALimit(4)

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        limit.limit = 7
        return State.ACCEPTED

    told = ToldLimit(ALimit(1).record)
    window = over([a_sender(lambda: ScriptedSubmitter(script), 20, limit)[0]], told)
    assert window.concurrency == told.limit == 4
    window.submit([a_claim(1)])
    assert len(window.collect(wait=True)) == 1
    assert window.concurrency == told.limit == 7
    assert told.record == limit.record
    window.close()


# --- a death -------------------------------------------------------------------------------------


def test_what_was_with_a_process_that_died_is_in_doubt_and_the_run_is_told_to_stop() -> None:
    """The other goes on; each row has one end, and each request is counted once."""
    flying = threading.Semaphore(0)

    async def script(_: Claim, __: ScriptedSubmitter) -> State:
        flying.release()
        await asyncio.Event().wait()
        return State.ACCEPTED

    dying, stand = a_sender(lambda: ScriptedSubmitter(script), 2)
    living, _ = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([dying, living])
    try:
        claims = [a_claim(number) for number in range(1, 7)]
        window.submit(claims)
        with_it = set(dying.out)
        assert flying.acquire(timeout=20)
        stand.kill()

        ends = window.collect(wait=True)
        assert {end.claim.request.key for end in ends} == with_it
        assert {type(end.outcome) for end in ends} == {InDoubt}
        assert {end.outcome.code for end in ends if isinstance(end.outcome, InDoubt)} == {"sender_died"}
        assert isinstance(window.trouble, SenderDied)
        assert f"signal 9), and {len(with_it)} rows" in str(window.trouble)
        assert window.collect(wait=False) == []

        window.submit([a_claim(7)])  # as halves of a parcel may be, before the run has stopped
        assert len(living.out) == len(claims) - len(with_it) + 1
    finally:
        window.close(at_once=True)


def test_a_parcel_that_died_with_its_process_counts_as_one_request() -> None:
    """All its rows are in doubt."""
    sender, stand = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([sender])
    claims = tuple(replace(a_claim(number), request_id=RequestId("one")) for number in range(1, 4))
    window.submit([Parcel(claims)])
    stand.kill()
    ends = window.collect(wait=True)
    assert [end.requests for end in ends] == [1, 0, 0]
    window.close()


def test_with_nobody_left_to_send_claims_end_unsent() -> None:
    """Certainly: they never left this process."""
    sender, stand = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([sender])
    window.submit([a_claim(1)])
    stand.kill()
    assert len(window.collect(wait=True)) == 1
    window.submit([a_claim(2), Parcel((a_claim(3), replace(a_claim(4), doubtful=True)))])
    ends = window.collect(wait=True)
    assert [type(end.outcome) for end in ends] == [Failed, Failed, InDoubt]
    assert [end.requests for end in ends] == [0, 0, 0]
    window.close()


def test_one_that_cannot_tell_an_end_dies_rather_than_keep_it() -> None:
    """Nobody would wait for it but for ever: its rows are in doubt, and the run stops."""

    async def unspeakable(claim: Claim, _: ScriptedSubmitter) -> Settled:
        return Settled(claim, InDoubt("odd", "\udc80"), 1, 1)

    sender, stand = a_sender(lambda: ScriptedSubmitter(unspeakable), 1)
    window = over([sender])
    window.submit([a_claim(1)])
    assert [end.outcome.code for end in window.collect(wait=True) if isinstance(end.outcome, InDoubt)] == [
        "sender_died"
    ]
    assert isinstance(window.trouble, SenderDied)
    assert stand.lost.wait(20)
    window.close()


def test_a_window_that_cannot_be_closed_in_order_leaves_nobody_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory for a last word: they are ended without."""
    sender, stand = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([sender])
    window.submit([a_claim(1)])

    def no_memory(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sender, "say", no_memory)
    with pytest.raises(MemoryError):
        window.close()
    assert stand.lost.wait(20)


def test_after_the_end_nobody_has_to_hear_what_is_durable() -> None:
    """Whoever was given up keeps nothing any more."""
    sender, _ = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([sender])
    sender.wants_durable = True
    claim = a_claim(1)
    window.submit([claim])
    window.close(at_once=True)
    window.durable([Settled(claim, InDoubt("interrupted", ""), 1, 1)])


def test_one_whose_parent_is_gone_learns_it_from_the_line() -> None:
    """Whatever it is doing."""
    sender, stand = a_sender(lambda: ScriptedSubmitter(never), 1)
    window = over([sender])
    window.submit([a_claim(1)])
    sender.line.close()
    assert stand.lost.wait(20)


def test_more_than_a_line_holds_at_once_arrives() -> None:
    """What does not go off at once goes when there is room, and nobody waits for the other."""
    sender, _ = a_sender(ScriptedSubmitter, 2)
    window = over([sender])
    heavy = [
        replace(a_claim(number), request=replace(a_request(number), payload=bytes(1 << 20))) for number in range(1, 9)
    ]
    window.submit(heavy)
    assert sender.unsent
    seen: Counter[bytes] = Counter()
    while sum(seen.values()) < len(heavy):
        seen.update(end.claim.request.key for end in window.collect(wait=True))
    assert set(seen.values()) == {1}
    assert not sender.unsent
    window.close()


def test_one_that_ends_before_it_is_ready_is_an_error_where_the_window_is_opened() -> None:
    """With what it ended of."""
    sender, stand = a_sender(lambda: ScriptedSubmitter(never), 1)
    stand.code = 1
    stand.line.shutdown(socket.SHUT_RDWR)
    with pytest.raises(SenderDied, match="ended before it was ready"):
        over([sender])
