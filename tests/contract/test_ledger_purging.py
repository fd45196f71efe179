"""Purging forgets outcomes and history, and changes no answer of the gate; copies of a ledger are ledgers."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import DAY_MS, NOW_MS, a_claim, a_request, a_run, a_uuid, end, ends, key_of, send, totals_of

from batchrunner.clock import Clock
from batchrunner.errors import LedgerError
from batchrunner.gate import GatePolicy
from batchrunner.ledger import History, SqlLedger, open_ledger
from batchrunner.ledger.copies import EXPORTED, backup, export, vacuum
from batchrunner.ledger.purging import Purge, Purged
from batchrunner.model import Accepted, EntryRef, RunId, State, TaskRecord, Totals
from batchrunner.pipeline import PlainGate
from batchrunner.ports import Onward

STATES = [State.ACCEPTED, State.REJECTED, State.FAILED, State.IN_DOUBT]


class At:
    """A clock that stands."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Always the same."""
        return self._now_ms

    def elapsed_s(self) -> float:
        """Always the same."""
        return 0.0


def answers(ledger: SqlLedger, policy: GatePolicy, clock: Clock) -> list[object]:
    """What the gate says of everything that anybody was ever asked for."""
    gate = PlainGate(ledger, RunId(999), policy, clock)
    requests = [
        a_request(number, f"person-{person}", what)
        for number, (person, what) in enumerate(((p, w) for p in range(4) for w in "abc"), start=1)
    ]
    judged = gate.judge(1, requests)
    # An address of an entry that is gone is not needed by a claim that takes nobody's place.
    return [
        getattr(one[1].decision, "reason", type(one[1].decision).__name__) for one in judged if isinstance(one, tuple)
    ]


row = st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.sampled_from(STATES))


@given(
    runs=st.lists(st.tuples(st.integers(0, 200), st.lists(row, max_size=5)), max_size=6),
    older_than=st.integers(1, 150),
    repeat_after=st.one_of(st.none(), st.integers(1, 250)),
    later=st.integers(0, 300),
)
@settings(max_examples=20, deadline=None)
def test_no_answer_of_the_gate_changes(
    runs: list[tuple[int, list[tuple[int, str, State]]]], older_than: int, repeat_after: int | None, later: int
) -> None:
    """Whatever was sent when, whatever is purged: now and later the gate says what it would have said."""
    policy = GatePolicy(resend_in_doubt=True, window_ms=DAY_MS, repeat_after_ms=repeat_after and repeat_after * DAY_MS)
    with TemporaryDirectory() as folder, open_ledger(f"{folder}/ledger.db") as ledger:
        for number, (age, rows) in enumerate(sorted(runs, key=lambda one: -one[0])):
            at_ms = NOW_MS - age * DAY_MS
            run = a_run(ledger, f"run-{number}", at_ms=at_ms)
            seen = set()
            for at, (person, what, state) in enumerate(rows, start=1):
                request = a_request(at, f"person-{person}", what)
                if request.key in seen:
                    continue
                seen.add(request.key)
                standing = ledger.standing([request.key]).get(request.key)
                send(
                    ledger, run, a_claim(request, at_ms=at_ms, takes_over=(standing.ref,) if standing else ()), to=state
                )
            end(ledger, run, at_ms=at_ms + 1000)
        clocks = [At(NOW_MS), At(NOW_MS + later * DAY_MS)]
        before = [answers(ledger, policy, clock) for clock in clocks]
        waiting = History(ledger).unfinished_counts("crm")
        purge = Purge(
            ledger,
            "crm",
            NOW_MS - older_than * DAY_MS,
            None if repeat_after is None else NOW_MS - repeat_after * DAY_MS,
        )
        planned = purge.count()
        assert purge.go() == planned
        assert [answers(ledger, policy, clock) for clock in clocks] == before
        assert History(ledger).unfinished_counts("crm") == waiting
        assert purge.count().deleted == purge.count().stripped == 0


def test_an_outcome_goes_and_its_digest_stays(ledger: SqlLedger) -> None:
    """No profile id, no Request-ID, and the key is accepted as before."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1), a_claim(2))
    end(ledger, run)
    assert Purge(ledger, "crm", NOW_MS + DAY_MS, None).go() == Purged(stripped=2)
    (entry, _) = History(ledger).entries(run, [State.ACCEPTED], 10)
    assert entry.profile_id is None
    standing = ledger.standing([key_of("person-1")])[key_of("person-1")]
    assert (standing.state, standing.ref) == (State.ACCEPTED, EntryRef(run, 1, 1))


def test_the_number_of_a_task_goes_with_the_request_id_of_its_rows(ledger: SqlLedger) -> None:
    """It is kept in the transaction that settles the rows, and forgotten as what they became is."""
    run, young = a_run(ledger), a_run(ledger, "run-2")
    task = TaskRecord("task-7", a_uuid(1), 2, (1, 1), (1, 2))
    ledger.exchange(run, [], [], Totals(), Onward(tasks=[task]))
    ledger.exchange(young, [], [], Totals(), Onward(tasks=[task]))
    assert History(ledger).tasks(run) == [task]
    end(ledger, run)
    end(ledger, young, at_ms=NOW_MS + 2 * DAY_MS)
    Purge(ledger, "crm", NOW_MS + DAY_MS, None).go()
    assert (History(ledger).tasks(run), History(ledger).tasks(young)) == ([], [task])


@pytest.mark.parametrize("forgotten", [None, NOW_MS + DAY_MS], ids=["stripped", "deleted"])
def test_what_was_purged_is_in_no_byte_of_the_ledger(ledger: SqlLedger, forgotten: int | None) -> None:
    """Neither in the file, in pages that are free now, nor in its write-ahead log; with rows settled out of order."""
    secrets = []
    for number in range(2):
        run = a_run(ledger, f"run-{number}")
        claims = [a_claim(a_request(n, f"{number}-{n}")) for n in range(1, 500)]
        ledger.exchange(run, [], claims, totals_of(len(claims)))
        settled = [ends(claim, Accepted(f"5{number}{claim.request.row.number:022x}")) for claim in claims]
        for start in range(2):
            ledger.exchange(run, settled[start::2], [], totals_of(len(claims), settled))
        end(ledger, run)
        secrets += [bytes.fromhex(claim.request_id.replace("-", "")) for claim in claims]
    assert any(secret in content_of(ledger) for secret in secrets)
    purge = Purge(ledger, "crm", NOW_MS + DAY_MS, forgotten)
    purge.go()
    assert purge.wipe_log()
    assert [secret for secret in secrets if secret in content_of(ledger)] == []


def content_of(ledger: SqlLedger) -> bytes:
    """Every byte that it has on disk."""
    return b"".join(path.read_bytes() for path in ledger.path.parent.glob(f"{ledger.path.name}*"))


def test_what_is_deleted_is_overwritten(ledger: SqlLedger) -> None:
    """Whatever the SQLite at hand was built with."""
    assert ledger.connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_while_others_read_the_log_of_a_purge_stays(ledger: SqlLedger) -> None:
    """And that is told, not waited for."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1))
    end(ledger, run)
    purge = Purge(ledger, "crm", NOW_MS + DAY_MS, None)
    with closing(sqlite3.connect(ledger.path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM runs").fetchone()
        ledger.connection.exec_driver_sql("PRAGMA busy_timeout = 10")
        purge.go()
        assert not purge.wipe_log()
    assert purge.wipe_log()


def test_a_run_without_entries_goes_but_for_the_last(ledger: SqlLedger) -> None:
    """So that `status` still says when the job ran last; other jobs are left alone."""
    for number, job in enumerate(["crm", "other", "crm", "crm"], start=1):
        end(ledger, a_run(ledger, f"run-{number}", job=job))
    assert Purge(ledger, "crm", NOW_MS + DAY_MS, None).go().runs == 2
    assert [run.name for run in History(ledger).runs()] == ["run-4", "run-2"]


def test_what_is_young_stays(ledger: SqlLedger) -> None:
    """By the end of its run."""
    run = a_run(ledger)
    send(ledger, run, a_claim(1))
    end(ledger, run, at_ms=NOW_MS)
    purge = Purge(ledger, "crm", NOW_MS, None)
    assert (purge.runs(), purge.go()) == ([], Purged())


# --- copies -----------------------------------------------------------------------------------


def test_a_backup_is_a_ledger_as_it_was_at_one_moment(ledger: SqlLedger, tmp_path: Path) -> None:
    """While another connection goes on writing; private, and never over another file."""
    run = a_run(ledger)
    go_on = threading.Event()

    def write() -> None:
        with open_ledger(str(ledger.path)) as other:
            number = 0
            while not go_on.is_set():
                number += 2
                send(other, run, a_claim(number), a_claim(number + 1))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        to = tmp_path / "backup.db"
        size = backup(ledger, to)
    finally:
        go_on.set()
        thread.join()
    assert size == to.stat().st_size
    assert to.stat().st_mode & 0o777 == 0o600
    with open_ledger(str(to)) as copied:
        states = copied.count_states(run)
        assert sum(states.values()) % 2 == 0
        assert set(states) <= {State.ACCEPTED, State.CLAIMED}
    with pytest.raises(LedgerError, match="is there already"):
        backup(ledger, to)
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_that_cannot_be_written_leaves_nothing(ledger: SqlLedger, tmp_path: Path) -> None:
    """And says why."""
    with pytest.raises(LedgerError, match="check the path"):
        backup(ledger, tmp_path / "no" / "such" / "folder.db")


def test_vacuum_gives_room_back(ledger: SqlLedger) -> None:
    """Of what was purged."""
    run = a_run(ledger)
    send(ledger, run, *(a_claim(number) for number in range(1, 3000)))
    end(ledger, run)
    Purge(ledger, "crm", NOW_MS + DAY_MS, NOW_MS + DAY_MS).go()
    before, after = vacuum(ledger)
    assert after < before / 2
    assert sqlite3.connect(ledger.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_export_has_every_entry(ledger: SqlLedger) -> None:
    """Of one job or of all, with what a person may want to join it to."""
    run, other = a_run(ledger), a_run(ledger, "run-2", job="other")
    send(ledger, run, a_claim(1))
    send(ledger, run, a_claim(2), to=State.REJECTED)
    send(ledger, other, a_claim(3))
    first, second, third = (dict(zip(EXPORTED, one.values, strict=True)) for one in export(ledger))
    assert (first["job"], first["run"], first["row"], first["line"], first["outcome"]) == (
        "crm",
        "run-1",
        1,
        2,
        "accepted",
    )
    assert first["profile_id"] == "5f1e9c0a5f1e9c0a5f1e9c0a"
    assert first["key"] == key_of("person-1").hex()
    assert (second["outcome"], second["code"], second["current"]) == ("rejected", "304", True)
    assert third["job"] == "other"
    assert len(list(export(ledger, "other"))) == 1
