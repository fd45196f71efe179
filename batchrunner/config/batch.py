"""`[batch]`: how rows are put together into requests about many profiles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchrunner.config.nodes import Table
from batchrunner.endpoints import BATCH_BYTES, BATCH_ROWS


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
    search: int = Field(
        default=100,
        ge=0,
        le=100_000,
        description="When a batch is refused as a whole: so many requests to find the rows that are to blame.",
    )
