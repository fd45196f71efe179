"""`[connection]`: how requests reach the platform, where the environment does not say it, or should not decide it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from batchrunner.config.nodes import Table
from batchrunner.config.quantities import Duration

DIRECT = "none"
"""As `proxy`: no proxy, whatever the environment says."""


class ConnectionTable(Table):
    """The way to the platform."""

    proxy: str | None = Field(
        default=None,
        pattern=r"^(none|(https?://)?[^\s/?#]+/?)$",
        description='http://host:port, instead of HTTPS_PROXY and its like; "none": go directly, whatever they say.',
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificates (PEM) that are trusted beside the well-known ones; relative to the job file. "
        "Else SSL_CERT_FILE.",
    )
    client_cert: str | None = Field(
        default=None, description="Our own certificate (PEM), for platforms that ask for one; relative to the job file."
    )
    client_key: str | None = Field(
        default=None, description="Its private key (PEM, mode 0600), where `client_cert` does not hold it."
    )
    ip: Literal["any", "4", "6"] = Field(default="any", description="Connect over IPv4 or IPv6 only.")
    hosts: tuple[str, ...] = Field(
        default=(), strict=False, description="The only hosts that the token may be sent to, whatever --url says."
    )
    send_timeout: Duration | None = Field(
        default=None, description="For a request to be taken off our hands, before `target.timeout` begins."
    )
    attempt_timeout: Duration | None = Field(
        default=None, description="For one attempt in all; default: 5s more than the other time-outs together."
    )
    idle: Duration = Field(
        default=timedelta(seconds=45), description="How long an unused connection is kept: less than the server does."
    )

    @model_validator(mode="after")
    def _a_key_has_a_certificate(self) -> Self:
        if self.client_key is not None and self.client_cert is None:
            raise PydanticCustomError("client_key", "`client_key` needs `client_cert`, the certificate it belongs to")
        return self
