"""A look without SQLAlchemy finds what a look with it finds, and leaves to it whatever is not as it should be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from ledgers import NOW_MS, Backend, a_claim, a_request, a_run, a_source, end, ends, refs, send, totals_of
from test_ledger_migrations import OF_OLD, of_old

import batchrunner.ledger
from batchrunner.ledger import Looks, Nights, Pause, SqlLedger, Whole, at_a_glance
from batchrunner.ledger.glance import _UNFINISHED
from batchrunner.model import Rejected, State

JOBS = ("crm", "nightly", "never")


def everything(at: Looks) -> list[object]:
    """All that can be asked."""
    told: list[object] = [at.jobs()]
    for job in JOBS:
        run = at.last_run(job)
        told += [run, at.unfinished_counts(job), at.is_running(job), at.paused(job, NOW_MS), at.paused(job, 0)]
        if run is not None:
            told += [at.again(run), at.open_claims(run)]
    return told


def test_both_looks_find_the_same(backend: Backend, ledger: SqlLedger) -> None:
    """Runs that ended, died and go on; rows that wait, were taken over and lie in other jobs; a pause."""
    first = a_run(ledger, "crm-1", read=(a_source("a.csv"), a_source("b.csv")))
    send(ledger, first, *(a_claim(number) for number in (1, 2)))
    send(ledger, first, a_claim(3), to=State.IN_DOUBT)
    send(ledger, first, a_claim(4), a_claim(5), to=State.FAILED)
    refused = [a_claim(6), a_claim(7)]
    ledger.exchange(first, [], refused, totals_of(2))
    ledger.exchange(first, [ends(one, Rejected("435", "several")) for one in refused], [], totals_of(2))
    end(ledger, first, totals_of(7))
    second = a_run(ledger, "crm-2", at_ms=NOW_MS + 1)
    send(ledger, second, a_claim(a_request(4), takes_over=refs(first, 4)))
    send(ledger, second, a_claim(8), a_claim(9), to=None)
    other = a_run(ledger, "nightly-1", job="nightly", read=())
    send(ledger, other, a_claim(11), to=State.REJECTED)
    Nights(ledger).pause(Pause("nightly", NOW_MS - 5, NOW_MS - 1, None))
    Nights(ledger).pause(Pause("crm", NOW_MS - 5, None, "moving house"))

    with ledger.locked("nightly"), backend.open() as opened:
        found = at_a_glance(backend.url, everything)
        assert found == everything(Whole(opened))
    assert found is not None
    assert {State.IN_DOUBT, State.FAILED, State.REJECTED} == {
        state for state, _ in at_a_glance(backend.url, lambda at: at.unfinished_counts("crm")) or {}
    }


def test_a_ledger_that_there_is_not_yet_is_empty_and_leaves_no_trace(tmp_path: Path) -> None:
    """As the whole one says."""
    with SqlLedger.for_reading(str(tmp_path / "none.db")) as opened:
        assert at_a_glance(str(tmp_path / "none.db"), everything) == everything(Whole(opened))
    assert not list(tmp_path.iterdir())


def test_a_look_changes_nothing(backend: Backend, ledger: SqlLedger) -> None:
    """Not even by mistake."""
    a_run(ledger, "crm-1")

    def spoil(at: Looks) -> bool:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            at._connection.execute("DELETE FROM runs")  # type: ignore[attr-defined]
        return True

    assert at_a_glance(backend.url, spoil)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def _spoil(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET totals = '{'")


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")


def _no_database(path: Path) -> None:
    path.write_text("Dear diary")


@pytest.mark.parametrize("hurt", [_cut, _spoil, _foreign, _no_database])
def test_what_is_not_as_it_should_be_is_left_to_those_who_can_say_it(
    hurt: Callable[[Path], None], tmp_path: Path
) -> None:
    """A part of a damaged ledger is never taken for all of it."""
    path = tmp_path / "ledger.db"
    with SqlLedger(path) as made:
        a_run(made, "crm-1")
    hurt(path)
    assert at_a_glance(str(path), everything) is None


@pytest.mark.parametrize("script", OF_OLD, ids=lambda script: script.stem)
def test_an_older_ledger_is_left_to_those_who_can_migrate_it(script: Path, tmp_path: Path) -> None:
    """Its tables may be others."""
    assert at_a_glance(str(of_old(script, tmp_path / "old.db")), everything) is None


def test_what_waits_is_found_by_its_index(ledger: SqlLedger) -> None:
    """Ten million accepted rows must not be read for a few that are not."""
    plan = ledger.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {_UNFINISHED}", ("crm",)).all()
    assert "entries_unfinished" in str(plan)


def test_everything_that_the_room_offers_is_there() -> None:
    """It is loaded when it is asked for."""
    assert all(getattr(batchrunner.ledger, name) is not None for name in batchrunner.ledger.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        batchrunner.ledger.nothing  # type: ignore[attr-defined]  # noqa: B018
