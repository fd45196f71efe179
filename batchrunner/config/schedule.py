"""What the job file says about when a job runs by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration, ZoneName, sentence
from batchrunner.cron import parse_cron

CronText = Annotated[str, sentence(parse_cron), WithJsonSchema({"type": "string", "examples": ["0 2 * * *"]})]


class ScheduleTable(Table):
    """When the job runs by itself."""

    cron: CronText | None = Field(
        default=None, description="Minute, hour, day of the month, month, weekday; in front, if wanted, seconds."
    )
    timezone: ZoneName | None = Field(
        default=None, description="Of `cron`, as Europe/Moscow. Else the job's, else the machine's."
    )
    jitter: Duration = Field(
        default=timedelta(0), description="Begin up to so much later: each job and slot at a time of its own."
    )
    catch_up: Literal["last", "all", "none"] = Field(
        default="last",
        description="Slots that nobody asked for in time. last: one run for all of them; all: a run for each; "
        "none: they are passed over.",
    )
    max_duration: Duration | None = Field(
        default=None, description="A scheduled run that takes longer settles what flies and stops."
    )
    retry_failed: bool = Field(
        default=True, description="Rows that failed in earlier runs go again after the new export."
    )
    watch: Literal["no", "events", "poll"] = Field(
        default="no",
        description="`serve` also runs the job when a file comes into the folder of its export. poll: for folders of "
        "other machines, which tell no events.",
    )

    @model_validator(mode="after")
    def _something_to_wait_for(self) -> Self:
        if self.cron is None and self.watch == "no":
            raise PydanticCustomError("schedule", '`cron` is missing; say when the job runs, as in cron = "0 2 * * *"')
        return self
