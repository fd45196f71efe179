"""`[batch]`: how rows are put together into requests about many profiles."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field
from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Table
from batchrunner.endpoints import BATCH_BYTES, BATCH_ROWS, Endpoint


class BatchTable(Table):
    """What a batch holds, and how it is written."""

    size: int = Field(default=500, ge=1, le=BATCH_ROWS, description="At most so many rows a request.")
    max_bytes: int = Field(default=BATCH_BYTES, ge=1_000, le=BATCH_BYTES, description="At most so large a request.")
    item: Literal["wrapped", "flat"] | None = Field(
        default=None,
        description='How a profile is written: wrapped: {"email": …, "data": {…}}. flat: {"email": …, "_fname": …}. '
        "Default: as the call has it.",
    )
    key: Literal["beside", "inside"] = Field(
        default="beside", description="With wrapped: where the search key stands, beside `data` or inside it."
    )
    content: Literal["alone", "inside"] = Field(
        default="alone",
        description="Rows with `content` of their own. alone: one by one, by the call for one row. "
        "inside: in the batch, beside `data` of their profile; only with wrapped.",
    )
    search: int = Field(
        default=100,
        ge=0,
        le=100_000,
        description="When a batch is refused as a whole: so many requests to find the rows that are to blame.",
    )


class HasCall(Protocol):
    """`[target]`, as far as it says which call is made."""

    @property
    def call(self) -> Endpoint: ...  # noqa: D102


def check_content_in(batch: BatchTable, target: HasCall) -> None:
    """A batch that is to carry `content` has a place for it. Raises PydanticCustomError."""
    if batch.content == "alone":
        return
    if (batch.item or target.call.item) == "flat":
        raise PydanticCustomError(
            "batch",
            "'batch.content': a flat item has no place for `content`; set batch.item = \"wrapped\", or remove it",
        )
    if "content" not in target.call.takes:
        raise PydanticCustomError(
            "batch", "'batch.content': {call} sends no message; remove it", {"call": target.call.name}
        )
