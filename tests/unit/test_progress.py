"""The bar: by bytes, on stderr, and only where somebody sees it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batchrunner import progress
from batchrunner.model import Totals
from batchrunner.progress import Bar

TOTALS = Totals(read=9, accepted=5, rejected=1, unusable=1, in_doubt=1, skipped={"accepted": 1})


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What has been written to stderr since it was last looked at; every update is drawn."""
    monkeypatch.setattr(progress, "REFRESH_S", 0)
    return lambda: capsys.readouterr().err


Screen = Callable[[], str]


def test_the_bar_tells_bytes_outcomes_and_what_flies(screen: Screen) -> None:
    """Rejected, failed and unusable rows are errors; what did not occur is not told."""
    with Bar(200, "crm", shown=True) as bar:
        bar.update(50, TOTALS, 3)
        first = screen().split("\r")[-1]
        bar.update(100, Totals(read=1, accepted=1), 0)
        second = screen().split("\r")[-1]

    assert first.startswith("crm  25%|")
    assert "| 5 accepted, 2 errors, 1 in doubt, 1 skipped, 3 in flight, " in first
    assert second.startswith("crm  50%|")
    assert "1 accepted, 0 in flight, " in second
    assert "errors" not in second


def test_a_bar_of_a_check_speaks_of_no_requests(screen: Screen) -> None:
    """Nothing is accepted and nothing flies where nothing is sent."""
    with Bar(200, "crm", shown=True, sends=False) as bar:
        bar.update(50, Totals(read=3, accepted=2, unusable=1), 0)
        told = screen().split("\r")[-1]
    assert "| 2 usable, 1 errors, " in told
    assert "flight" not in told


def test_a_limit_that_changes_is_told_with_what_flies(screen: Screen) -> None:
    """What is claimed beyond it waits for its turn, and does not fly."""
    limit = 32
    with Bar(200, "crm", shown=True, limit_now=lambda: limit) as bar:
        bar.update(50, TOTALS, 24)
        assert ", 24 of 32 in flight, " in screen().split("\r")[-1]
        limit = 16
        bar.update(50, TOTALS, 24)
        assert ", 16 of 16 in flight, " in screen().split("\r")[-1]


def test_the_bar_moves_while_the_position_stands(screen: Screen) -> None:
    """The file is read, and answers are slow to come."""
    with Bar(200, "crm", shown=True) as bar:
        bar.update(200, Totals(accepted=1), 9)
        bar.update(200, Totals(accepted=2), 8)
        assert "2 accepted, 8 in flight" in screen().split("\r")[-1]


def test_the_bar_is_redrawn_only_now_and_then(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of every exchange, and must cost nothing."""
    with Bar(200, "crm", shown=True) as bar:
        bar.update(1, Totals(accepted=1), 0)
        monkeypatch.setattr(progress, "REFRESH_S", 3600)
        assert "1 accepted" in screen()
        for position in range(2, 200):
            bar.update(position, Totals(accepted=position), 0)
        assert screen() == ""


@pytest.mark.parametrize("shown", [False, None])
def test_nothing_is_drawn_where_nobody_looks(screen: Screen, shown: bool | None) -> None:
    """By wish, or because stderr is no terminal."""
    with Bar(200, "crm", shown=shown) as bar:
        bar.update(50, TOTALS, 3)
    assert screen() == ""


def test_the_bar_leaves_nothing_behind(screen: Screen) -> None:
    """The summary stands alone."""
    with Bar(200, "crm", shown=True) as bar:
        bar.update(50, TOTALS, 3)
        assert screen()
    assert screen().strip() == ""


def test_sources_without_a_byte_have_a_bar_too(screen: Screen) -> None:
    """No division by zero."""
    with Bar(0, "crm", shown=True) as bar:
        bar.update(0, Totals(), 0)
    assert "0 accepted" in screen()
