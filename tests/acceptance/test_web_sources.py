"""Exports at addresses of the web, from a real server that does what servers do."""

from __future__ import annotations

import gzip
import io
import os
import signal
import ssl
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import trustme
from bench import Bench, counts, once_each, people, until
from web import Web, web_server

from batchrunner.addresses import Address
from batchrunner.config import SourceTable
from batchrunner.errors import Interrupted, SourceError
from batchrunner.remote import Patience, fetch, start_of
from batchrunner.sources import open_source
from batchrunner.sources.places import RemoteFile, at_hand
from batchrunner.sources.spool import Spool

QUICK = Patience(attempts=4, backoff_s=0.001, read_s=20.0, silence_s=60.0)
CONTENT = bytes(range(256)) * 4_000
BAD = "a+fail-435-once"


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    """One server for the module."""
    with web_server() as web:
        yield web


@pytest.fixture
def web(server: Web) -> Web:
    """The server with nothing on it."""
    server.files.clear()
    server.asked.clear()
    return server


def fetched(url: str, folder: Path, patience: Patience = QUICK) -> bytes:
    """What comes from an address."""
    to = folder / "copy"
    to.touch()
    fetch(Address.of(url), to, patience=patience)
    return to.read_bytes()


# --- lines that break --------------------------------------------------------------------------


def test_a_broken_line_goes_on_where_it_broke(web: Web, tmp_path: Path) -> None:
    """The server knows ranges and one content from another: nothing comes twice."""
    url = web.put("/a.csv", CONTENT, etag='"1"', knows_ranges=True, breaks_after=[300_000, 0, 200_000])
    assert fetched(url, tmp_path) == CONTENT
    begins = [int(one.removeprefix("bytes=")[:-1]) for one in web.ranges() if one]
    assert begins == sorted(begins)
    assert 0 < begins[0] <= 300_000


@pytest.mark.parametrize(("etag", "ranges"), [(None, True), ('W/"1"', True), ('"1"', False)])
def test_a_line_that_cannot_go_on_begins_anew(web: Web, tmp_path: Path, etag: str | None, ranges: bool) -> None:
    """Nothing is put together of which nobody knows that it belongs together."""
    url = web.put("/a.csv", CONTENT, etag=etag, knows_ranges=ranges, breaks_after=[500_000])
    assert fetched(url, tmp_path) == CONTENT


def test_a_content_that_has_changed_in_between_is_fetched_whole(web: Web, tmp_path: Path) -> None:
    """The first half of one export and the second half of another would be no export."""
    url = web.put("/a.csv", CONTENT, etag='"1"', knows_ranges=True, breaks_after=[500_000], becomes=CONTENT[::-1])
    assert fetched(url, tmp_path) == CONTENT[::-1]


def test_a_line_that_breaks_for_ever_is_given_up_in_one_sentence(web: Web, tmp_path: Path) -> None:
    """Attempts that bring nothing new are counted."""
    url = web.put("/a.csv", CONTENT, breaks_after=[1_000] * 50)
    with pytest.raises(SourceError, match=r"a\.csv: cannot be fetched, asked \d+ times: .*; nothing was sent; try"):
        fetched(url, tmp_path)
    assert len(web.asked) < 10


def test_an_answer_that_ends_early_is_no_whole_file(web: Web, tmp_path: Path) -> None:
    """A length was announced: fewer bytes are a broken line, however politely it was closed."""
    url = web.put("/a.csv", CONTENT[:100], headers={"Content-Length": "101"}, says_length=False)
    with pytest.raises(SourceError, match="cannot be fetched"):
        fetched(url, tmp_path)


def test_a_server_that_is_busy_is_asked_again(web: Web, tmp_path: Path) -> None:
    """503 and 429 pass by; what stays is said with the status."""
    url = web.put("/a.csv", CONTENT, statuses=[503, 429, 500], headers={"Retry-After": "0"})
    assert fetched(url, tmp_path) == CONTENT
    url = web.put("/b.csv", CONTENT, statuses=[503] * 9)
    with pytest.raises(SourceError, match="asked 4 times: the server answers 503"):
        fetched(url, tmp_path)


def test_a_server_that_stops_sending_is_not_waited_for_for_ever(web: Web, tmp_path: Path) -> None:
    """Each silence ends an attempt."""
    url = web.put("/a.csv", CONTENT, hangs_after=500)
    with pytest.raises(SourceError, match="asked 2 times: the server has stopped sending"):
        fetched(url, tmp_path, Patience(attempts=2, backoff_s=0.001, read_s=0.05))


def test_a_fetch_ends_at_once_when_it_is_to_stop(web: Web, tmp_path: Path) -> None:
    """However long the server takes."""
    web.hanging.clear()
    to = tmp_path / "copy"
    to.touch()

    def go_on() -> None:
        if web.hanging.is_set():
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        fetch(Address.of(web.put("/a.csv", CONTENT, hangs_after=500)), to, go_on)


# --- answers that are no export ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"statuses": [404]}, r"there is no such file \(404\); check the address"),
        ({"statuses": [403]}, r"does not let us have it \(403\)"),
        ({"statuses": [401]}, "netrc"),
        ({"statuses": [418]}, "answers 418 and sends no file"),
        ({"content": b"\n <!DOCTYPE html><title>Log in"}, "a web page came in place of an export"),
        ({"redirect": "/a.csv?again"}, "leads from one address to another"),
        ({"redirect": "gopher://x/"}, "leads to something that is no address"),
        ({"content": b"x", "headers": {"Content-Encoding": "br"}}, "packs it as 'br'"),
    ],
)
def test_what_is_no_export_is_said_at_once(web: Web, tmp_path: Path, how: dict[str, object], sentence: str) -> None:
    """One clear sentence without the query, and no second attempt."""
    url = web.put("/a.csv", **how)
    with pytest.raises(SourceError, match=sentence) as caught:
        fetched(f"{url}?sign=S3CR3T", tmp_path)
    assert "S3CR3T" not in str(caught.value)


def test_a_content_is_kept_as_it_is_packed(web: Web, tmp_path: Path) -> None:
    """Readers know packed exports by their content: it is not unpacked on its way."""
    packed = gzip.compress(CONTENT)
    url = web.put("/a.csv", packed, headers={"Content-Encoding": "gzip"}, says_length=False)
    assert fetched(url, tmp_path) == packed
    assert web.asked[0][1]["accept-encoding"] == "identity"


def test_only_the_start_is_fetched_where_only_that_is_wanted(web: Web) -> None:
    """And again, where the line breaks before it is there."""
    url = web.put("/a.csv", CONTENT * 50, breaks_after=[10])
    assert start_of(Address.of(url), 1_000, patience=QUICK) == CONTENT[:1_000]
    assert start_of(Address.of(web.put("/b.csv", b"few")), 1_000, patience=QUICK) == b"few"


def test_certificates_are_verified_and_nothing_leads_away_from_https(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority of one's own is named in the environment; a redirect must not take the lock away."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    with web_server(context) as safe:
        url = safe.put("/a.csv", CONTENT)
        with pytest.raises(SourceError, match=r"certificate cannot be verified.*SSL_CERT_FILE"):
            fetched(url, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert fetched(url, tmp_path) == CONTENT
        away = safe.put("/away", redirect=web.put("/a.csv", CONTENT) + "?sign=S3CR3T")
        with pytest.raises(SourceError, match="which anybody on the way can read") as caught:
            fetched(away, tmp_path)
    assert "S3CR3T" not in str(caught.value)


def test_a_login_comes_from_netrc_and_goes_to_its_host_only(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to where the server sends us."""
    login = tmp_path / "netrc"
    login.write_text("machine localhost login me password S3CR3T\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(login))
    with web_server() as other:
        other.put("/a.csv", CONTENT)
        elsewhere = f"{other.url.replace('localhost', '127.0.0.1')}/a.csv"
        assert fetched(web.put("/a.csv", redirect=elsewhere), tmp_path) == CONTENT
        assert web.asked[0][1]["authorization"].startswith("Basic ")
        assert "authorization" not in other.asked[0][1]


def _workbook(rows: list[list[str]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inside.csv", content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "content", "kept_as"),
    [
        ("/people.csv", b"email,n\na@x.org,1\n", "people.csv"),
        ("/export", b"email,n\na@x.org,1\n", "export.csv"),
        ("/export.php", b'\n{"email": "a@x.org", "n": "1"}\n', "export.php.jsonl"),
        ("/", b'[{"email": "a@x.org", "n": "1"}]', "export.jsonl"),
        ("/e%2Fx/..%2Fpeople%20all.CSV", b"email,n\na@x.org,1\n", "_people_all.CSV"),
        ("/people.zip", _zip(b"email,n\na@x.org,1\n"), "people.zip"),
        ("/people.bin", gzip.compress(b"email,n\na@x.org,1\n"), "people.bin.csv"),
        ("/people.xlsx", _workbook([["email", "n"], ["a@x.org", "1"]]), "people.xlsx"),
        ("/book", _workbook([["email", "n"], ["a@x.org", "1"]]), "book.csv"),
    ],
    ids=["csv", "no-name", "lines", "array", "odd-name", "zip", "gzip", "xlsx", "unnamed-xlsx"],
)
def test_every_kind_of_export_is_read_from_an_address(
    web: Web, tmp_path: Path, path: str, content: bytes, kept_as: str
) -> None:
    """By its name where that tells, else by its content; the copy is never kept outside of its folder."""
    place = RemoteFile(Address.of(web.put(path, content)))
    brought = at_hand(place, Spool(tmp_path / "spool", 0))
    assert brought.path.parent == tmp_path / "spool"
    assert brought.path.name.partition("-")[2] == kept_as
    reader = open_source(brought.path, SourceTable(path="-"), called=brought.called)
    (chunk,) = reader.chunks()
    assert [list(chunk.texts(column)) for column in ("email", "n")] == [["a@x.org"], ["1"]]
    assert reader.source.path == place.name


# --- the command line --------------------------------------------------------------------------


def put(bench: Bench, web: Web, rows: list[dict[str, str]], **how: object) -> str:
    """An export on the server only."""
    file = bench.csv(rows)
    content = file.read_bytes()
    file.unlink()
    return web.put("/out/people.csv", content, **how)


def test_an_export_is_sent_from_its_address_and_retried_from_its_copy(bench: Bench, web: Web) -> None:
    """The job names the address; the signature in it is nowhere in what is kept or said."""
    rows = [*people(5), {"email": f"{BAD}@example.com", "name": "Bad"}]
    url = put(bench, web, rows, etag='"1"', knows_ranges=True, breaks_after=[20])
    bench.job(source={"path": f"{url}?X-Amz-Signature=S3CR3T"})
    ran = bench.run()
    assert counts(ran.json) == {"accepted": 5, "rejected": 1}, ran.told()
    assert ran.json["source"] == f"{url}?…"
    web.files.clear()
    again = bench.retry()
    assert counts(again.json) == {"accepted": 1}, again.told()
    assert bench.effects() == once_each(rows)
    told = ran.told() + again.told() + bench.cli("show", "job.toml", "--last").told()
    kept = [path for path in bench.home.rglob("*") if path.is_file() and path.name != "job.toml"]
    assert kept
    assert "S3CR3T" not in told
    assert not [path for path in kept if b"S3CR3T" in path.read_bytes()]


def test_an_address_on_the_command_line_gives_what_the_file_gives(bench: Bench, web: Web) -> None:
    """The same keys: what was sent from a file is not sent again from an address."""
    rows = people(4)
    bench.job()
    bench.csv(rows)
    assert counts(bench.run().json) == {"accepted": 4}
    url = put(bench, web, rows)
    assert counts(bench.run(url, url).json) == {"skipped": {"accepted": 8}}
    assert bench.cli("check", "job.toml", url, "--output", "json").json["usable"] == 4
    assert f"line 2 of {url}" in bench.cli("preview", "job.toml", url, "-n", "1").out
    empty = bench.cli("check", "job.toml", web.put("/empty.csv", b"")).err
    assert f"batchrunner: {web.url}/empty.csv: " in empty


def test_without_its_copy_a_source_is_fetched_anew_and_must_be_the_same(bench: Bench, web: Web) -> None:
    """A retry sends rows of the very content that was sent before, or none."""
    url = put(bench, web, [*people(2), {"email": f"{BAD}@example.com", "name": "Bad"}])
    bench.job(source={"path": url})
    ran = bench.run()
    content = web.files["/out/people.csv"].content
    (copy,) = (bench.state / "spool" / "welcome").iterdir()
    copy.unlink()
    for file in Path(ran.json["run_dir"]).glob("*.csv"):
        file.unlink()
    web.put("/out/people.csv", content + b"new@example.com,New\n")
    changed = bench.retry()
    assert (changed.code, counts(changed.json)) == (4, {}), changed.told()
    assert f"{url}: the source has changed since it was sent" in changed.err
    web.put("/out/people.csv", content)
    assert counts(bench.retry().json) == {"accepted": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_fetch_that_is_cut_off_sends_nothing_and_leaves_nothing_for_long(
    bench: Bench, web: Web, number: signal.Signals
) -> None:
    """Killed, it leaves a part that the next run removes; stopped, not even that."""
    web.hanging.clear()
    url = put(bench, web, people(2), hangs_after=5)
    bench.job(source={"path": url})
    started = bench.start("run", "job.toml")
    until(web.hanging.is_set, "the server hangs")
    started.signal(number)
    started.end()
    left = list((bench.state / "spool" / "welcome").iterdir())
    assert len(left) == (number == signal.SIGKILL)
    assert not bench.effects()
    for path in left:
        os.utime(path, (1_000_000_000, path.stat().st_mtime - 120))
    put(bench, web, people(2))
    assert counts(bench.run().json) == {"accepted": 2}
    assert [path.name[-10:] for path in (bench.state / "spool" / "welcome").iterdir()] == ["people.csv"]


def test_a_fetch_that_goes_on_is_not_taken_for_one_that_died(bench: Bench, web: Web) -> None:
    """Two runs of a job may fetch at once; the lock tells the living from the dead."""
    web.hanging.clear()
    hangs = put(bench, web, people(2), hangs_after=5)
    bench.job()
    started = bench.start("check", "job.toml", hangs)
    until(web.hanging.is_set, "the server hangs")
    (part,) = (bench.state / "spool" / "welcome").iterdir()
    os.utime(part, (1_000_000_000_000, part.stat().st_mtime - 120))
    other = web.put("/other.csv", b"email,name\na@example.com,A\n")
    assert bench.cli("check", "job.toml", other).code == 0
    assert part.exists()
    started.kill()


def test_a_purge_removes_copies_that_are_kept_no_longer(bench: Bench, web: Web) -> None:
    """And parts of copies whose makers have died; what is being fetched now stays."""
    url = put(bench, web, people(2))
    bench.job(source={"path": url, "keep_copies": "2d"})
    bench.run()
    (copy,) = (bench.state / "spool" / "welcome").iterdir()
    (copy.parent / ".incoming-x").write_bytes(b"half of an export")
    assert bench.cli("purge", "job.toml", "--older-than", "1d", "--output", "json").json["copies"] == 0
    for path in copy.parent.iterdir():
        os.utime(path, (copy.stat().st_mtime - 3 * 86_400,) * 2)
    told = bench.cli("purge", "job.toml", "--older-than", "1d", "--dry-run").out
    assert "2 copies of sources" in told
    assert bench.cli("purge", "job.toml", "--older-than", "1d", "--output", "json").json["copies"] == 2
    assert not list(copy.parent.iterdir())


@pytest.mark.parametrize("packed", [False, True])
def test_init_looks_at_the_start_of_an_address(bench: Bench, web: Web, packed: bool) -> None:
    """The job file is written here, and passes as it stands; what looks like a signature is not in it."""
    url = put(bench, web, people(8))
    content = web.files["/out/people.csv"].content
    web.put("/out/people.csv", gzip.compress(content) if packed else content)
    written = bench.cli("init", f"{url}?format=csv")
    assert written.code == 0, written.told()
    assert f'path = "{url}?format=csv"' in (bench.home / "people.toml").read_text(encoding="utf-8")
    assert bench.cli("check", "people.toml", "--output", "json").json["usable"] == 8
    signed = bench.cli("init", f"{url}?sig=S3CR3T", "--force")
    assert "looks signed" in signed.err
    assert "S3CR3T" not in (bench.home / "people.toml").read_text(encoding="utf-8") + signed.told()


def test_what_belongs_to_files_of_this_machine_is_refused_with_an_address(bench: Bench) -> None:
    """At `check`, in one sentence each."""
    job = bench.job(source={"path": "https://crm.example/a.csv?S3CR3T"})
    text = job.read_text(encoding="utf-8")
    for section, key in (("[after]\narchive_to = 'done'", "after.archive_to"), ("[arrival]\n", "arrival")):
        job.write_text(f"{text}\n{section}\n", encoding="utf-8")
        refused = bench.cli("check", "job.toml")
        assert refused.code == 2
        assert f"'{key}' is for files of this machine, and 'source.path' is an address" in refused.err
    bench.job(source={"path": "https://me:S3CR3T@crm.example/a.csv"})
    refused = bench.cli("check", "job.toml")
    assert "passwords do not belong into an address" in refused.err
    assert "S3CR3T" not in refused.told()
