"""`[rabbitmq]`: requests go through a broker that the installation runs, and not over HTTP."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration


class RabbitTable(Table):
    """The broker and its two queues, as the platform documents them."""

    url: str | None = Field(
        default=None,
        pattern=r"^amqps?://[^\s]+$",
        description="amqps://user@host/vhost of the broker. Else ALTCRAFT_AMQP_URL, where a password belongs.",
    )
    requests: str = Field(default="api_req", min_length=1, description="The queue that the platform reads.")
    answers: str = Field(default="api_resp", min_length=1, description="The queue that the platform answers on.")
    account_id: int | None = Field(
        default=None, ge=1, description="Of the account, where one installation has several; a field of each message."
    )
    answer_timeout: Duration = Field(
        default=timedelta(minutes=10), description="How long a run waits for an answer; one that comes later is kept."
    )
