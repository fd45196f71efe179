"""What a text names: files, directories, patterns, standard input; and the private copies that are kept."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchrunner.errors import Interrupted, SourceError, UsageError
from batchrunner.sources import fingerprint
from batchrunner.sources.places import LocalFile, RemoteFile, StandardInput, all_places, at_hand, places
from batchrunner.sources.spool import Spool


def touch(folder: Path, *names: str) -> None:
    """Files with something in them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a\n{name}\n", encoding="utf-8")


def named(spec: str, folder: Path) -> list[str]:
    """What a text names, relative to the folder."""
    return [str(place.path.relative_to(folder)) for place in places(spec, folder) if isinstance(place, LocalFile)]


def test_a_path_is_taken_at_its_word_even_if_nothing_is_there(tmp_path: Path) -> None:
    """What is missing is said by whoever opens it."""
    assert places("gone.csv", tmp_path) == [LocalFile(tmp_path / "gone.csv")]
    assert places("gone.csv", Path()) == [LocalFile(Path("gone.csv"))]
    assert places(str(tmp_path / "x.csv"), Path("elsewhere")) == [LocalFile(tmp_path / "x.csv")]


def test_a_pattern_names_the_files_that_match_in_order_of_their_names(tmp_path: Path) -> None:
    """Folders are left out, hidden files too; `**` looks beneath."""
    touch(tmp_path, "in/b.csv", "in/a.csv", "in/.c.csv", "in/d.txt", "in/deep/e.csv", "in/folder.csv/x.txt")
    assert named("in/*.csv", tmp_path) == ["in/a.csv", "in/b.csv"]
    assert named("in/**/*.csv", tmp_path) == ["in/a.csv", "in/b.csv", "in/deep/e.csv"]
    assert [place.name for place in places(f"{tmp_path}/in/[ab].csv", Path("/"))] == [
        f"{tmp_path}/in/a.csv",
        f"{tmp_path}/in/b.csv",
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    """CRMs write `export [1].csv`."""
    touch(tmp_path, "export [1].csv", "export 1.csv")
    assert named("export [1].csv", tmp_path) == ["export [1].csv"]


def test_a_directory_names_all_its_visible_files(tmp_path: Path) -> None:
    """None is left out for its name: what does not fit the job is said, not passed over."""
    touch(tmp_path, "in/b.csv", "in/a.jsonl", "in/README", "in/.part", "in/deep/e.csv")
    assert named("in", tmp_path) == named("in/", tmp_path) == ["in/README", "in/a.jsonl", "in/b.csv"]


@pytest.mark.parametrize("spec", ["empty", "*.csv", "\0*"])
def test_nothing_at_all_is_an_error_with_the_next_step(tmp_path: Path, spec: str) -> None:
    """A nightly job that finds no file must not end well by itself."""
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    with pytest.raises(SourceError, match="check `path` under"):
        places(spec, tmp_path)


def test_an_address_is_a_file_on_another_machine(tmp_path: Path) -> None:
    """Nothing is asked before it is fetched; what cannot be right is said at once, without secrets."""
    (place,) = places("https://host/a.csv?sign=secret", tmp_path)
    assert isinstance(place, RemoteFile)
    assert place.name == "https://host/a.csv?…"
    assert [one.name for one in all_places(["s3://b/a.csv", "a.csv"], Path())] == ["s3://b/a.csv", "a.csv"]
    with pytest.raises(SourceError, match="passwords do not belong") as caught:
        places("sftp://me:secret@host/a.csv", tmp_path)
    assert "secret" not in str(caught.value)


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    """A second time it would be empty."""
    assert all_places(["-", "a.csv"], tmp_path) == [StandardInput(), LocalFile(tmp_path / "a.csv")]
    with pytest.raises(UsageError, match="only once"):
        all_places(["-", "a.csv", "-"], tmp_path)


# --- the spool ---------------------------------------------------------------------------------


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[None]:
    """Put a file in the place of standard input."""
    with path.open(encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield


def spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, oldest_s: float = 0) -> Path:
    """The copy that is kept of what is piped in."""
    piped = tmp_path / "piped"
    piped.write_bytes(content)
    with standard_input(monkeypatch, piped):
        return at_hand(StandardInput(), Spool(tmp_path / "spool", oldest_s)).path


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"email\na@example.com\n", ".csv"),
        (b'\n  {"email": "a@example.com"}\n', ".jsonl"),
        ('[\n{"a": "я"}]'.encode("utf-16"), ".jsonl"),
        (b"", ".csv"),
        (b"\x1f\x8b\x08 damaged", ".csv"),
    ],
)
def test_standard_input_is_kept_privately_and_named_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, suffix: str
) -> None:
    """Nobody else can read it, and the end of its name tells the format, as that of a file would."""
    kept = spooled(tmp_path, monkeypatch, content)
    assert (kept.read_bytes(), kept.suffix) == (content, suffix)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert kept.name.startswith(fingerprint(kept).fingerprint)
    assert Spool(kept.parent, 0).with_content(fingerprint(kept).fingerprint) == kept
    assert Spool(kept.parent, 0).with_content("*") is None


def test_equal_content_is_kept_once_and_old_copies_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies hold personal data: they live as long as the job says and no longer."""
    first = spooled(tmp_path, monkeypatch, b"a\n1\n")
    before = first.stat()
    assert spooled(tmp_path, monkeypatch, b"a\n1\n") == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    os.utime(first, (1_000, 1_000))
    second = spooled(tmp_path, monkeypatch, b"a\n2\n", oldest_s=2_000)
    assert sorted(first.parent.iterdir()) == [second]


def test_a_copy_that_was_found_again_counts_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry after a month must not lose it in between."""
    kept = spooled(tmp_path, monkeypatch, b"a\n1\n")
    os.utime(kept, (1_000, 1_000))
    Spool(kept.parent, 0).with_content(fingerprint(kept).fingerprint)
    assert kept.stat().st_atime > 1_000
    assert kept.stat().st_mtime == 1_000  # whoever reads it sees that nobody has written to it


def test_waiting_for_a_pipe_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the other side computes: nothing stays behind."""
    reading, writing = os.pipe()
    asked = iter(range(3))

    def go_on() -> None:
        if next(asked, None) is None:
            raise Interrupted(2)

    with os.fdopen(reading, encoding="utf-8") as file, os.fdopen(writing, "wb"):
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(Interrupted):
            at_hand(StandardInput(), Spool(tmp_path / "spool", 0), go_on)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_pipe_that_is_filled_slowly_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is when the other side closes, not when nothing comes for a while."""
    reading, writing = os.pipe()
    waited = threading.Event()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(b"a\n")
            file.flush()
            waited.wait(30)
            file.write(b"1\n")

    calls = 0

    def go_on() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            waited.set()

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        kept = at_hand(StandardInput(), Spool(tmp_path / "spool", 0), go_on).path
    thread.join()
    assert kept.read_bytes() == b"a\n1\n"


def test_a_terminal_and_a_closed_standard_input_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would wait for ever or fail with a traceback."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="no standard input"):
        at_hand(StandardInput(), Spool(tmp_path, 0))
    main, terminal = os.openpty()
    with os.fdopen(main, "rb"), os.fdopen(terminal, encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(SourceError, match="is a terminal"):
            at_hand(StandardInput(), Spool(tmp_path, 0))


def test_a_spool_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    (tmp_path / "spool").write_text("a file", encoding="utf-8")
    with pytest.raises(SourceError, match="no copy of the source can be kept"):
        spooled(tmp_path, monkeypatch, b"a\n1\n")
