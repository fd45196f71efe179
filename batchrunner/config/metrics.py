"""What the job file says about where metrics go."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Table


class MetricsTable(Table):
    """Where a scheduled run leaves its numbers for Prometheus."""

    textfile_dir: str | None = Field(
        default=None, min_length=1, description="The folder of the node exporter's textfile collector."
    )
    pushgateway: str | None = Field(
        default=None, pattern=r"^(https?://)?[^\s/]+(/\S*)?$", description="As http://gateway.example.com:9091."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.textfile_dir is None and self.pushgateway is None:
            raise PydanticCustomError("nowhere", "add `textfile_dir` or `pushgateway`, or remove [metrics]")
        return self
