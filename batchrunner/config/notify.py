"""What the job file says about who is told of a night."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration, Percent

Told = Literal["failure", "degraded", "missing_file", "recovery", "success"]


class WebhookTable(Table):
    """An address that gets each message as JSON."""

    url: str = Field(pattern=r"^https?://[^\s/?#]+(/\S*)?$", description="POSTed to.")
    secret_file: str | None = Field(
        default=None, description="A file that holds the key of the signature, relative to the job file, mode 0600."
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="For an answer.")


class EmailTable(Table):
    """A mail server, and to whom."""

    to: tuple[str, ...] = Field(strict=False, min_length=1, description="Addresses.")
    from_: str = Field(alias="from", min_length=3, description="The sender's address.")
    server: str = Field(pattern=r"^[^\s:/]+(:\d{1,5})?$", description="The SMTP server, as mail.example.com:587.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="tls: from the first byte (port 465). none: only on this machine."
    )
    user: str | None = Field(default=None, description="Whom to log in as, where the server wants that.")
    password_file: str | None = Field(
        default=None, description="A file that holds the password, relative to the job file, mode 0600."
    )

    @model_validator(mode="after")
    def _a_user_has_a_password(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise PydanticCustomError("login", "`user` and `password_file` go together; write both, or none")
        return self


class AppriseTable(Table):
    """Any service that apprise knows."""

    urls_file: str = Field(
        description="A file with an address of apprise in each line, relative to the job file, mode 0600."
    )
    """In a file of their own, because such addresses hold tokens."""


class NotifyTable(Table):
    """Who is told of a scheduled run, and of what."""

    on: tuple[Told, ...] = Field(
        default=("failure", "degraded", "missing_file", "recovery"), strict=False, description="Of what; also success."
    )
    degraded_at: Percent = Field(default=5.0, description="A run with a larger share of bad rows is degraded.")
    webhook: WebhookTable | None = Field(default=None, description="JSON to an address.")
    email: EmailTable | None = Field(default=None, description="By mail.")
    apprise: AppriseTable | None = Field(default=None, description="Through any service that apprise knows.")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.webhook is None and self.email is None and self.apprise is None:
            raise PydanticCustomError(
                "nobody", "nobody is named; add [notify.webhook], [notify.email] or [notify.apprise]"
            )
        return self
