"""Dated names, sizes of files, and moving files away."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

import pytest

from batchrunner.errors import HeldBack, LedgerError, Reason
from batchrunner.nights import dated, event_of, fewest_rows, finished, move, too_small

# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "is_"),
    [
        ("export-{date:%Y-%m-%d}.csv", "export-2026-03-01.csv"),
        ("export-{yesterday:%d.%m.%Y}.csv", "export-28.02.2026.csv"),
        ("{date:%Y}/{date:%m}/{date}.csv", "2026/03/2026-03-01.csv"),
        ("{yesterday}", "2026-02-28"),
        ("export-{day}-{}-{{date}}.csv", "export-{day}-{}-{2026-03-01}.csv"),
    ],
)
def test_dates_in_a_name_are_written_out(path: str, is_: str) -> None:
    """Today's and yesterday's, in any format; other braces are part of the name."""
    assert dated(path, datetime(2026, 3, 1, 2, 0)) == is_  # noqa: DTZ001  the wall clock's date is all there is to it


def test_files_that_are_being_written_are_known_by_their_names(tmp_path: Path) -> None:
    """And what is not there, or is no file, is not among them."""
    (tmp_path / "sub").mkdir()
    for name in ("a-1.csv", "a-2.csv", "a-3.csv.part"):
        (tmp_path / name).touch()
    paths = [tmp_path / name for name in ("a-2.csv", "a-1.csv", "a-3.csv.part", "a-4.csv", "sub")]
    assert [one.name for one in finished(paths, ("*.part",))] == ["a-2.csv", "a-1.csv"]


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "last", "reason"),
    [
        (0, [], Reason.TOO_FEW_ROWS),
        (9, [], Reason.TOO_FEW_ROWS),
        (10, [], None),
        (499, [1000, 1000, 1000], Reason.SHRUNK_FILE),
        (500, [1000, 1000, 1000], None),
        (600, [1000, 50_000, 1000], None),  # one strange night changes little
        (450, [500, 1000, 1000, 1000], None),  # a person let last night's pass
        (249, [500, 1000, 1000, 1000], Reason.SHRUNK_FILE),
    ],
)
def test_a_suddenly_small_file_is_refused(rows: int, last: list[int], reason: Reason | None) -> None:
    """Against the smaller of the last file and the median of the last nights, `shrink_alert` being 50%."""
    refused = too_small("export.csv", rows, 10, 50.0, last)
    assert (refused.reason if refused else None) == reason
    assert (rows >= fewest_rows(10, 50.0, last)) == (reason is None)


def test_without_shrink_alert_only_the_number_counts() -> None:
    """`min_rows` alone."""
    assert too_small("export.csv", 1, 1, None, [1_000_000]) is None
    assert "is empty" in str(too_small("export.csv", 0, 1, None, []))


# --- moving -----------------------------------------------------------------------------------


def write(path: Path, text: str = "rows") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_moved_and_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    """In front of the first ending, so that what kind of file it is stays known."""
    done = tmp_path / "done" / "2026"
    kept = [move(write(tmp_path / "in" / "export.csv.gz", text), done) for text in "abc"]
    assert [one.name for one in kept] == ["export.csv.gz", "export-1.csv.gz", "export-2.csv.gz"]
    assert [one.read_text() for one in kept] == ["a", "b", "c"]
    assert list((tmp_path / "in").iterdir()) == []


def test_a_move_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    """The file had its new name already, and still had its old one."""
    file = write(tmp_path / "export.csv")
    (tmp_path / "done").mkdir()
    os.link(file, tmp_path / "done" / "export.csv")
    assert move(file, tmp_path / "done") == tmp_path / "done" / "export.csv"
    assert [one.name for one in (tmp_path / "done").iterdir()] == ["export.csv"]
    assert not file.exists()


def test_a_file_stays_where_it_belongs(tmp_path: Path) -> None:
    """Into its own folder nothing is moved."""
    file = write(tmp_path / "export.csv")
    assert move(file, tmp_path) == file
    assert file.exists()


def test_a_move_across_file_systems_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied under a name that is no export's, then named; times are kept."""
    link = os.link

    def as_if_apart(source: Path, target: Path, **options: bool) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", as_if_apart)
    write(tmp_path / "done" / "export.csv", "older")
    file = write(tmp_path / "in" / "export.csv")
    os.utime(file, ns=(10**18, 10**18))
    kept = move(file, tmp_path / "done")
    assert (kept.name, kept.read_text(), kept.stat().st_mtime_ns) == ("export-1.csv", "rows", 10**18)
    assert sorted(one.name for one in (tmp_path / "done").iterdir()) == ["export-1.csv", "export.csv"]
    assert not file.exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_a_real_second_file_system(tmp_path: Path) -> None:
    """As a network share would be."""
    folder = Path("/dev/shm") / f"batchrunner-test-{os.getpid()}"
    try:
        kept = move(write(tmp_path / "export.csv"), folder)
        assert kept.read_text() == "rows"
        assert not (tmp_path / "export.csv").exists()
        assert [one.name for one in folder.iterdir()] == ["export.csv"]
    finally:
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()


def test_a_file_system_without_links_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is taken with an empty file first, so that two who move take two names."""

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    write(tmp_path / "done" / "export.csv", "older")
    kept = move(write(tmp_path / "export.csv"), tmp_path / "done")
    assert (kept.name, kept.read_text()) == ("export-1.csv", "rows")
    assert (tmp_path / "done" / "export.csv").read_text() == "older"
    assert not (tmp_path / "export.csv").exists()


# --- events -----------------------------------------------------------------------------------


def test_a_guard_that_works_as_planned_wakes_nobody() -> None:
    """And an error that is not of a night is no event."""
    paused, rows = event_of(HeldBack("p")), event_of(HeldBack("m", Reason.MAX_ROWS))
    assert paused
    assert rows
    assert (paused.needs_somebody, rows.needs_somebody) == (False, True)
    assert event_of(LedgerError("l")) is None
    assert event_of(None) is None
