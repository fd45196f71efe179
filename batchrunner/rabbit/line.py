"""Requests to one queue and answers from the other, in the place of an HTTP engine.

A message is confirmed by the broker before it counts as sent; from then on its answer may come at any time, over this
connection or a later one. An answer is acknowledged only when the outcome of its row is durable: until then it comes
again, to this run or to the next.

What is raised says what is certain, in the words that the API room understands:

    ConnectError    nothing was sent: there is no broker, or the message came back because nobody has the queue
    ReadError       the connection broke under the message, or the broker did not confirm it: in doubt
    ReadTimeout     confirmed, and no answer in time: in doubt, until it comes
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import aio_pika
import httpx
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError

from batchrunner.errors import ApiRefusedUs
from batchrunner.rabbit.broker import BrokerFacts, Opened, as_response, message_of, open_broker, read_message

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

log = logging.getLogger(__name__)

SPARE = 10_000
"""Answers of others that may lie with us until we end, when the broker gives them back to the queue."""

AGAIN_S = 1.0
"""Between two tries to reach a broker that has gone away while rows wait for answers."""

REPEATABLE = "batchrunner.repeatable"
"""An extension of a request: its answer belongs to no row, and is taken off the queue at once."""


class RabbitLine(httpx.AsyncBaseTransport):
    """A broker behind httpx's types. Used from one event loop only."""

    def __init__(self, facts: BrokerFacts, in_flight: int) -> None:
        """Nothing is opened yet."""
        self._facts = facts
        self._prefetch = in_flight * 2 + SPARE
        self._opening: asyncio.Task[Opened] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._acks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._unacknowledged: dict[str, AbstractIncomingMessage] = {}
        self._closed = False
        self._gone: Opened | None = None
        """The connection that was lost last."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Publish, be confirmed, and wait for the answer."""
        request_id, content = message_of(self._facts, request)
        opened = await self._ready()
        answer = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        try:
            await self._publish(opened, content)
            async with asyncio.timeout(self._facts.answer_timeout_s):
                body = await answer
        except TimeoutError:
            raise httpx.ReadTimeout(f"no answer within {self._facts.answer_timeout_s:g} s") from None
        finally:
            self._waiting.pop(request_id, None)
        if REPEATABLE in request.extensions:
            self.durable([request_id])
        return as_response(body)

    def durable(self, request_ids: Sequence[str]) -> None:
        """The outcomes of these rows are on disk: their answers may leave the queue."""
        for request_id in request_ids:
            message = self._unacknowledged.pop(request_id, None)
            if message is not None:
                task = asyncio.get_running_loop().create_task(_acknowledge(message))
                self._acks.add(task)
                task.add_done_callback(self._acks.discard)

    async def aclose(self) -> None:
        """Close the connection; answers that were not acknowledged go back to the queue."""
        self._closed = True
        if self._returning is not None:
            self._returning.cancel()
        await asyncio.gather(*self._acks, return_exceptions=True)
        if self._opening is not None:
            with suppress(httpx.ConnectError, ApiRefusedUs, AMQPError, OSError, asyncio.CancelledError):
                await (await self._opening).connection.close()

    # --- the connection -----------------------------------------------------------------------------

    async def _ready(self) -> Opened:
        task = self._opening
        if task is None or (task.done() and (task.exception() is not None or task.result() is self._gone)):
            task = self._opening = asyncio.create_task(self._open())
        try:
            # Shielded: a row that is given up must not take the connection from the others.
            return await asyncio.shield(task)
        except ApiRefusedUs as error:
            raise httpx.ConnectError(str(error)) from error

    async def _open(self) -> Opened:
        opened = await open_broker(self._facts, self._prefetch)
        # `is_closed` stays false for a connection that broke: only the callbacks tell.
        for end in (opened.connection, opened.channel):
            end.close_callbacks.add(lambda *_: self._lost(opened))
        await opened.answers.consume(self._arrived)
        return opened

    def _lost(self, opened: Opened) -> None:
        self._gone = opened
        if self._waiting and not self._closed and (self._returning is None or self._returning.done()):
            self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """Come back for the answers that rows still wait for."""
        while self._waiting and not self._closed:
            try:
                await self._ready()
            except (httpx.ConnectError, AMQPError, OSError) as error:
                log.info("the broker is away: %s", error)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    # --- messages -----------------------------------------------------------------------------------

    async def _publish(self, opened: Opened, content: bytes) -> None:
        message = aio_pika.Message(
            content, content_type="application/json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        try:
            await opened.channel.default_exchange.publish(message, routing_key=self._facts.requests, mandatory=True)
        except PublishError as error:  # it came back
            raise httpx.ConnectError(f"nobody has the queue {self._facts.requests}") from error
        except DeliveryError as error:
            raise httpx.ReadError("the broker did not confirm the message") from error
        except ChannelInvalidStateError as error:
            raise httpx.ReadError("the connection to the broker was closed meanwhile") from error
        except (AMQPError, OSError) as error:
            raise httpx.ReadError(f"the connection to the broker broke ({error})") from error

    async def _arrived(self, message: AbstractIncomingMessage) -> None:
        said = read_message(message.body)
        if said is None:
            log.warning("a message in %s is no answer; it stays there", self._facts.answers)
            return
        request_id, body = said
        waiting = self._waiting.get(request_id)
        if waiting is not None and not waiting.done():
            self._unacknowledged[request_id] = message
            waiting.set_result(body)
        elif request_id in self._unacknowledged:  # the same one, over a new connection
            self._unacknowledged[request_id] = message
        # Any other is somebody else's, or came too late for its row: the next run looks at it.


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    # With the connection the right to acknowledge is lost: the answer comes again, and the next run knows its row.
    with suppress(AMQPError, OSError, ChannelInvalidStateError):
        await message.ack()
