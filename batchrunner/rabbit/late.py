"""Answers that lie in the queue because nobody waited for them any more: the run was killed, or they took too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import httpx

from batchrunner.errors import ApiRefusedUs
from batchrunner.rabbit.broker import BrokerFacts, as_response, open_broker, read_message

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

AT_ONCE = 1_000
"""Answers that are looked at together."""

Settle = Callable[[Mapping[str, httpx.Response]], Collection[str]]
"""Given answers by their request ids, settles the rows that they are about; gives back the ids that it knows. What it
knows is durable then, and leaves the queue."""


def take_late_answers(facts: BrokerFacts, settle: Settle, *, look: bool = True) -> None:
    """Look at every answer that lies in the queue now. Raises ApiRefusedUs when the broker cannot be used."""
    try:
        asyncio.run(_take(facts, settle, look=look))
    except httpx.ConnectError as error:
        raise ApiRefusedUs(f"{error}; nothing was sent: look at the broker, then run again") from error


def try_broker(facts: BrokerFacts) -> None:
    """Open a connection, look for the queues, and close it. Raises ApiRefusedUs."""
    take_late_answers(facts, lambda _: (), look=False)


async def _take(facts: BrokerFacts, settle: Settle, *, look: bool) -> None:
    opened = await open_broker(facts, prefetch=0)
    try:
        while look:
            messages: list[tuple[str, AbstractIncomingMessage]] = []
            answers: dict[str, httpx.Response] = {}
            while len(messages) < AT_ONCE and (message := await opened.answers.get(fail=False)) is not None:
                if (said := read_message(message.body)) is not None:
                    messages.append((said[0], message))
                    answers[said[0]] = as_response(said[1])
            if not messages:
                return
            known = settle(answers)
            for request_id, message in messages:
                if request_id in known:
                    await message.ack()
    finally:
        await opened.connection.close()  # others' answers go back to the queue
