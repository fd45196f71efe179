"""`doctor` through the command line: against the sandbox, against TLS of our own, and where nothing answers."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from bench import Bench, Ended

from batchrunner.sandbox import Handle


def verdicts(ended: Ended) -> dict[str, str]:
    """By check."""
    return {one["check"]: one["verdict"] for one in ended.json["findings"]}


def text_of(ended: Ended, check: str) -> str:
    """The sentence and the advice of one check."""
    found = next(one for one in ended.json["findings"] if one["check"] == check)
    return f"{found['text']} -> {found['advice']}"


def doctor(bench: Bench, *arguments: object) -> Ended:
    """Its findings as JSON."""
    return bench.cli("doctor", "job.toml", *arguments, "--output", "json")


def test_a_job_that_is_well(bench: Bench, sandbox: Handle) -> None:
    """Everything is looked at, nobody is engaged, no profile is made."""
    sandbox.change(workflow_ids=[12])
    bench.job()
    ended = doctor(bench)
    assert ended.code == 0, ended.told()
    assert verdicts(ended) == {
        "proxy": "ok", "dns": "ok", "connect": "ok", "answer": "ok", "clock": "ok", "token": "ok", "rights": "ok",
        "scenario": "ok", "repeats": "ok", "id header": "ok", "fields": "ok",
    }  # fmt: skip
    assert not sandbox.engagements()
    assert not sandbox.profiles()


def test_what_is_wrong_has_a_verdict_and_an_advice(bench: Bench, sandbox: Handle) -> None:
    """A token that is not known, a scenario that does not exist, a field with a slip in its name."""
    sandbox.change(workflow_ids=[13])
    bench.job(data={"email": "{email}", "_fnmae": "{name}"})
    assert verdicts(doctor(bench))["scenario"] == "bad"
    assert "did you mean _fname?" in text_of(doctor(bench), "fields")
    bench.token = "another"
    refused = bench.cli("doctor", "job.toml")
    assert refused.code == 1
    assert "  bad      rights" in refused.out
    assert "  -> look whether it is the right one" in refused.out
    assert "another" not in refused.out


def test_an_installation_that_does_not_deduplicate_needs_consent_to_be_found_out(bench: Bench, sandbox: Handle) -> None:
    """Its refusals look alike; nothing is imported before somebody has agreed."""
    sandbox.change(dedupe_window_s=0)
    bench.job()
    ended = doctor(bench)
    assert verdicts(ended)["repeats"] == "unknown"
    assert "--probe-profile" in text_of(ended, "repeats")
    declined = bench.cli("doctor", "job.toml", "--probe-profile", "me@example.com", "--db-id", 1)
    assert declined.code != 0
    assert "Import profile me@example.com of database 1" in declined.err
    half = bench.cli("doctor", "job.toml", "--probe-profile", "me@example.com")
    assert half.code == 2
    assert "needs --db-id" in half.err
    assert not [one for one in sandbox.requests() if one["path"].endswith("profiles/import")]


def test_with_consent_a_named_profile_tells(bench: Bench, sandbox: Handle) -> None:
    """Refusals are not remembered here, imports are: the profile is imported, without a field, and nobody engaged."""
    sandbox.change(remember_errors=False)
    bench.job(target={"deduplicates": False})
    ended = doctor(bench, "--probe-profile", "me@example.com", "--db-id", 1, "--yes", "--save")
    assert verdicts(ended)["id header"] == "ok", ended.told()
    assert "one that was imported" in text_of(ended, "repeats")
    assert ended.json["saved"] == ["target.deduplicates"]
    assert not sandbox.engagements()
    imports = [json.loads(one["body"]) for one in sandbox.requests() if one["path"].endswith("profiles/import")]
    assert len(imports) == 5
    assert all(one["data"] == {} and one["skip_triggers"] for one in imports)


def test_a_trigger_campaign_is_not_looked_for_among_scenarios(bench: Bench, sandbox: Handle) -> None:
    """There is no list of them that we know: it is told from how the platform refuses, as far as that tells."""
    sandbox.change(workflow_ids=[13])
    job = bench.job(target={"endpoint": "campaigns/triggers/import_and_start", "trigger_id": 13})
    job.write_text(job.read_text(encoding="utf-8").replace("workflow_id = 12\n", ""), encoding="utf-8")
    ended = doctor(bench)
    assert verdicts(ended)["scenario"] == "ok", ended.told()
    assert {one["path"] for one in sandbox.requests()} == {"/api/v1.1/campaigns/triggers/import_and_start"}
    assert not sandbox.engagements()


@pytest.mark.parametrize("endpoint", ["profiles/import", "workflows/start"])
def test_a_job_of_another_call_is_tried_by_its_own(bench: Bench, sandbox: Handle, endpoint: str) -> None:
    """Its token may have no rights for any other."""
    sandbox.change(workflow_ids=[12])
    engages = endpoint == "workflows/start"
    numbers = {"workflow_id": 12} if engages else {"db_id": 3}
    job = bench.job(target={"endpoint": endpoint, **numbers}, data={} if engages else None)
    if not engages:
        job.write_text(job.read_text(encoding="utf-8").replace("workflow_id = 12\n", ""), encoding="utf-8")
    ended = doctor(bench)
    assert ended.code == 0, ended.told()
    assert verdicts(ended)["rights"] == "ok"
    assert {one["path"] for one in sandbox.requests()} <= {f"/api/v1.1/{endpoint}", "/api/v1.1/workflows/list"}
    assert not sandbox.engagements()


def test_findings_are_saved_into_the_job_file(bench: Bench) -> None:
    """The comments stay, and the file is still a job."""
    job = bench.job(target={"deduplicates": False})
    job.write_text("# ours\n" + job.read_text(encoding="utf-8"), encoding="utf-8")
    ended = doctor(bench, "--save")
    assert ended.json["saved"] == ["target.deduplicates"], ended.told()
    text = job.read_text(encoding="utf-8")
    assert text.startswith("# ours\n")
    assert "deduplicates = true  # found by doctor" in text
    assert doctor(bench, "--save").json["saved"] == []
    other = bench.cli("doctor", "job.toml", "--save", "--url", "http://127.0.0.1:1")
    assert (other.code, "leave --url out" in other.err) == (2, True)


def test_the_place_of_the_token_is_told_and_the_token_is_not(bench: Bench) -> None:
    """Each of the places that a token can be kept in."""
    (bench.home / "token").write_text(bench.token, encoding="utf-8")
    (bench.home / "token").chmod(0o600)
    for target, place in (
        ({}, "environment"),
        ({"token_file": "token"}, "token"),
        ({"token_command": ["cat", "token"]}, "token_command"),
    ):
        bench.job(target=target)
        (bench.home / "job.toml").chmod(0o600)
        ended = doctor(bench)
        assert f"takes the token of {'the ' if place == 'environment' else ''}{place}" in text_of(ended, "token")
        assert bench.token not in ended.out


# --- the network ----------------------------------------------------------------------------------


NOBODY = "NOBODY"
"""Stands in an address for a port on which nobody listens."""


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "check", "says"),
    [
        ("http://no-such-host.invalid", "dns", "no-such-host.invalid has no address"),
        (f"http://127.0.0.1:{NOBODY}", "connect", "does not open"),
    ],
)
def test_the_step_that_fails_is_named(bench: Bench, url: str, check: str, says: str) -> None:
    """And nothing is asked of a platform that cannot be reached."""
    bench.job()
    # The port is chosen when the test runs: what a test is called must not differ from worker to worker.
    ended = doctor(bench, "--url", url.replace(NOBODY, str(closed_port())))
    assert ended.code == 1
    assert verdicts(ended)[check] == "bad"
    assert verdicts(ended)["platform"] == "skipped"
    assert says in text_of(ended, check)


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Shake hands with whoever comes, and say nothing after that."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(sock, server_side=True).close()
            except OSError:
                sock.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    """With a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def test_a_private_authority_is_told_from_a_wrong_name(bench: Bench, tmp_path: Path) -> None:
    """Each has another cure; with the authority named, TLS is well."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    job = bench.job()
    with tls_server(server_context(ca, "127.0.0.1")) as port, tls_server(server_context(ca, "other.example")) as odd:
        unknown = doctor(bench, "--url", f"https://127.0.0.1:{port}")
        assert verdicts(unknown)["tls"] == "bad"
        assert "connection.ca_file" in text_of(unknown, "tls")
        job.write_text(f'{job.read_text(encoding="utf-8")}\n[connection]\nca_file = "ca.pem"\n', encoding="utf-8")
        known = doctor(bench, "--url", f"https://127.0.0.1:{port}")
        assert verdicts(known)["tls"] == "ok"
        assert "trusted by connection.ca_file" in text_of(known, "tls")
        astray = doctor(bench, "--url", f"https://127.0.0.1:{odd}")
        assert "is for another name" in text_of(astray, "tls")
        insecure = doctor(bench, "--insecure", "--url", f"https://127.0.0.1:{odd}")
        assert verdicts(insecure)["insecure"] == "bad"


def test_a_proxy_is_named_and_tried(bench: Bench) -> None:
    """The environment's, without its password."""
    bench.job()
    bench.environment["HTTP_PROXY"] = f"http://ann:secret@127.0.0.1:{closed_port()}"
    ended = doctor(bench, "--url", "http://platform.example")
    assert "named by the environment" in text_of(ended, "proxy")
    assert verdicts(ended)["connect"] == "bad"
    assert "secret" not in ended.out
