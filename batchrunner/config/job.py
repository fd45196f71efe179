"""The job file as frozen models: one TOML file is one Job, and `[request]` mirrors the documented body."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.config.batch import BatchTable, check_content_in
from batchrunner.config.calls import EndpointName, check_numbers_of, check_parts
from batchrunner.config.connection import ConnectionTable
from batchrunner.config.for_xml import check_for_xml
from batchrunner.config.metrics import MetricsTable
from batchrunner.config.nights import AfterTable, ArrivalTable, GuardsTable, check_for_addresses
from batchrunner.config.nodes import Empty, NodeField, Nodes
from batchrunner.config.nodes import Table as _Table
from batchrunner.config.notify import NotifyTable
from batchrunner.config.quantities import Duration, InFlight, MaxErrors, RateText, ZoneName
from batchrunner.config.rabbit import RabbitTable
from batchrunner.config.repair import RepairTable
from batchrunner.config.schedule import ScheduleTable
from batchrunner.config.source import SourceTable
from batchrunner.config.steps import Mode, OnChange, check_steps
from batchrunner.config.units import MOST_IN_FLIGHT, MOST_PROCESSES
from batchrunner.endpoints import DEFAULT, ENDPOINTS, Endpoint


class TargetTable(_Table):
    """Where requests go."""

    url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", description="Of the platform, without /api.")
    endpoint: EndpointName = Field(
        default="workflows/import_and_start", description="The call that is made for each row."
    )
    mode: Mode = Field(
        default="single",
        description="split: import the profile first, then engage it by a request of its own. single: in one.",
    )
    format: Literal["json", "xml"] = Field(default="json", description="Of requests and answers.")
    workflow_id: int | None = Field(
        default=None, ge=1, description="The scenario that each row's profile is engaged in."
    )
    trigger_id: int | None = Field(
        default=None, ge=1, description="The trigger campaign, for the calls that start one."
    )
    db_id: int | None = Field(default=None, ge=1, description="The database that profiles are imported into.")
    token_file: str | None = Field(
        default=None, description="A file that holds the API token, relative to the job file. Else ALTCRAFT_TOKEN."
    )
    token_command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="A command that prints the API token, word by word; it runs without a shell.",
    )
    token_keyring: str | None = Field(
        default=None, pattern=r"^[^/].*/[^/]+$", description="SERVICE/USER of the API token in the system's keyring."
    )
    token_in: Literal["header", "body"] = Field(
        default="header", description="header: Authorization: Bearer. body: the field `token`, for old installations."
    )
    deduplicates: bool = Field(
        default=True, description="The installation recognises repeated Request-IDs (the platform's default)."
    )
    dedupe_window: Duration = Field(
        default=timedelta(days=1), description="For how long it does (the platform's default: one day)."
    )
    installation: str | None = Field(
        default=None,
        description="What the ledger calls this installation; by default scheme, host and port of `url`. "
        "Set it to the old address when the platform moves, and the memory of what was sent moves along.",
    )
    transport: Literal["fast", "pyreqwest", "httpx"] = Field(
        default="fast",
        description="The HTTP engine. pyreqwest: as fast does through a proxy; twice the cost. httpx: works wherever "
        "Python works, but slows down with each connection.",
    )
    connect_timeout: Duration = Field(default=timedelta(seconds=10), description="For a connection to open.")
    timeout: Duration = Field(default=timedelta(seconds=60), description="For an answer to come, once sent.")

    max_bytes: int | None = Field(
        default=None,
        ge=1_000,
        description="Of a request about one row; default: 10 MB, and 100 MB with files, as platforms have it.",
    )

    @property
    def origin(self) -> str:
        """What keys call this installation."""
        if self.installation:
            return self.installation
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rstrip('/')}".lower()

    @property
    def call(self) -> Endpoint:
        """The call that is made for each row."""
        return ENDPOINTS[self.endpoint]

    @property
    def keyed_as(self) -> str:
        """What keys are made for: another family of calls asks for something else, whatever the payload."""
        return self.origin if self.call.family == DEFAULT.family else f"{self.origin}#{self.call.family}"

    @model_validator(mode="after")
    def _numbers_of_the_call(self) -> Self:
        check_numbers_of(self)
        return self


Matching = Literal[
    "email", "email_profile", "email_sub", "phone", "phone_sub", "profile_id",
    "custom", "custom_sub", "push_sub", "email_phone", "email_phone_sub",
]  # fmt: skip

SEARCH_FIELDS: Mapping[str, tuple[str, ...]] = {
    "email": ("email",),
    "email_profile": ("email",),
    "email_sub": ("email",),
    "phone": ("phone",),
    "phone_sub": ("phone",),
    "profile_id": ("profile_id",),
    "custom": ("field_name", "field_value"),
    "custom_sub": ("field_name", "field_value"),
    "push_sub": ("provider", "subscription_id"),
    "email_phone": ("email", "phone"),
    "email_phone_sub": ("email", "phone"),
}
"""The body fields that each matching mode searches by. The `email_phone` modes need one of the two in a row."""

ANY_OF = ("email_phone", "email_phone_sub")


class RequestTable(_Table):
    """The body of the request, field by field as documented."""

    matching: Matching = Field(default="email", description="How the profile is looked up.")
    email: NodeField = Field(default=None, description="The search key of the e-mail modes.")
    phone: NodeField = Field(default=None, description="The search key of the phone modes.")
    profile_id: NodeField = Field(default=None, description="The search key of `profile_id`.")
    field_name: str | None = Field(default=None, description="With `custom`: the field searched in.")
    field_value: NodeField = Field(default=None, description="With `custom`: the value searched for.")
    provider: NodeField = Field(default=None, description="With `push_sub`: the provider.")
    subscription_id: NodeField = Field(default=None, description="With `push_sub`: the subscription.")
    skip_triggers: bool | None = Field(default=None, description="Do not start what imports and updates trigger.")
    skip_invalid_subscriptions: bool | None = Field(
        default=None, description="Drop bad subscriptions instead of refusing the profile."
    )
    detect_geo: bool | None = Field(default=None, description="Geolocation by _regip or _ip.")
    data: Nodes = Field(default_factory=dict, description="Profile fields, and `subscriptions`.")
    content: Nodes = Field(default_factory=dict, description="Values for {apicontent.NAME} in templates.")
    attach: tuple[NodeField, ...] = Field(default=(), strict=False, description="Files for the message.")

    @model_validator(mode="after")
    def _search_key_is_mapped(self) -> Self:
        fields = SEARCH_FIELDS[self.matching]
        mapped = [name for name in fields if getattr(self, name) is not None]
        if self.matching in ANY_OF and mapped:
            return self
        if missing := [name for name in fields if name not in mapped]:
            raise PydanticCustomError(
                "search_key",
                'matching = "{matching}" needs `{missing}`, the value that the profile is looked up by',
                {
                    "matching": self.matching,
                    "missing": ("` or `" if self.matching in ANY_OF else "` and `").join(missing),
                },
            )
        return self


class RulesTable(_Table):
    """What counts as a repeat, and what to do in doubt."""

    repeat: Literal["unchanged", "identity", "file"] = Field(
        default="unchanged",
        description="unchanged: send a row again only when what we would send has changed. "
        "identity: engage a person once, whatever changes. file: send each new file whole.",
    )
    reupload_after: Duration = Field(
        default=timedelta(days=1), description="Upload a file anew when its key on the platform is older than this."
    )
    repeat_after: Duration | None = Field(default=None, description="Forget accepted rows after this.")
    on_change: OnChange = Field(
        default="engage",
        description="A row that has changed, about a person who was engaged before. engage: like any other row. "
        "update: import it, and engage nobody. skip: leave it out.",
    )
    in_doubt: Literal["resend", "hold"] = Field(
        default="resend",
        description="resend: send again under the same Request-ID while the installation recognises it. "
        "hold: wait for a person.",
    )
    empty: Empty = Field(default="omit", description="What an empty cell becomes.")
    when: str | None = Field(
        default=None, description='Which rows are sent at all, as "{Country} == RU and {Age} >= 18"; default: all.'
    )


class LimitsTable(_Table):
    """How hard to push, and when to give up."""

    concurrency: InFlight = Field(
        default=16,
        description="Requests in flight at once. auto: as many as make the run faster, found out as it goes.",
    )
    concurrency_max: int = Field(
        default=256, ge=1, le=MOST_IN_FLIGHT, description="With concurrency auto: never more than these."
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=MOST_PROCESSES,
        description="For more than one core: with N above 1, N-1 processes beside the run's own do nothing but send.",
    )
    rate: RateText | None = Field(default=None, description="At most so many requests a second, minute or hour.")
    rate_shared: bool = Field(
        default=False, description="All jobs on this ledger and token that run at the same time share the rate."
    )
    max_errors: MaxErrors | None = Field(default=None, description="Stop after so many errors, or this share.")
    attempts: int = Field(default=5, ge=1, le=100, description="POSTs per row, throttled ones not counted.")
    backoff: Duration = Field(default=timedelta(milliseconds=500), description="Before the second attempt; doubles.")
    backoff_max: Duration = Field(default=timedelta(seconds=30), description="The longest wait between attempts.")
    throttle_patience: Duration = Field(
        default=timedelta(minutes=15), description="How long a row waits while the API says 429."
    )

    @model_validator(mode="after")
    def _a_rate_to_share(self) -> Self:
        if self.rate_shared and self.rate is None:
            raise PydanticCustomError("rate_shared", "`rate_shared` needs `rate`, the rate that the jobs share")
        return self

    @property
    def most_in_flight(self) -> int:
        """Requests in flight, whatever is found out."""
        return self.concurrency_max if self.concurrency == "auto" else self.concurrency


class Job(_Table):
    """The named, repeating import."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", description="The ledger knows the job by it.")
    source: SourceTable
    target: TargetTable
    connection: ConnectionTable = Field(default_factory=ConnectionTable)
    request: RequestTable
    batch: BatchTable = Field(default_factory=BatchTable)
    rules: RulesTable = Field(default_factory=RulesTable)
    limits: LimitsTable = Field(default_factory=LimitsTable)
    repair: RepairTable = Field(default_factory=RepairTable)
    timezone: ZoneName | None = Field(
        default=None, description="Of dates in file names, deadlines and hours, as Europe/Moscow. Else the machine's."
    )
    arrival: ArrivalTable | None = Field(default=None, description="How a night's export arrives.")
    after: AfterTable = Field(default_factory=AfterTable, description="What becomes of an export once it was loaded.")
    guards: GuardsTable = Field(default_factory=GuardsTable, description="When a run that nobody watches stops.")
    metrics: MetricsTable | None = Field(default=None, description="Where scheduled runs leave their numbers.")
    notify: NotifyTable | None = Field(default=None, description="Who is told of scheduled runs.")
    schedule: ScheduleTable | None = Field(default=None, description="When the job runs by itself.")
    insecure: bool = Field(default=False, exclude=True, description="Certificates are not verified: --insecure.")
    rabbitmq: RabbitTable | None = Field(
        default=None, description="The broker that requests go through, in the place of HTTP."
    )
    file: Path = Field(default=Path("job.toml"), exclude=True, description="Where the job was read from.")

    @model_validator(mode="after")
    def _a_host_that_may_have_the_token(self) -> Self:
        allowed = [host.strip("[]").lower() for host in self.connection.hosts]
        host = urlsplit(self.target.url).hostname or ""
        if allowed and host not in allowed:
            raise PydanticCustomError(
                "hosts",
                "the token may be sent to {allowed} only, as `connection.hosts` says, and not to {host}; "
                "correct the address, or add the host",
                {"allowed": " and ".join(allowed), "host": host},
            )
        return self

    @model_validator(mode="after")
    def _files_of_this_machine(self) -> Self:
        check_for_addresses(self.source.path, self.arrival, self.after)
        return self

    @model_validator(mode="after")
    def _parts_of_the_call(self) -> Self:
        check_parts(self.target, self.request)
        check_steps(self.target, self.rules, broker=self.rabbitmq is not None)
        if self.batch.model_fields_set and self.target.call.item is None:
            raise PydanticCustomError(
                "batch", "[batch] goes with the calls about many profiles; remove it, or choose one by target.endpoint"
            )
        check_content_in(self.batch, self.target)
        if self.target.format == "xml":
            check_for_xml(self.request, self.rules)
            if self.rabbitmq is not None:
                raise PydanticCustomError(
                    "rabbitmq", "'target.format': messages to a broker are JSON; remove `format`, or [rabbitmq]"
                )
        return self

    @property
    def recognises_repeats(self) -> bool:
        """Whether the platform is known to recognise a repeated Request-ID on the way that this job takes.

        Over HTTP it is documented; of messages nothing is, so a job has to say it for itself.
        """
        said = self.rabbitmq is None or "deduplicates" in self.target.model_fields_set
        return said and self.target.deduplicates

    def beside(self, path: str) -> Path:
        """A path that is written relative to the job file."""
        return (self.file.parent / os.path.expanduser(path)).absolute()  # noqa: PTH111  pathlib's raises where nobody has that name
