"""What is special about a ledger in an SQLite file: who may read it, what is refused, what survives."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledgers import a_claim, a_process, a_request, a_run, end, ends, send, totals_of

from batchrunner.errors import LedgerError
from batchrunner.ledger import History, SqlLedger, open_ledger
from batchrunner.model import State

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no ledger yet."""
    return tmp_path / "ledger.db"


def refusal(path: Path | str) -> str:
    """The sentence with which a ledger is refused."""
    with pytest.raises(LedgerError) as caught:
        open_ledger(str(path)).close()
    return str(caught.value)


# --- who may read it ---------------------------------------------------------------------------


def test_only_its_owner_can_read_a_ledger(tmp_path: Path) -> None:
    """Whatever the umask says, and the files beside it too: the newest entries are in the write-ahead log."""
    path = tmp_path / "state" / "deep" / "ledger.db"
    before = os.umask(0)
    try:
        with open_ledger(str(path)) as ledger, ledger.locked("crm"):
            send(ledger, a_run(ledger), a_claim(1))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.crm.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_ledger_holds_no_payload_and_no_address(path: Path) -> None:
    """Neither in the file nor in its log: keys are digests, and texts of answers stay in the result files."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        for state in (State.ACCEPTED, State.REJECTED, State.IN_DOUBT):
            send(ledger, run, a_claim(a_request(int(state), f"secret-{state.name}", "private words")), to=state)
        ledger.bury_dead_runs("crm", 1)
        kept = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))

    assert b"read_timeout" in kept
    for secret in (b"secret-", b"private words", b"example.com", b"bad field"):
        assert secret not in kept


# --- what is refused ---------------------------------------------------------------------------


def test_a_ledger_of_a_newer_program_is_refused(path: Path) -> None:
    """With both versions and the way out; its content stays as it was."""
    open_ledger(str(path)).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE schema_version SET version = 99")
    database.close()
    before = path.read_bytes()

    said = refusal(path)

    assert said.startswith(f"ledger {path}: was written by a newer batchrunner (ledger version 99, this program knows ")
    assert "upgrade batchrunner, or name another ledger with --ledger" in said
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    """Not one byte of it changes, its journal mode neither."""
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE invoices (number INTEGER)")
    database.commit()
    database.close()
    before = path.read_bytes()

    assert refusal(path) == (
        f"ledger {path}: is a database, but not a ledger of batchrunner; name another file with --ledger"
    )
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """An export given as the ledger by mistake."""
    content = b"email,name\n" + b"ann@example.com,Ann\n" * 100
    path.write_bytes(content)

    assert f"ledger {path}: the file is not a ledger; name another file with --ledger" in refusal(path)
    assert path.read_bytes() == content


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    """A sentence, not a traceback."""
    assert refusal(tmp_path).startswith(f"ledger {tmp_path}: the file cannot be opened")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me:geheim@db/ledger", "postgresql://me:***@db/ledger: this version keeps ledgers in SQLite"),
        ("sqlite://", "sqlite://: this version keeps ledgers in SQLite files"),
        ("://x", "://x: is not a database URL"),
    ],
)
def test_a_database_that_we_do_not_speak_is_refused(url: str, sentence: str) -> None:
    """Before anything is opened, and without its password."""
    said = refusal(url)
    assert said.startswith(sentence)
    assert "geheim" not in said


def test_a_path_and_a_url_name_the_same_ledger(path: Path) -> None:
    """`--ledger PATH` and `--ledger sqlite:///PATH`."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)

    with open_ledger(f"sqlite:///{path}") as ledger:
        assert ledger.path == path
        assert History(ledger).run("last").id == run


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of a superuser, for as long as the block lasts."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_ledger_that_may_not_be_written_says_so() -> None:
    """Another user's ledger: a sentence with both ways out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_ledger(str(path)).close()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        with nobody():
            said = refusal(path)
        path.parent.chmod(0o755)

    assert said.startswith(f"ledger {path}: ")
    assert "the ledger is read-only; give yourself write permission, or name another with --ledger" in said


def test_a_folder_that_may_not_be_written_says_so() -> None:
    """Where a first ledger cannot be made."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with nobody():
            said = refusal(Path(folder) / "ledger.db")
        Path(folder).chmod(0o755)

    assert said.endswith("ledger.db: Permission denied; check the path and your rights")


def overwrite(path: Path, first: int, last: int) -> None:
    """Damage a file between two of its bytes."""
    with path.open("r+b") as file:
        file.seek(first)
        file.write(b"\xde\xad\xbe\xef" * ((last - first) // 4))


def ask_everything(path: Path) -> None:
    """What a run does with its ledger."""
    with open_ledger(str(path)) as ledger:
        ledger.bury_dead_runs("crm", 1)
        run = a_run(ledger, "run-2")
        ledger.standing([a_request(number).key for number in range(1, 500)])
        send(ledger, run, *(a_claim(number) for number in range(1000, 3000)))
        ledger.count_states(run)


@pytest.mark.parametrize(("first", "last"), [(0, 16), (24, 100), (4096, 12288), (100, 60_000)])
def test_a_damaged_ledger_is_a_ledger_error(path: Path, first: int, last: int) -> None:
    """Wherever the damage lies: one sentence that names the file, never a traceback, never a silent run."""
    with open_ledger(str(path)) as ledger:
        send(ledger, a_run(ledger), *(a_claim(number) for number in range(1, 500)))
    overwrite(path, first, last)

    with pytest.raises(LedgerError) as caught:
        ask_everything(path)
    assert str(caught.value).startswith(f"ledger {path}: ")


def test_a_full_disk_says_so_and_loses_nothing(path: Path) -> None:
    """The transaction that did not fit is gone as a whole, and its reason is told; with room, the ledger goes on."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        send(ledger, run, a_claim(1), to=None)
        pages = ledger.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        ledger.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

        with pytest.raises(LedgerError, match="the disk is full; make room and run again"):
            ledger.exchange(run, [], [a_claim(number) for number in range(2, 5000)], totals_of(4999))

        assert ledger.count_states(run) == {State.CLAIMED: 1}
        ledger.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5000}")
        ledger.exchange(run, [], [a_claim(number) for number in range(2, 5000)], totals_of(4999))
        assert ledger.count_states(run) == {State.CLAIMED: 4999}


def test_a_ledger_that_is_busy_too_long_says_so(path: Path) -> None:
    """Another program holds the write lock."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        ledger.connection.exec_driver_sql("PRAGMA busy_timeout = 10")
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")

        with pytest.raises(LedgerError, match="another program holds the ledger; end it, or run again later"):
            send(ledger, run, a_claim(1))

        blocker.execute("ROLLBACK")
        blocker.close()
        send(ledger, run, a_claim(1))
        assert ledger.count_states(run) == {State.ACCEPTED: 1}


def test_the_log_goes_when_the_last_one_closes_the_ledger(path: Path) -> None:
    """While somebody has it open it may be long; then everything is in the file, which is all there is."""
    with open_ledger(str(path)) as one:
        run = a_run(one)
        with open_ledger(str(path)) as other:
            send(other, run, *(a_claim(number) for number in range(1, 400)))
        assert Path(f"{path}-wal").stat().st_size > 0
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (399,)


# --- reading -----------------------------------------------------------------------------------


def test_reading_where_there_is_no_ledger_leaves_no_trace(tmp_path: Path) -> None:
    """`status` before the first run: an empty answer, and no file."""
    with SqlLedger.for_reading(str(tmp_path / "none" / "ledger.db")) as ledger:
        assert History(ledger).runs() == []
        assert not ledger.is_running("crm")

    assert list(tmp_path.iterdir()) == []


def test_reading_sees_what_a_run_has_committed(path: Path) -> None:
    """While the run goes on."""
    with open_ledger(str(path)) as running:
        run = a_run(running)
        send(running, run, a_claim(1))

        with SqlLedger.for_reading(str(path)) as ledger:
            assert ledger.count_states(run) == {State.ACCEPTED: 1}


def test_a_ledger_that_must_exist_is_not_made(path: Path) -> None:
    """`create=False` says so instead."""
    with pytest.raises(LedgerError, match="does not exist: nothing was ever run with it"):
        open_ledger(str(path), create=False)
    assert not path.exists()


@pytest.mark.parametrize("attempt", range(8))
def test_several_programs_make_one_ledger_together(path: Path, attempt: int) -> None:
    """Jobs that start for the first time in the same moment: none is told that the ledger is locked."""
    failures: list[Exception] = []
    barrier = threading.Barrier(6)

    def make(job: str) -> None:
        barrier.wait()
        try:
            with open_ledger(str(path)) as ledger:
                end(ledger, a_run(ledger, job, job=job))
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=make, args=(f"job-{at}",)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with open_ledger(str(path)) as ledger:
        assert History(ledger).jobs() == [f"job-{at}" for at in range(6)]


def test_a_big_batch_is_one_transaction(path: Path) -> None:
    """Far more rows than a statement has parameters."""
    with open_ledger(str(path)) as ledger:
        run = a_run(ledger)
        claims = [a_claim(number) for number in range(1, 12_001)]
        ledger.exchange(run, [], claims, totals_of(len(claims)))
        settled = [ends(claim, State.REJECTED if claim.request.row.number % 2 else State.ACCEPTED) for claim in claims]
        ledger.exchange(run, settled, [], totals_of(len(claims), settled))

        assert ledger.count_states(run) == {State.ACCEPTED: 6_000, State.REJECTED: 6_000}
        assert len(ledger.standing([claim.request.key for claim in claims])) == 12_000


# --- kill -9 -----------------------------------------------------------------------------------

EXCHANGE_FOR_EVER = """
import sys
from ledgers import a_claim, a_run, ends, totals_of
from batchrunner.ledger import open_ledger
with open_ledger(sys.argv[1]) as ledger:
    run = a_run(ledger)
    settled, flying = [], []
    for batch in range(10_000):
        claims = [a_claim(batch * 7 + at) for at in range(7)]
        print("begin", batch, flush=True)
        ledger.exchange(run, [ends(c) for c in flying], claims, totals_of(7 * (batch + 1), list(map(ends, settled))))
        print("done", batch, flush=True)
        settled += flying
        flying = claims
"""


@pytest.mark.parametrize("batches", [1, 40])
def test_after_a_kill_the_ledger_holds_exactly_what_was_committed(path: Path, batches: int) -> None:
    """It opens, it is whole, and of the exchange that was cut off there is all or nothing."""
    with a_process(EXCHANGE_FOR_EVER, str(path)) as process:
        assert process.stdout is not None
        lines = []
        while f"done {batches}\n" not in lines:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    done = sum(word == "done" for word, _ in whole)
    begun = sum(word == "begin" for word, _ in whole)
    assert done > batches

    with open_ledger(str(path)) as ledger:
        assert ledger.connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        assert ledger.bury_dead_runs("crm", 1) == ["run-1"]
        record = History(ledger).run("run-1")
        states = ledger.count_states(record.id)
        rows = {one.row_number for one in History(ledger).entries(record.id, list(states), 10**6)}
    claimed = len(rows)
    assert rows == set(range(claimed))
    assert claimed in {7 * done, 7 * begun}
    assert states == {State.ACCEPTED: claimed - 7, State.IN_DOUBT: 7}
    assert (record.totals.read, record.totals.in_doubt) == (claimed, 7)


def test_a_second_look_in_one_process_costs_the_first_no_lock(tmp_path: Path) -> None:
    """A file that we open and close by ourselves loses the locks of its process: another program would end the log."""
    path = tmp_path / "ledger.db"
    with SqlLedger(path) as ledger:
        run = a_run(ledger)
        with SqlLedger.for_reading(str(path)):
            pass
        look = "import sys; from batchrunner.ledger import open_ledger; open_ledger(sys.argv[1]).close()"
        subprocess.run([sys.executable, "-c", look, str(path)], check=True)
        ledger.exchange(run, [], [a_claim(1)], totals_of(1, []))
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
