"""The platform by way of RabbitMQ, for installations that run their own broker. The only door to aio-pika.

    line    takes the place of the HTTP engine: a request goes to one queue, its answer comes from the other
    late    answers that came when nobody waited for them any more

Everything above the engine is as with HTTP: claims, attempts, verdicts, outcomes. What is not: an answer does not get
lost with the connection. It waits in the queue until the outcome of its row is durable here.
"""

from __future__ import annotations

import httpx

from batchrunner.rabbit.broker import BrokerFacts, broker_facts
from batchrunner.rabbit.late import take_late_answers, try_broker

Response = httpx.Response
"""What an answer is given as."""

__all__ = ["BrokerFacts", "Response", "broker_facts", "take_late_answers", "try_broker"]
