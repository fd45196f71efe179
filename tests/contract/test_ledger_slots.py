"""A slot fires once, whoever asks: the ledger sees to it."""

from __future__ import annotations

import threading
from pathlib import Path

from batchrunner.ledger import Slots, open_ledger


def test_a_slot_is_claimed_once(tmp_path: Path) -> None:
    """The second to ask is told that it is taken; other slots and other jobs are free."""
    with open_ledger(str(tmp_path / "ledger.db")) as first, open_ledger(str(tmp_path / "ledger.db")) as second:
        assert Slots(first).claim("nightly", 100, 1, passed_over=2)
        assert not Slots(second).claim("nightly", 100, 2)
        assert Slots(second).claim("nightly", 200, 2)
        assert Slots(second).claim("other", 100, 2)
        assert Slots(first).last_s("nightly") == 200
        assert [(one.slot_s, one.passed_over) for one in Slots(first).recent("nightly", 5)] == [(200, 0), (100, 2)]


def test_many_at_once_claim_a_slot_once(tmp_path: Path) -> None:
    """Eight that ask at the same moment: one has it."""
    path, ready, got = str(tmp_path / "ledger.db"), threading.Barrier(8), []
    open_ledger(path).close()

    def ask() -> None:
        with open_ledger(path) as ledger:
            ready.wait()
            got.append(Slots(ledger).claim("nightly", 100, 1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


def test_what_became_of_a_slot_is_remembered(tmp_path: Path) -> None:
    """How its run ended; and a slot that is given back is free again."""
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        slots = Slots(ledger)
        slots.begin("nightly", 50, 1)
        assert slots.claim("nightly", 100, 1)
        slots.end("nightly", 100, run="20261123-020000-aaaaaa", exit_code=5, now_ms=9)
        (fired, passed) = slots.recent("nightly", 2)
        assert (fired.state, fired.run, fired.exit_code, fired.ended_ms) == ("fired", "20261123-020000-aaaaaa", 5, 9)
        assert (passed.state, passed.run) == ("passed", None)
        slots.give_back("nightly", 100)
        assert slots.last_s("nightly") == 50
        assert slots.claim("nightly", 100, 1)


def test_old_slots_are_forgotten_and_none_of_them_is_due_again(tmp_path: Path) -> None:
    """But for the last one, and the last that went well; those of other jobs stay."""
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        slots = Slots(ledger)
        slots.begin("nightly", 50, 1)
        for slot_s, exit_code in ((100, 0), (200, 5), (300, 4), (400, 4)):
            assert slots.claim("nightly", slot_s, slot_s)
            slots.end("nightly", slot_s, run=None, exit_code=exit_code, now_ms=slot_s + 5)
        assert slots.claim("nightly", 250, 250)  # whoever fired it was killed
        assert slots.claim("other", 100, 1)
        assert slots.old("nightly", 300) == slots.forget("nightly", 300) == 3
        assert [one.slot_s for one in slots.recent("nightly", 9)] == [400, 300, 200]
        assert slots.last_finished_ms("nightly") == 205
        assert slots.old("nightly", 10_000) == slots.forget("nightly", 10_000) == 1
        assert [one.slot_s for one in slots.recent("nightly", 9)] == [400, 200]
        assert not slots.claim("nightly", 400, 9)
        assert not slots.claim("other", 100, 9)
