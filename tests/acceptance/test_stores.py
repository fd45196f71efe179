"""Exports in stores, from real servers of S3, Google Cloud Storage and SFTP."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from bench import Bench, counts, once_each, people, write_rows
from stores import Store, gcs, s3, sftp

from batchrunner.addresses import Address
from batchrunner.errors import SourceError
from batchrunner.remote import PATIENCE, fetch, listed, start_of

SAMPLE = Path(__file__).parents[2] / "sample_data"
KINDS = ("s3", "gs", "sftp")
BAD = {"email": "a+fail-435-once@example.com", "name": "Bad"}
QUICK = replace(PATIENCE, attempts=2, backoff_s=0.001)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """Servers that are started when they are first asked for."""
    with ExitStack() as held:
        starts = {"s3": s3, "gs": gcs, "sftp": lambda: sftp(tmp_path_factory.mktemp("sftp"))}

        class Started(dict[str, Store]):
            def __missing__(self, kind: str) -> Store:
                self[kind] = held.enter_context(starts[kind]())
                return self[kind]

        yield Started()


@pytest.fixture
def store(request: pytest.FixtureRequest, servers: dict[str, Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store, and what it takes to be let in; S3 unless a test says otherwise."""
    found: Store = servers[getattr(request, "param", "s3")]
    found.empty()
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    _read_the_environment_again()
    return found


def _read_the_environment_again() -> None:
    """What a new process does by itself."""
    from fsspec import config

    config.conf.clear()
    config.set_conf_env(config.conf)


each_store = pytest.mark.parametrize("store", KINDS, indirect=True)


def names(spec: str) -> list[str]:
    """What a folder or a pattern names."""
    return [one.url.rpartition("/")[2] for one in listed(Address.of(spec), patience=QUICK)]


def fetched(url: str, folder: Path) -> bytes:
    """What comes from an address."""
    to = folder / "copy"
    to.touch()
    fetch(Address.of(url), to, patience=QUICK)
    return to.read_bytes()


@each_store
def test_a_store_lists_and_gives_what_it_holds(store: Store, tmp_path: Path) -> None:
    """Folders as those of this machine: no hidden files, none from beneath, and names that look like patterns."""
    content = os.urandom(9 << 20)  # more than is asked for at once
    for name in ("b [1].csv", ".c.csv", "d.txt", "deep/e.csv"):
        store.put(name, b"x")
    store.put("a.csv", content)
    assert names(store.root) == ["a.csv", "b [1].csv", "d.txt"]
    assert names(f"{store.root}*.csv") == ["a.csv", "b [1].csv"]
    assert names(f"{store.root}*/*.csv") == ["e.csv"]
    assert names(f"{store.root}*.jsonl") == []
    assert fetched(f"{store.root}a.csv", tmp_path) == content
    odd = next(one for one in listed(Address.of(store.root), patience=QUICK) if "[1]" in one.url)
    fetch(odd, tmp_path / "copy", patience=QUICK)
    assert (tmp_path / "copy").read_bytes() == b"x"
    assert start_of(Address.of(f"{store.root}a.csv"), 100, patience=QUICK) == content[:100]


@each_store
def test_what_is_not_there_is_said(store: Store, tmp_path: Path) -> None:
    """And a folder is not taken for a file."""
    store.put("deep/e.csv", b"x")
    with pytest.raises(SourceError, match=r"none\.csv: there is no such file"):
        fetched(f"{store.root}none.csv", tmp_path)
    with pytest.raises(SourceError, match="is a folder; write a / behind it"):
        fetched(f"{store.root}deep", tmp_path)


@each_store
def test_the_sample_export_is_the_same_from_everywhere(bench: Bench, store: Store) -> None:
    """Every row is judged as that of the file is."""
    store.put("crm_contacts.csv.gz", gzip.compress((SAMPLE / "crm_contacts.csv").read_bytes()))
    job = SAMPLE / "crm-contacts.toml"
    here = bench.cli("check", job, SAMPLE / "crm_contacts.csv", "--output", "json").json
    there = bench.cli("check", job, f"{store.root}*.gz", "--output", "json").json
    assert there["sources"] == [f"{store.root}crm_contacts.csv.gz"]
    assert there["read"] == 2_400
    assert [{**row, "source": ""} for row in here["rows"]] == [{**row, "source": ""} for row in there["rows"]]
    assert here["columns"] == there["columns"]


@each_store
def test_an_export_is_sent_from_a_store_and_retried_from_its_copy(bench: Bench, store: Store) -> None:
    """The store may be empty by then. No secret of the environment is in anything that is kept."""
    first, second = people(3), [*people(2, start=3), BAD]
    store.put("a.csv", write_rows(bench.home / "x", first).read_bytes())
    store.put("b.csv", write_rows(bench.home / "x", second).read_bytes())
    bench.job(source={"path": f"{store.root}*.csv"})
    ran = bench.run()
    assert counts(ran.json) == {"accepted": 5, "rejected": 1}, ran.told()
    shown = bench.cli("show", ran.json["run"], "--output", "json").json
    assert [one["path"] for one in shown["sources"]] == [f"{store.root}a.csv", f"{store.root}b.csv"], shown
    store.empty()
    assert counts(bench.retry().json) == {"accepted": 1}
    assert bench.effects() == once_each([*first, *second])
    kept = [path for path in bench.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"S3CR3T" in path.read_bytes()]


def test_a_source_that_is_written_to_while_it_is_fetched_is_fetched_anew(store: Store, tmp_path: Path) -> None:
    """The copy is the one export or the other, never a part of each."""
    store.put("a.csv", b"a" * (20 << 20))
    to, other = tmp_path / "copy", b"b" * (17 << 20)
    to.touch()
    seen: list[int] = []

    def watch(came: int, _of: int | None) -> None:
        if came and not seen:
            seen.append(came)
            store.put("a.csv", other)

    fetch(Address.of(f"{store.root}a.csv"), to, watch=watch, patience=QUICK)
    assert to.read_bytes() in (b"a" * (20 << 20), other)


@pytest.mark.parametrize("store", ["sftp"], indirect=True)
def test_a_host_that_is_not_known_is_not_trusted(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands in between would read the export, and the password."""
    store.put("a.csv", b"x")
    (tmp_path / "known").write_text("", encoding="utf-8")
    monkeypatch.setenv("FSSPEC_SFTP_KNOWN_HOSTS", str(tmp_path / "known"))
    _read_the_environment_again()
    with pytest.raises(SourceError, match="the key of the host is not known"):
        fetched(f"{store.root}a.csv", tmp_path)
    monkeypatch.delenv("FSSPEC_SFTP_KNOWN_HOSTS")
    monkeypatch.setenv("HOME", str(tmp_path))
    _read_the_environment_again()
    with pytest.raises(SourceError, match="the key of the host is not known"):
        fetched(f"{store.root}a.csv", tmp_path)


@pytest.mark.parametrize("store", ["sftp"], indirect=True)
def test_a_password_comes_from_the_environment(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one is said without saying it."""
    store.put("a.csv", b"x")
    monkeypatch.delenv("FSSPEC_SFTP_CLIENT_KEYS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FSSPEC_SFTP_PASSWORD", "S3CR3T")
    _read_the_environment_again()
    assert fetched(f"{store.root}a.csv", tmp_path) == b"x"
    monkeypatch.setenv("FSSPEC_SFTP_PASSWORD", "WR0NG")
    _read_the_environment_again()
    with pytest.raises(SourceError, match="may not be read with the credentials that are there") as caught:
        fetched(f"{store.root}a.csv", tmp_path)
    assert "WR0NG" not in str(caught.value)


def test_credentials_that_are_not_there_are_said(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where they are looked for."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SourceError, match=r"no credentials that could be used are there \(ProfileNotFound\).*AWS_PROF"):
        fetched(f"{store.root}a.csv", tmp_path)


@pytest.mark.parametrize(("address", "extra"), [("s3://b/a", "s3"), ("gs://b/a", "gs"), ("sftp://h/a", "sftp")])
def test_a_library_that_is_missing_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, extra: str
) -> None:
    """Stores are extras."""
    monkeypatch.setitem(__import__("sys").modules, {"s3": "s3fs", "gs": "gcsfs", "sftp": "sshfs"}[extra], None)
    with pytest.raises(SourceError, match=rf"pip install 'batchrunner\[{extra}\]'"):
        fetched(address, tmp_path)
