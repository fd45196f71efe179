"""By way of a real RabbitMQ server: the sandbox reads one queue and answers on the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, counts, once_each, people, until
from broker import Broker, rabbitmq

from batchrunner.sandbox import Handle, Settings, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all: it takes longer to start than all else here."""
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


@pytest.fixture(scope="module")
def platform(broker: Broker) -> Iterator[Handle]:
    """A sandbox that reads the broker's queue."""
    with running(Settings(amqp=broker.url)) as handle:
        yield handle


@pytest.fixture
def via(bench: Bench, platform: Handle, broker: Broker) -> Bench:
    """A bench whose job goes by way of the broker. Over HTTP there is nobody at its address."""
    purge(broker)
    platform.change(**{name: value for name, value in Settings().as_json().items() if name != "amqp"})
    platform.reset()
    bench.sandbox = platform
    bench.environment["ALTCRAFT_AMQP_URL"] = broker.url
    return bench


def job(bench: Bench, **rabbit: object) -> Path:
    """A job by way of the broker."""
    path = bench.job(target={"url": "http://127.0.0.1:1"})
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in rabbit.items())
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[rabbitmq]\n{lines}\n", encoding="utf-8")
    return path


async def _queues(broker: Broker) -> dict[str, Any]:
    import aio_pika

    connection = await aio_pika.connect(broker.url)
    async with connection:
        channel = await connection.channel()
        return {name: await channel.declare_queue(name, durable=True) for name in ("api_req", "api_resp")}


def depth(broker: Broker, queue: str) -> int:
    """How many messages are ready in a queue."""
    return int(asyncio.run(_queues(broker))[queue].declaration_result.message_count)


def purge(broker: Broker) -> None:
    """Empty both queues."""

    async def empty() -> None:
        import aio_pika

        async with await aio_pika.connect(broker.url) as connection:
            channel = await connection.channel()
            for name in ("api_req", "api_resp"):
                await (await channel.declare_queue(name, durable=True)).purge()

    asyncio.run(empty())


def publish(broker: Broker, queue: str, body: bytes) -> None:
    """Put a message into a queue."""

    async def put() -> None:
        import aio_pika

        async with await aio_pika.connect(broker.url) as connection:
            channel = await connection.channel()
            await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)

    asyncio.run(put())


@pytest.mark.parametrize("processes", [1, 3])
def test_rows_go_through_the_queue_and_are_settled_by_their_answers(via: Bench, broker: Broker, processes: int) -> None:
    """As with HTTP: the same ledger, accepted and rejected; afterwards no answer is left in the queue."""
    rows = [*people(30), {"email": "bad+fail-435@example.com", "name": "B"}]
    via.csv(rows)
    job(via)
    ended = via.run("--processes", processes)
    assert counts(ended.json) == {"accepted": 30, "rejected": 1}, ended.told()
    assert via.effects() == once_each(people(30))
    until(lambda: depth(broker, "api_resp") == 0, "all answers are acknowledged")
    again = via.run()
    assert counts(again.json) == {"skipped": {"accepted": 30, "rejected": 1}}


def test_a_message_is_what_the_documentation_says(via: Bench, broker: Broker) -> None:
    """An id, a path, and the body with the token in it."""
    via.csv(people(1))
    job(via, requests="api_req_of_the_test", account_id=7, answer_timeout="100ms")

    async def look() -> dict[str, Any]:
        import aio_pika

        async with await aio_pika.connect(broker.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("api_req_of_the_test", durable=True)
            started = via.start("run", "job.toml")
            message = await queue.get(timeout=60, fail=False)
            while message is None:
                await asyncio.sleep(0.05)
                message = await queue.get(timeout=60, fail=False)
            await message.ack()
            assert await asyncio.to_thread(started.end)
            await queue.delete()
            value = json.loads(message.body)
            assert isinstance(value, dict)
            return value

    said = asyncio.run(look())
    assert set(said) == {"account_id", "request_id", "request", "body"}
    assert (said["account_id"], said["request"]) == (7, "api/v1.1/workflows/import_and_start")
    assert said["body"]["token"] == via.token
    assert said["body"]["email"] == "p0@example.com"


def test_an_answer_that_comes_after_a_kill_settles_its_row(via: Bench, broker: Broker) -> None:
    """The run dies while the platform thinks; the next one finds the answers and sends nothing again."""
    via.sandbox.change(latency_s=2)
    via.csv(people(8))
    job(via)
    started = via.start("run", "job.toml")
    until(lambda: via.sandbox.stats()["effects"] == 8, "all rows have taken effect")
    started.kill()
    until(lambda: depth(broker, "api_resp") == 8, "the answers have come, and nobody has taken them")
    ended = via.run()
    assert counts(ended.json) == {"skipped": {"accepted": 8}}, ended.told()
    assert "answers have come to 8 rows of earlier runs" in ended.err
    assert via.effects() == once_each(people(8))
    assert depth(broker, "api_resp") == 0


def in_batches(bench: Bench, **limits: object) -> Path:
    """The job by way of the broker, in batches of ten."""
    call = {"url": "http://127.0.0.1:1", "endpoint": "workflows/import_and_start_batch"}
    path = bench.job(target=call, limits=limits)
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[batch]\nsize = 10\n\n[rabbitmq]\n", encoding="utf-8")
    return path


def test_batches_go_through_the_queue_and_each_row_ends_as_its_item(via: Bench, broker: Broker) -> None:
    """A message is a body of the call, whichever it is; one that is refused whole is halved, as over HTTP."""
    rows = [*people(25), *({"email": f"{one}@example.com", "name": "B"} for one in ("a+fail-435", "b+poison-400"))]
    via.csv(rows)
    in_batches(via)
    ended = via.run()
    assert counts(ended.json) == {"accepted": 25, "rejected": 2}, ended.told()
    assert ended.json["codes"] == {"rejected:400": 1, "rejected:435": 1}
    assert via.effects() == once_each(people(25))
    assert via.run().json["skipped"] == {"accepted": 25, "rejected": 2}
    until(lambda: depth(broker, "api_resp") == 0, "all answers are acknowledged")


def test_the_answer_to_a_batch_that_comes_after_a_kill_settles_its_rows(via: Bench, broker: Broker) -> None:
    """Each as its own item says: the accepted, the rejected, and nothing is sent again."""
    via.csv(people(1))
    in_batches(via)
    via.run()
    via.sandbox.change(latency_s=2)
    rows = [*people(8, start=1), {"email": "bad+fail-435@example.com", "name": "B"}]
    via.csv(rows)
    started = via.start("run", "job.toml")
    until(lambda: via.sandbox.stats()["effects"] == 9, "the batch has taken effect")
    started.kill()
    until(lambda: depth(broker, "api_resp") == 1, "its answer has come, and nobody has taken it")
    ended = via.run()
    assert counts(ended.json) == {"skipped": {"accepted": 8, "rejected": 1}}, ended.told()
    assert "answers have come to 9 rows of earlier runs" in ended.err
    assert via.effects() == once_each(people(9))
    assert depth(broker, "api_resp") == 0


def test_xml_is_not_for_messages(via: Bench) -> None:
    """Their body is documented as an object: said before anything is read."""
    path = in_batches(via)
    path.write_text(path.read_text().replace("[target]\n", '[target]\nformat = "xml"\n'), encoding="utf-8")
    refused = via.cli("check", "job.toml")
    assert refused.code == 2
    assert "messages to a broker are JSON" in refused.err


def test_a_row_without_an_answer_is_in_doubt_and_waits(via: Bench, broker: Broker) -> None:
    """Messages are not known to be deduplicated: nothing is sent again by itself, until the answer comes."""
    via.sandbox.change(latency_s=1.5)
    via.csv(people(2))
    job(via, answer_timeout="300ms")
    first = via.run()
    assert counts(first.json) == {"in_doubt": 2}, first.told()
    assert first.json["codes"] == {"in_doubt:read_timeout": 2}
    until(lambda: depth(broker, "api_resp") == 2, "the late answers lie in the queue")
    second = via.run()
    assert counts(second.json) == {"skipped": {"accepted": 2}}, second.told()
    assert via.effects() == once_each(people(2))


def test_answers_of_others_stay_in_the_queue(via: Bench, broker: Broker) -> None:
    """Whatever form they have: they are looked at and given back."""
    publish(broker, "api_resp", b'{"request_id": "of-somebody-else", "body": {"error": 0}}')
    publish(broker, "api_resp", b"no answer at all")
    via.csv(people(5))
    job(via)
    assert counts(via.run().json) == {"accepted": 5}
    until(lambda: depth(broker, "api_resp") == 2, "both are back")


def test_a_queue_that_is_not_there_is_said_before_anything_is_sent(via: Bench) -> None:
    """So is a login that is not taken, and a broker that nobody runs."""
    via.csv(people(1))
    job(via, requests="no_such_queue")
    ended = via.cli("run", "job.toml")
    assert ended.code == 4
    assert "has no queues no_such_queue and api_resp" in ended.err
    via.environment["ALTCRAFT_AMQP_URL"] = via.environment["ALTCRAFT_AMQP_URL"].replace("guest:guest", "guest:secret9")
    refused = via.cli("run", "job.toml")
    assert refused.code == 4
    assert "does not take the login" in refused.err
    assert "secret9" not in refused.err
    via.environment["ALTCRAFT_AMQP_URL"] = "amqp://127.0.0.1:1/"
    nobody = via.cli("run", "job.toml")
    assert nobody.code == 4
    assert "no connection to the broker" in nobody.err


def test_a_broker_that_goes_away_and_comes_back_loses_no_answer(via: Bench, broker: Broker) -> None:
    """Rows that wait are answered over the next connection; those it broke under are in doubt, and settled later."""
    via.sandbox.change(latency_s=3)
    via.csv(people(6))
    job(via)
    started = via.start("run", "job.toml", "--output", "json")
    until(lambda: via.sandbox.stats()["effects"] == 6, "all rows have taken effect")
    broker.stop()
    broker.start()
    first = started.end()
    assert first.json["read"] == 6, first.told()
    assert first.json["failed"] == first.json["rejected"] == 0, first.told()
    last = first
    for _ in range(5):
        if not last.json["in_doubt"] and "in_doubt" not in last.json["skipped"]:
            break
        last = via.run()
    assert last.json["accepted"] + last.json["skipped"].get("accepted", 0) == 6, last.told()


def test_files_are_uploaded_by_way_of_the_broker_too(via: Bench, broker: Broker) -> None:
    """Once, with nothing of it left in the queue."""
    (via.home / "files").mkdir()
    (via.home / "files" / "terms.pdf").write_bytes(b"terms")
    via.csv([{**row, "file": "terms.pdf"} for row in people(3)])
    file = {"column": "file", "as": "file", "folder": "files", "upload": True}
    attach = [{"name": "terms.pdf", "mimetype": "application/pdf", "file_key": file}]
    path = via.job(target={"url": "http://127.0.0.1:1"}, request={"attach": attach})
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[rabbitmq]\n", encoding="utf-8")
    ended = via.run()
    assert counts(ended.json) == {"accepted": 3}, ended.told()
    assert [one["name"] for one in via.sandbox.uploads().values()] == ["terms.pdf"]
    until(lambda: depth(broker, "api_resp") == 0, "all answers are acknowledged")


def test_the_doctor_tries_the_broker(via: Bench) -> None:
    """And nothing else: what a queue takes would be carried out some time."""
    job(via)
    well = via.cli("doctor", "job.toml", "--output", "json")
    assert (well.code, well.json["findings"][0]["check"], well.json["findings"][0]["verdict"]) == (0, "broker", "ok")
    via.environment["ALTCRAFT_AMQP_URL"] = "amqp://127.0.0.1:1/"
    assert via.cli("doctor", "job.toml").code == 1


def test_the_sandbox_is_spoken_to_over_http(bench: Bench) -> None:
    """Whatever the table says: `--sandbox` must reach nobody else."""
    bench.csv(people(2))
    job(bench)
    bench.environment["ALTCRAFT_AMQP_URL"] = "amqp://127.0.0.1:1/"
    assert counts(bench.run("--sandbox").json) == {"accepted": 2}
