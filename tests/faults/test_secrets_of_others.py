"""Secrets beside the token: logins of proxies, brokers, webhooks and mail. None is repeated by any command."""

from __future__ import annotations

import pytest
from bench import Bench, table

PROXY, BROKER, HOOK, SIGNING, MAIL = (
    "proxypass-71fe", "brokerpass-82ac", "hookpass-93bd", "signing-04ce", "mailpass-15df"
)  # fmt: skip
SECRETS = (PROXY, BROKER, HOOK, SIGNING, MAIL)
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def told(bench: Bench) -> Bench:
    """A home in which every secret is configured, and every command that may speak of one has spoken, loudly."""
    for name, secret in (("signing", SIGNING), ("mail", MAIL)):
        path = bench.home / name
        path.write_text(secret)
        path.chmod(0o600)
    job = bench.job(limits={"attempts": 1})
    job.write_text(
        job.read_text()
        + table("connection", {"proxy": f"http://loader:{PROXY}@{NOWHERE}"})
        + table("notify", {"on": ["failure", "success", "degraded"]})
        + table("notify.webhook", {"url": f"http://{NOWHERE}/hook?key={HOOK}", "secret_file": "signing"})
        + table("notify.email", {
            "server": NOWHERE, "security": "none", "user": "loader", "password_file": "mail",
            "from": "a@example.com", "to": ["b@example.com"],
        })
        + table("schedule", {"cron": "0 2 * * *"})
    )  # fmt: skip
    bench.csv([{"email": "ann@example.com", "name": "Ann"}])
    bench.environment["ALTCRAFT_AMQP_URL"] = f"amqp://loader:{BROKER}@{NOWHERE}/"
    for words in (
        ("check", "job.toml"), ("preview", "job.toml"),
        ("run", "job.toml", "-vv"), ("run", "job.toml", "-vv", "--output", "json", "--profile"),
        ("retry", "job.toml", "-vv", "--output", "json"),
        ("doctor", "job.toml", "-vv"), ("doctor", "job.toml", "--output", "json"),
        ("notify", "test", "job.toml", "-vv"), ("notify", "test", "job.toml", "--output", "json"),
        ("schedule", "next", "job.toml"), ("schedule", "list", "job.toml"),
        ("status", "--output", "json"), ("runs", "--output", "json"), ("show", "last", "--output", "json"),
    ):  # fmt: skip
        bench.cli(*words)
    job.write_text(job.read_text().replace("[request]", "[rabbitmq]\n[request]"))
    bench.cli("run", "job.toml", "-vv")
    bench.cli("doctor", "job.toml", "-vv")
    return bench


def test_no_login_is_repeated_by_any_command(told: Bench) -> None:
    """In nothing that was said and nothing that was left, but in the files in which a person wrote them."""
    written = {"job.toml", "signing", "mail"}
    files = [path for path in told.home.rglob("*") if path.is_file() and path.name not in written]
    assert sum(path.name.startswith("stderr") for path in files) >= 15
    found = [(path.name, secret) for path in files for secret in SECRETS if secret.encode() in path.read_bytes()]
    assert found == []


def test_what_was_said_was_said_of_them(told: Bench) -> None:
    """The commands did come to speak of the proxy, the broker and the hook: the test above looked at something."""
    said = b"".join(path.read_bytes() for path in told.home.glob("std*"))
    assert b"proxy" in said
    assert b"Traceback" not in said
    assert NOWHERE.encode() in said


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
@pytest.mark.parametrize("name", ["signing", "mail", "token"])
def test_a_secret_in_a_file_that_others_can_read_is_refused(bench: Bench, name: str, mode: int) -> None:
    """Before anything is sent, with the command that mends it, and without the secret."""
    path = bench.home / name
    path.write_text("secret-in-a-file")
    path.chmod(mode)
    job = bench.job(target={"token_file": "token"} if name == "token" else {})
    mail = {
        "server": "127.0.0.1:9",
        "security": "none",
        "user": "u",
        "password_file": "mail",
        "from": "a@b.cz",
        "to": ["a@b.cz"],
    }
    job.write_text(job.read_text() + {
        "token": "",
        "signing": table("notify.webhook", {"url": f"http://{NOWHERE}/", "secret_file": "signing"}),
        "mail": table("notify.email", mail),
    }[name])  # fmt: skip
    bench.csv([{"email": "ann@example.com", "name": "Ann"}])
    ended = bench.cli("run", "job.toml") if name == "token" else bench.cli("notify", "test", "job.toml")
    assert ended.code not in {0, 1}, ended.told()
    assert "chmod 600" in ended.told()
    assert "secret-in-a-file" not in ended.told()
