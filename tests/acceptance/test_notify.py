"""Somebody hears of a night exactly when they are needed: real webhooks, a real mail server, real runs."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from bench import Bench, Ended, people, table
from test_schedule import schedule

SECRET = "a secret of ours"


@dataclass
class Hook:
    """A server that takes messages, or fails as told."""

    answers: list[int] = field(default_factory=list)
    """Its next answers; 200 when there are no more."""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def taken(self) -> list[dict[str, Any]]:
        """The messages, as JSON."""
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running one."""
    made = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.answers.pop(0) if made.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook?token=private"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.to: list[str] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        """As aiosmtpd calls it."""
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.letters.append(parsed)
        self.to += envelope.rcpt_tos
        return "250 OK"


@contextmanager
def mail_server(box: Mailbox) -> Iterator[str]:
    """A real SMTP server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


def notifying(bench: Bench, *tables: str, on: object = None) -> Path:
    """Give the job somebody to tell."""
    job = bench.home / "job.toml"
    text = job.read_text(encoding="utf-8") + table("notify", {} if on is None else {"on": on})
    job.write_text(text + "".join(tables), encoding="utf-8")
    return job


def webhook(bench: Bench, hook: Hook) -> str:
    """The table of a signed webhook."""
    secret = bench.home / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    return table("notify.webhook", {"url": hook.url, "secret_file": "secret"})


def fire(bench: Bench) -> Ended:
    return bench.cli("schedule", "fire", "job.toml", "--output", "json")


# --- the ways ----------------------------------------------------------------------------------


def test_a_webhook_is_signed_and_repeated_until_it_is_taken(bench: Bench, hook: Hook) -> None:
    """After a 500 the same delivery comes again, with a signature that its reader can verify."""
    bench.job()
    notifying(bench, webhook(bench, hook))
    hook.answers = [500]
    ended = bench.cli("notify", "test", "job.toml")
    assert (ended.code, ended.out) == (0, "webhook: told\n"), ended.told()
    (first, body), (second, again) = hook.got
    assert body == again
    assert first["x-batchrunner-delivery"] == second["x-batchrunner-delivery"]
    signed = hmac.new(SECRET.encode(), first["x-batchrunner-timestamp"].encode() + b"." + body, hashlib.sha256)
    assert first["x-batchrunner-signature"] == f"sha256={signed.hexdigest()}"
    assert json.loads(body)["event"] == "test"


def test_a_webhook_that_refuses_is_told_at_once_and_without_its_token(bench: Bench, hook: Hook) -> None:
    """A 404 will not get better; the address's query stays private."""
    bench.job()
    notifying(bench, webhook(bench, hook))
    hook.answers = [404]
    ended = bench.cli("notify", "test", "job.toml", "--output", "json")
    assert ended.code == 4, ended.told()
    (told,) = ended.json["told"]
    assert "answered 404" in told["error"]
    assert "private" not in ended.out + ended.err
    assert len(hook.got) == 1


def test_a_mail_reaches_a_real_server(bench: Bench) -> None:
    """All addresses, a subject that says it, and a body of plain text."""
    box = Mailbox()
    bench.job()
    with mail_server(box) as server:
        to = ["ops@example.com", "crm@example.com"]
        notifying(
            bench,
            table("notify.email", {"to": to, "from": "batchrunner@example.com", "server": server, "security": "none"}),
        )
        ended = bench.cli("notify", "test", "job.toml")
    assert (ended.code, ended.out) == (0, "email: told\n"), ended.told()
    (letter,) = box.letters
    assert box.to == to
    assert (letter["Subject"], letter["From"]) == ("welcome: a test", "batchrunner@example.com")
    assert "This is a test" in letter.get_content()


def test_a_mail_server_without_encryption_is_not_used_by_default(bench: Bench) -> None:
    """`starttls` is wanted unless the job says otherwise: nothing is sent in the clear by accident."""
    box = Mailbox()
    bench.job()
    with mail_server(box) as server:
        notifying(bench, table("notify.email", {"to": ["a@example.com"], "from": "b@example.com", "server": server}))
        ended = bench.cli("notify", "test", "job.toml")
    assert ended.code == 4
    assert 'security = "none"' in ended.out
    assert box.letters == []


def test_any_service_through_apprise(bench: Bench, hook: Hook) -> None:
    """Its addresses come from a file that only its owner reads; one that nobody knows is told by its line."""
    bench.job()
    notifying(bench, table("notify.apprise", {"urls_file": "services"}))
    services = bench.home / "services"
    services.write_text(f"# ours\n{hook.url.replace('http', 'json', 1)}\n", encoding="utf-8")
    services.chmod(0o600)
    ended = bench.cli("notify", "test", "job.toml")
    assert (ended.code, ended.out) == (0, "apprise: told\n"), ended.told()
    assert hook.taken()[0]["title"] == "welcome: a test"
    services.write_text("nobody-knows://this\n", encoding="utf-8")
    assert "does not know the address in line 1" in bench.cli("notify", "test", "job.toml").out


# --- the nights --------------------------------------------------------------------------------


def test_a_failed_night_and_its_recovery_are_told(bench: Bench, hook: Hook) -> None:
    """One message for each event: with the platform refusing, and with it back."""
    bench.job()
    bench.csv(people(3))
    schedule(bench)
    notifying(bench, webhook(bench, hook))
    bench.sandbox.change(fail=["403:100"])
    assert fire(bench).code == 4
    bench.sandbox.change(fail=[])
    assert fire(bench).code == 0
    failed, recovered = hook.taken()
    assert (failed["event"], failed["exit_code"]) == ("failure", 4)
    assert failed["message"]
    assert any(command.startswith("batchrunner ") for command in failed["next"])
    assert (recovered["event"], recovered["rows"]["accepted"]) == ("recovery", 3)


def test_a_degraded_night_is_told_without_a_value_of_any_row(bench: Bench, hook: Hook) -> None:
    """Numbers, codes and commands; no address, no name."""
    bench.job(data={"email": "{email}", "_bdate": {"column": "name", "as": "date", "format": "%d.%m.%Y"}})
    bench.csv([{"email": "somebody@example.com", "name": "31.01.1990"}, {"email": "else@example.com", "name": "Eve"}])
    schedule(bench, "0 2 * * *")
    notifying(bench, webhook(bench, hook))
    assert fire(bench).code == 1
    (told,) = hook.taken()
    assert told["event"] == "degraded"
    assert told["reasons"] == [{"code": "unusable:bad_date", "rows": 1}]
    assert (told["rows"]["accepted"], told["rows"]["unusable"]) == (1, 1)
    text = json.dumps(told)
    assert not [value for value in ("somebody", "else@", "Eve", "1990") if value in text]


def test_a_missing_file_is_told_as_one(bench: Bench, hook: Hook) -> None:
    """Nothing has come where the job's first export was to be."""
    bench.job(source={"path": "export-{date:%Y-%m-%d}.csv"})
    schedule(bench, "0 2 * * *")
    notifying(bench, webhook(bench, hook), table("arrival", {}))
    assert fire(bench).code == 4
    (told,) = hook.taken()
    assert (told["event"], told["reason"]) == ("missing_file", "missing_file")


def test_a_plain_run_tells_where_it_is_asked_to(bench: Bench, hook: Hook) -> None:
    """For orchestrators and timers of one's own: `--notify` tells of runs and retries, of failures and recoveries."""
    bench.job(limits={"throttle_patience": "10ms"})
    bench.csv(people(3))
    refused = bench.cli("run", "job.toml", "--notify")
    assert (refused.code, "names nobody to tell" in refused.err) == (2, True)
    notifying(bench, webhook(bench, hook))
    bench.sandbox.change(fail=["429:100"])
    assert bench.cli("run", "job.toml").code == 1
    assert hook.taken() == []
    assert bench.cli("run", "job.toml", "--notify", "--output", "json").code == 1
    bench.sandbox.change(fail=[])
    (bench.home / "people.csv").rename(bench.home / "elsewhere.csv")
    assert bench.cli("run", "job.toml", "--notify").code == 4
    (bench.home / "elsewhere.csv").rename(bench.home / "people.csv")
    assert bench.cli("retry", "job.toml", "--notify").code == 0
    degraded, failure, recovery = hook.taken()
    assert [told["event"] for told in (degraded, failure, recovery)] == ["degraded", "failure", "recovery"]
    assert (degraded["slot"], degraded["exit_code"], degraded["rows"]["failed"]) == (None, 1, 3)
    assert "people.csv" in failure["message"]
    assert (recovery["rows"]["accepted"], recovery["exit_code"]) == (3, 0)


@pytest.mark.damaged
def test_a_damaged_ledger_is_told(bench: Bench, hook: Hook) -> None:
    """Of all failures the one that a person is needed for, though nothing can be remembered of it."""
    bench.job()
    schedule(bench)
    notifying(bench, webhook(bench, hook))
    bench.csv(people(1))
    assert bench.run().code == 0
    bench.ledger.write_bytes(b"not what was written" * 400)
    for command in (("schedule", "fire", "job.toml"), ("run", "job.toml", "--notify")):
        ended = bench.cli(*command)
        assert (ended.code, "ledger.db" in ended.err) == (4, True), ended.told()
    assert [told["event"] for told in hook.taken()] == ["failure", "failure"]
    assert "'ledger repair'" in hook.taken()[0]["message"]


def test_that_nobody_could_be_told_is_said_and_changes_nothing(bench: Bench, hook: Hook) -> None:
    """The rows are accepted all the same, and the exit code says so."""
    bench.job()
    bench.csv(people(2))
    schedule(bench, "0 2 * * *")
    notifying(bench, webhook(bench, hook), on=["success"])
    hook.answers = [410]
    ended = fire(bench)
    assert ended.code == 0, ended.told()
    assert "nobody was told by webhook" in ended.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[notify]\n", "nobody is named"),
        ('[notify]\non = ["everything"]\n', "notify.on"),
        ('[notify.email]\nto = ["a@b.c"]\nfrom = "x@y.z"\nserver = "m"\nuser = "u"\n', "`password_file` go together"),
    ],
)
def test_mistakes_in_notify_are_said(bench: Bench, text: str, says: str) -> None:
    """With the key."""
    bench.job()
    (bench.home / "job.toml").open("a", encoding="utf-8").write(text)
    ended = bench.cli("notify", "test", "job.toml")
    assert ended.code == 2
    assert says in ended.err
