"""What a noisy run leaves behind: everything is read, and nothing secret is found in it.

Rows of every ending, a crash, retries, refusals and the loudest log, on every command there is.
"""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest
from bench import Bench, toml

TOKEN = "tok-5f0c2a9e7b-never-anywhere"

ADDRESSES = ("ann.secret@example.com", "bob.secret+fail-435@example.com", "cy.secret+html-502@example.com")
NAMES = ("Annabella", "Bobadilla", "Cyriaque", "Dorothea")
BAD_ADDRESS = "dora.secret-at-example.com"


@pytest.fixture
def noisy(bench: Bench) -> Bench:
    """A home after runs of all kinds."""
    bench.token = TOKEN
    bench.sandbox.change(token=TOKEN)
    bench.job(data={"email": {"column": "email", "as": "email"}, "_fname": "{name}"}, limits={"attempts": 2}, rules={})
    emails = (*ADDRESSES, BAD_ADDRESS)
    bench.csv([{"email": email, "name": name} for email, name in zip(emails, NAMES, strict=True)])
    for words in (
        ("check", "job.toml"),
        ("run", "job.toml", "--dry-run", "-vv"),
        ("run", "job.toml", "-vv", "--profile"),
        ("retry", "job.toml", "-vv"),
        ("run", "job.toml", "-vv", "--url", "http://127.0.0.1:9", "--allow-resend"),
        ("status",), ("runs",), ("show", "last"),
        ("resolve", "job.toml", "--run", "last", "--as", "resend"),
        ("results", "job.toml", "--spreadsheet-safe"),
    ):  # fmt: skip
        bench.cli(*words)
    bench.sandbox.change(token="another")
    assert bench.cli("run", "job.toml", "-vv", "--allow-resend").code in {0, 4, 5}
    return bench


def left_behind(home: Path) -> dict[Path, bytes]:
    """Every file, but the export and the job that the user has written."""
    return {
        path: path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name not in {"people.csv", "job.toml"}
    }


def test_the_token_is_in_nothing_that_a_noisy_run_leaves_behind(noisy: Bench) -> None:
    """Logs, result files, ledger, summaries, locks."""
    left = left_behind(noisy.home)
    assert len(left) > 10
    assert [path for path, content in left.items() if TOKEN.encode() in content] == []


def test_what_is_said_and_logged_names_nobody(noisy: Bench) -> None:
    """Rows are told by number, line and code; the result files alone hold what the export held."""
    said = {path: text for path, text in left_behind(noisy.home).items() if path.name.startswith(("stdout", "stderr"))}
    for secret in (*ADDRESSES, *NAMES, BAD_ADDRESS):
        assert [path.name for path, text in said.items() if secret.encode() in text] == []


def test_the_ledger_holds_no_cell_of_the_export(noisy: Bench) -> None:
    """Digests, numbers and codes: each cell is looked for in all of its files, whichever way text is stored."""
    files = [path for path in noisy.state.rglob("ledger.db*") if path.is_file()]
    assert files
    content = b"".join(path.read_bytes() for path in files).lower()
    for cell in (*ADDRESSES, *NAMES, BAD_ADDRESS):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            assert cell.lower().encode(encoding) not in content
    assert b"secret" not in content


def test_everything_is_readable_by_its_owner_only(noisy: Bench) -> None:
    """Whatever the umask was."""
    for path in noisy.state.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a list of processes that can be read")
def test_the_token_is_not_in_the_list_of_processes(bench: Bench) -> None:
    """Arguments are for everybody to read; a token comes from the environment or a file."""
    bench.token = TOKEN
    bench.sandbox.change(token=TOKEN, latency_s=0.3)
    bench.job()
    bench.csv([{"email": f"p{n}@example.com", "name": "x"} for n in range(40)])
    started = bench.start("run", "job.toml")
    seen = 0
    while started.process.poll() is None:
        for entry in Path("/proc").iterdir():
            try:
                arguments = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            except OSError:
                continue
            seen += 1
            assert TOKEN.encode() not in arguments
        time.sleep(0.05)
    assert seen


def test_a_token_in_the_wrong_place_is_refused_without_being_repeated(bench: Bench) -> None:
    """Written into the job file by mistake: the sentence names the key, not the value."""
    bench.job(target={"token": TOKEN})
    bench.csv([{"email": "ann@example.com", "name": "Ann"}])
    ended = bench.cli("run", "job.toml")
    assert ended.code == 2
    assert "token" in ended.err
    assert TOKEN not in ended.told()


def test_an_attachment_does_not_lead_out_of_its_folder(bench: Bench) -> None:
    """Neither by dots, nor by an absolute path, nor by a link: the row is unusable, and nothing is read."""
    (bench.home / "files").mkdir()
    (bench.home / "outside.txt").write_text("out of bounds")
    (bench.home / "files" / "link.txt").symlink_to(bench.home / "outside.txt")
    names = ("../outside.txt", str(bench.home / "outside.txt"), "link.txt")
    bench.csv([{"email": f"p{n}@example.com", "name": name} for n, name in enumerate(names)])
    path = bench.job()
    attach = {"name": "x", "data": {"column": "name", "as": "file", "folder": "files"}, "mimetype": "text/plain"}
    text = path.read_text().replace("[request.data]", f"[[request.attach]]\n{_lines(attach)}\n[request.data]")
    path.write_text(text)
    ended = bench.run()
    assert (ended.json["unusable"], ended.json["accepted"]) == (3, 0), ended.told()
    assert bench.effects() == {}


def _lines(values: dict[str, object]) -> str:
    return "\n".join(f"{key} = {toml(value)}" for key, value in {**values, "file_key": "k"}.items())
