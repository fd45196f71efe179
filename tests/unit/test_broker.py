"""Messages to and from a broker, and what a job says of it: no broker here."""

from __future__ import annotations

import json
import ssl
from datetime import timedelta

import httpx
import pytest

from batchrunner.config.rabbit import RabbitTable
from batchrunner.errors import ConfigError

pytest.importorskip("aio_pika", reason="the extra 'rabbitmq' is not installed")

from batchrunner.rabbit import BrokerFacts, broker_facts
from batchrunner.rabbit.broker import message_of, read_message

CONTEXT = ssl.create_default_context()
HEADERS = {"Request-ID": "0b0f1a9e-6f0e-4f0e-8f0e-000000000001", "Authorization": 'Bearer to"ken'}


def facts(environ: dict[str, str], **table: object) -> BrokerFacts:
    """What job and environment say."""
    return broker_facts(RabbitTable.model_validate(table), timedelta(seconds=5), CONTEXT, environ)


def request(body: bytes, headers: dict[str, str] | None = None) -> httpx.Request:
    """A request as the API room builds it."""
    url = "https://example.com/api/v1.1/workflows/import_and_start"
    return httpx.Request("POST", url, headers=HEADERS if headers is None else headers, content=body)


@pytest.mark.parametrize("body", [{}, {"email": "a@b.example", "data": {"_fname": "А"}}])
def test_a_message_holds_the_body_with_the_token(body: dict[str, object]) -> None:
    """The path as the documentation writes it, and the id that the answer will carry."""
    request_id, content = message_of(
        facts({}, url="amqp://b.example", account_id=7), request(json.dumps(body).encode())
    )
    assert request_id == HEADERS["Request-ID"]
    assert json.loads(content) == {
        "account_id": 7,
        "request_id": request_id,
        "request": "api/v1.1/workflows/import_and_start",
        "body": {"token": 'to"ken', **body},
    }


def test_a_token_that_is_in_the_body_already_stays_there() -> None:
    """`token_in = "body"`: nothing is added."""
    headers = {"Request-ID": "x"}
    _, content = message_of(facts({}, url="amqp://b.example"), request(b'{"token":"t"}', headers))
    assert json.loads(content)["body"] == {"token": "t"}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"body": {}}', b'{"request_id": 7, "body": {}}', b"\xff"])
def test_what_is_no_answer_is_not_taken_for_one(content: bytes) -> None:
    """It stays in the queue."""
    assert read_message(content) is None


def test_an_answer_is_its_id_and_its_body() -> None:
    """The body exactly as it came."""
    assert read_message(b'{"body": {"error": 0 }, "request_id": "abc", "more": 1}') == ("abc", b'{"error": 0 }')


def test_the_environment_goes_before_the_job() -> None:
    """That is where a password belongs; it is shown nowhere."""
    found = facts({"ALTCRAFT_AMQP_URL": "amqps://ann:secret@c.example/v"}, url="amqp://b.example")
    assert found.shown == "amqps://c.example/v"
    assert found.tls is CONTEXT
    assert "secret" not in repr(found)
    assert facts({}, url="amqp://b.example").tls is None


@pytest.mark.parametrize(("environ", "says"), [({}, "has no `url`"), ({"ALTCRAFT_AMQP_URL": "http://x"}, "must begin")])
def test_a_broker_that_is_not_named_is_said(environ: dict[str, str], says: str) -> None:
    """With the variable to set."""
    with pytest.raises(ConfigError, match=says):
        facts(environ)
