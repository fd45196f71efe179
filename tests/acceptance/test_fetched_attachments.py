"""Attachments at addresses of the web: fetched when a row is sent, from hosts that the job names and no others."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from bench import Bench, counts, once_each, result_rows
from web import Web, web_server

from batchrunner.sandbox import Handle


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority, and beside it the one that it has signed."""
    folder = tmp_path_factory.mktemp("ca")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder / "ca.pem"


@pytest.fixture(scope="module")
def server(ca: Path) -> Iterator[Web]:
    """A server with a certificate that is good for `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.with_name("server.pem"))
    with web_server(context) as web:
        yield web


@pytest.fixture
def web(server: Web, bench: Bench, ca: Path) -> Web:
    """The server with nothing on it, trusted by commands."""
    server.files.clear()
    server.asked.clear()
    bench.environment["SSL_CERT_FILE"] = str(ca)
    return server


def job(bench: Bench, web: Web, **options: object) -> None:
    """A job that attaches what the column `file` names."""
    data = {"column": "file", "as": "url", "hosts": [web.url.removeprefix("https://")], **options}
    attach = {"name": "a.pdf", "file_key": "a", "mimetype": "application/pdf", "data": data}
    bench.job(request={"attach": [attach]})


def rows_with(*urls: str) -> list[dict[str, str]]:
    """Somebody for each address."""
    return [{"email": f"p{n}@example.com", "name": "N", "file": url} for n, url in enumerate(urls)]


def attached(sandbox: Handle) -> dict[str, bytes]:
    """What arrived for each person."""
    sent = [json.loads(one["body"]) for one in sandbox.requests() if one["path"].endswith("import_and_start")]
    return {one["email"]: b64decode(one["attach"][0]["data"]) for one in sent}


def test_a_content_is_fetched_once_for_all_rows_that_name_it(bench: Bench, sandbox: Handle, web: Web) -> None:
    """And never again for rows that were sent: their keys are made of the address."""
    a, b = web.put("/a.pdf", b"content of a"), web.put("/b.pdf", b"content of b", statuses=[503])
    rows = rows_with(a, a, a, f"{b}?sign=S3CR3T", a)
    bench.csv(rows)
    job(bench, web)
    ran = bench.run()
    assert counts(ran.json) == {"accepted": 5}, ran.told()
    assert attached(sandbox) == {
        row["email"]: b"content of b" if "b.pdf" in row["file"] else b"content of a" for row in rows
    }
    assert sorted(path for path, _ in web.asked) == ["/a.pdf", "/b.pdf?sign=S3CR3T", "/b.pdf?sign=S3CR3T"]
    web.asked.clear()
    assert counts(bench.run().json) == {"skipped": {"accepted": 5}}
    assert not web.asked
    assert b"S3CR3T" not in bench.ledger.read_bytes()


NOT_ALLOWED = {
    "https://169.254.169.254/latest/meta-data": "leads to host '169.254.169.254', which `hosts` does not name",
    "https://localhost/a.pdf": "leads to host 'localhost', which",
    "http://{host}/a.pdf": "is no address that begins with https://",
    "https://me:pw@{host}/a.pdf": "has a user or a password in it",
    "https://{host}.evil.example/a.pdf": "is no address",
    "https://{host}@evil.example/a.pdf": "has a user or a password in it",
    "file:///etc/passwd": "is no address that begins with https://",
    "https://evil.example\\@{host}/a.pdf": "has a user or a password in it",
}


def test_an_address_that_the_job_does_not_allow_is_never_asked(bench: Bench, web: Web) -> None:
    """The row is unusable before anything is sent, with the reason."""
    bench.csv(rows_with(*(url.replace("{host}", web.url.removeprefix("https://")) for url in NOT_ALLOWED)))
    job(bench, web)
    ran = bench.run()
    assert counts(ran.json) == {"unusable": len(NOT_ALLOWED)}, ran.told()
    bad = result_rows(ran.json, "error")
    assert {row["_error_code"] for row in bad} == {"bad_url"}
    assert not [row for row, why in zip(bad, NOT_ALLOWED.values(), strict=True) if why not in " ".join(row.values())]
    assert not web.asked


def test_a_cell_that_looks_like_our_own_mark_reaches_no_other_host(bench: Bench, web: Web) -> None:
    """Whatever a text column says: the host is looked at again when it is fetched."""
    elsewhere = "batchrunner-fetch:https%3A%2F%2F127.0.0.1%3A1%2Fx"
    rows = [{**row, "name": elsewhere} for row in rows_with(web.put("/a.pdf", b"a"))]
    bench.csv(rows)
    job(bench, web)
    ran = bench.run()
    assert counts(ran.json) == {"rejected": 1}, ran.told()
    assert result_rows(ran.json, "error")[0]["_error_code"] == "fetch:host"
    assert not bench.effects()


REJECTED: dict[str, dict[str, object]] = {
    "fetch:404": {"statuses": [404]},
    "fetch:302": {"redirect": "https://localhost:1/"},
    "fetch:too_large": {"content": b"x" * 101},
    "fetch:empty": {"content": b""},
}
FAILED: dict[str, dict[str, object]] = {
    "fetch:503": {"statuses": [503] * 3},
    "fetch:broken": {"content": b"a" * 90, "breaks_after": [5] * 3},
}


def test_a_row_whose_content_does_not_come_has_no_effect(bench: Bench, web: Web) -> None:
    """What may pass is failed, and goes with the next run; what will not is rejected, and goes with `retry`."""
    cases = {**REJECTED, **FAILED}
    paths = {code: f"/{number}.pdf" for number, code in enumerate(cases)}
    rows = rows_with(*(web.put(paths[code], **how) for code, how in cases.items()))
    bench.csv(rows)
    job(bench, web, max_bytes=100)
    ran = bench.run()
    assert counts(ran.json) == {"rejected": len(REJECTED), "failed": len(FAILED)}, ran.told()
    assert sorted(row["_error_code"] for row in result_rows(ran.json, "error")) == sorted(cases)
    assert not bench.effects()
    for path in paths.values():
        web.put(path, b"there now")
    assert counts(bench.run().json)["accepted"] == len(FAILED)
    assert counts(bench.retry().json) == {"accepted": len(REJECTED)}
    assert bench.effects() == once_each(rows)


def test_contents_that_are_too_large_together_are_not_sent(bench: Bench, web: Web) -> None:
    """Each is small enough, and only when they have come is it known that all of a row are not."""
    bench.csv(rows_with(web.put("/a.pdf", b"a" * 5_000)))
    data = {"column": "file", "as": "url", "hosts": [web.url.removeprefix("https://")]}
    attach = [{"name": "a", "file_key": f"{n}", "data": data} for n in range(2)]
    bench.job(request={"attach": attach}, target={"max_bytes": 10_000})
    ran = bench.run()
    assert counts(ran.json) == {"rejected": 1}, ran.told()
    assert result_rows(ran.json, "error")[0]["_error_code"] == "too_large"
    assert not bench.effects()


def test_a_server_that_nobody_vouches_for_is_not_believed(bench: Bench, web: Web) -> None:
    """A name that leads to another machine has no certificate there."""
    bench.csv(rows_with(web.put("/a.pdf", b"a")))
    job(bench, web)
    del bench.environment["SSL_CERT_FILE"]
    ran = bench.run()
    assert counts(ran.json) == {"failed": 1}
    assert result_rows(ran.json, "error")[0]["_error_code"] == "fetch:certificate"
    assert not web.asked


def test_hosts_are_asked_for_and_looked_at(bench: Bench, web: Web) -> None:
    """Patterns would let anybody in who has a name beneath a domain."""
    job(bench, web, hosts=["*.example.com"])
    bench.csv(rows_with("x"))
    refused = bench.cli("check", "job.toml")
    assert (refused.code, "'*.example.com' is no host" in refused.err) == (2, True), refused.told()
    data = {"column": "file", "as": "url"}
    bench.job(request={"attach": [{"name": "a", "data": data}]})
    assert 'as = "url" needs `hosts`' in bench.cli("check", "job.toml").err
