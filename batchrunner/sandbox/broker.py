"""The platform behind a broker: requests from `api_req`, answers to `api_resp`. Needs aio-pika, which is an extra."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

from batchrunner.sandbox.observing import Incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

    from batchrunner.sandbox.installation import Installation

_REQUESTS: Final = "api_req"
_ANSWERS: Final = "api_resp"
_AT_ONCE: Final = 200
_AGAIN_S: Final = 0.5
_JSON: Final = {"Content-Type": "application/json"}


@contextlib.asynccontextmanager
async def consuming(installation: Installation, url: str) -> AsyncIterator[None]:
    """Make the two queues, and answer what comes, for as long as the block lasts. Comes back when the broker does."""
    ready = asyncio.Event()
    task = asyncio.create_task(_consume_for_ever(installation, url, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task  # it raises
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _consume_for_ever(installation: Installation, url: str, ready: asyncio.Event) -> None:
    import aio_pika  # noqa: PLC0415 - an extra

    while True:
        try:
            async with await aio_pika.connect(url) as connection:
                channel = await connection.channel()
                await channel.set_qos(prefetch_count=_AT_ONCE)
                queue = await channel.declare_queue(_REQUESTS, durable=True)
                await channel.declare_queue(_ANSWERS, durable=True)
                lost = asyncio.Event()
                for end in (connection, channel):
                    end.close_callbacks.add(lambda *_, lost=lost: lost.set())
                await queue.consume(_Consumer(installation, channel).take)
                ready.set()
                await lost.wait()
        except OSError:
            if not ready.is_set():
                raise
        await asyncio.sleep(_AGAIN_S)


class _Consumer:
    """Answers each message in a task of its own, as a server answers each connection."""

    def __init__(self, installation: Installation, channel: AbstractChannel) -> None:
        self._installation = installation
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, message: AbstractIncomingMessage) -> None:
        task = asyncio.create_task(self._serve(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: AbstractIncomingMessage) -> None:
        asked = _read(message.body)
        if asked is None:
            await message.ack()  # nothing can be answered
            return
        path, body, request_id = asked
        # No id in a header: that messages are deduplicated is documented nowhere.
        incoming = Incoming("POST", f"/{path.lstrip('/')}", _JSON, json.dumps(body).encode())
        delivery = await self._installation.answer(incoming)
        answered = delivery.cut is None and delivery.reply.code is not None
        # With the connection go both: the request then comes again, and so it is with real brokers.
        with contextlib.suppress(OSError, RuntimeError):
            if answered and request_id is not None:
                await self._publish({"body": json.loads(delivery.reply.body), "request_id": request_id})
            await message.ack()

    async def _publish(self, answer: dict[str, object]) -> None:
        import aio_pika  # noqa: PLC0415 - an extra

        message = aio_pika.Message(json.dumps(answer).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._channel.default_exchange.publish(message, routing_key=_ANSWERS)


def _read(raw: bytes) -> tuple[str, dict[str, object], str | None] | None:
    try:
        asked = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(asked, dict):
        return None
    path, body, request_id = asked.get("request"), asked.get("body"), asked.get("request_id")
    if not isinstance(path, str) or not isinstance(body, dict):
        return None
    return path, body, request_id if isinstance(request_id, str) else None
