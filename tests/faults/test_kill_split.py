"""SIGKILL while rows go in two steps: before, between and after them nobody is engaged twice, and nobody is lost.

What the platform may have done is told by the addresses of the profiles that were engaged: the second request names a
profile id only.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from ordeal import Ordeal, crowd

from batchrunner.sandbox import Handle

LIVES = (
    "claimed:1", "claimed:2", "claimed:5", "sent:1", "sent:9", "sent:17", "sent:30", "answered:1", "answered:10",
    "answered:25", "collected:1", "collected:3", "collected:6", "committed:1", "committed:3", "half_a_line:1",
    "written:1", "written:4",
)  # fmt: skip

IMPORTING, STARTING = 1, 2
CLAIMED = 0


class ByAddress:
    """A sandbox that tells engagements by address."""

    def __init__(self, inner: Handle) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def engagement_counts(self) -> dict[str, int]:
        """How often each address was engaged."""
        addresses = {one["id"]: str(one["data"].get("email")) for one in self._inner.profiles(limit=1_000_000)}
        return Counter(addresses[one["profile_id"]] for one in self._inner.engagements(limit=1_000_000))


class SplitOrdeal:
    """An ordeal whose job goes in two steps; it notes at which of them rows were when the process died."""

    def __init__(self, inner: Ordeal) -> None:
        self.inner = inner
        self.met: set[tuple[int, int]] = set()
        inner.sandbox = ByAddress(inner.sandbox)  # type: ignore[assignment]

    def give(self, rows: list[dict[str, str]], *, in_doubt: str = "resend") -> None:
        """Write the job and its export. Even where nothing is recognised, imports in doubt may be made again."""
        self.inner.give(rows)
        if not self.inner.deduplicates:
            self.inner.sandbox.change(dedupe_window_s=0)
        job = self.inner.home / "job.toml"
        text = job.read_text().replace("[target]\n", '[target]\nmode = "split"\ndb_id = 3\n', 1)
        job.write_text(text.replace('in_doubt = "hold"', f'in_doubt = "{in_doubt}"'))

    def die_at(self, point: str, verb: str = "run") -> bool:
        """Whether the command died there."""
        died = self.inner.die_at(point, verb)
        if died and self.inner.ledger.exists():
            with closing(sqlite3.connect(f"file:{self.inner.ledger}?mode=ro", uri=True)) as database:
                try:
                    query = "SELECT DISTINCT step, state FROM steps JOIN entries USING (run_id, source_no, row_number)"
                    self.met |= set(database.execute(query).fetchall())
                except sqlite3.OperationalError:  # it died before there were tables
                    return died
        return died


@pytest.fixture
def split(ordeal: Ordeal) -> SplitOrdeal:
    """An ordeal in two steps."""
    return SplitOrdeal(ordeal)


@pytest.mark.parametrize("deduplicates", [True, False], ids=["deduplicating", "not"])
def test_a_split_run_is_killed_at_every_moment_of_a_row_s_life(split: SplitOrdeal, deduplicates: bool) -> None:
    """One job, killed at one point after the other, until a plain run completes it."""
    split.inner.deduplicates = deduplicates
    split.give(crowd(500, "p"))
    died = [split.die_at(point) for point in LIVES]
    assert all(died[:-2]), died  # the last ones may find too little left to do
    split.inner.go_through()
    split.inner.check()
    assert {(IMPORTING, CLAIMED), (STARTING, CLAIMED)} <= split.met


def test_a_split_run_is_killed_before_every_statement_of_the_ledger(split: SplitOrdeal) -> None:
    """Between the outcome of the first step and the claim of the second, too: they are one commit."""
    split.give(crowd(90, "p"))
    split.inner.concurrency = 4
    at = 1
    while split.die_at(f"before_statement:{at}"):
        at += 1 if at < 40 else 5
    assert at > 40
    split.inner.go_through()
    split.inner.check()
    assert (STARTING, CLAIMED) in split.met


@pytest.mark.parametrize("in_doubt", ["resend", "hold"])
def test_a_split_run_is_killed_after_every_statement_of_the_ledger(split: SplitOrdeal, in_doubt: str) -> None:
    """Where the platform recognises nothing: at most once each, and who is missing is listed in doubt."""
    split.inner.deduplicates = False
    split.give(crowd(80, "p"), in_doubt=in_doubt)
    at = 1
    while split.die_at(f"after_statement:{at}"):
        at += 3
    assert at > 20
    split.inner.go_through()
    split.inner.check()
    if in_doubt == "resend":  # then nobody waits whose import alone was in doubt
        with closing(sqlite3.connect(split.inner.ledger)) as database:
            query = "SELECT DISTINCT step FROM steps JOIN entries USING (run_id, source_no, row_number)"
            left = {step for (step,) in database.execute(f"{query} WHERE state = 4 AND superseded_by IS NULL")}
        assert left <= {STARTING}


@pytest.mark.parametrize("deduplicates", [True, False], ids=["deduplicating", "not"])
@pytest.mark.parametrize("mode", ["single", "split"])
def test_a_run_that_updates_is_killed_at_every_moment(split: SplitOrdeal, mode: str, deduplicates: bool) -> None:
    """Each person stands twice in the file: the first row engages, the second updates, whatever dies between them."""
    split.inner.deduplicates = deduplicates
    split.give([{**row, "name": f"{row['name']}{n}"} for row in crowd(60, "p") for n in (1, 2)])
    job = split.inner.home / "job.toml"
    text = job.read_text().replace("[rules]\n", '[rules]\non_change = "update"\n')
    job.write_text(text.replace('mode = "split"', f'mode = "{mode}"'))
    points = ("sent:1", "claimed:2", "answered:9", "collected:4", "committed:5", "sent:30", "claimed:6", "written:3")
    died = [split.die_at(point) for point in points]
    assert died[0], died  # how much is left for the others depends on what was in flight
    split.inner.go_through()
    split.inner.go_through()
    split.inner.check()


def test_a_retry_of_split_rows_is_killed_at_every_moment(split: SplitOrdeal) -> None:
    """Rows that were refused at their second step go again from the first, and each is engaged once."""
    split.give(crowd(120, "p", rejected=0))
    split.inner.sandbox.change(fail=["435:100"], only="workflows/start")
    assert split.inner.go_through()["rejected"] > 100
    split.inner.sandbox.change(fail=[], only="")
    for point in ("claimed:1", "claimed:3", "sent:5", "sent:20", "answered:5", "answered:20", "committed:2"):
        split.die_at(point, "retry")
    split.inner.go_through("retry")
    split.inner.go_through("retry")
    split.inner.check()
