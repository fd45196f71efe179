"""How the platform is reached: what the environment and the job say about it, read once and checked.

    proxy           `connection.proxy`, else HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY
    trust           the well-known certificates, and those of `connection.ca_file` or SSL_CERT_FILE
    identity        `connection.client_cert` and `client_key`

Everything that cannot work is a ConfigError here, before the first row.
"""

from __future__ import annotations

import ssl
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, NoReturn, Protocol

from batchrunner.errors import ConfigError
from batchrunner.submit.proxies import proxy_for

IDLE_S = 45.0
"""How long an unused connection is kept. Common servers close theirs after 60 s or more: we go first."""

ANY_ADDRESS: Mapping[str, str | None] = {"any": None, "4": "0.0.0.0", "6": "::"}  # noqa: S104  nothing listens
"""The local address that makes a connection one of IPv4 or IPv6."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All there is to know before a connection is opened."""

    url: str
    """Requests to any other scheme, host or port are refused."""
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    proxy_named_by: str | None = None
    """Where the proxy is named: a key of the job, or the environment."""
    trusted: bytes | None = None
    """Certificates as PEM that are trusted beside the well-known ones."""
    trusted_from: str | None = None
    identity: bytes | None = field(default=None, repr=False)
    """Our certificate and its key as PEM."""
    identity_from: str | None = None
    verified: bool = True
    ip: Literal["any", "4", "6"] = "any"
    connect_timeout_s: float = 10.0
    timeout_s: float = 60.0
    send_timeout_s: float | None = None
    attempt_timeout_s: float | None = None
    """For one attempt in all; None: the other time-outs together and a margin."""
    idle_s: float = IDLE_S

    @property
    def proxy_shown(self) -> str | None:
        """The proxy without a user and a password."""
        if self.proxy is None:
            return None
        scheme, _, rest = self.proxy.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def tls_context(self) -> ssl.SSLContext:
        """Whom we trust and who we are, for Python's own TLS."""
        context = ssl.create_default_context()
        if self.trusted is not None:
            context.load_verify_locations(cadata=self.trusted.decode("ascii", "ignore"))
        if self.identity is not None:
            load_identity(context, self.identity)
        if not self.verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class SaysHow(Protocol):
    """What the room needs of the job's `[connection]`."""

    @property
    def proxy(self) -> str | None: ...  # noqa: D102
    @property
    def ca_file(self) -> str | None: ...  # noqa: D102
    @property
    def client_cert(self) -> str | None: ...  # noqa: D102
    @property
    def client_key(self) -> str | None: ...  # noqa: D102
    @property
    def ip(self) -> Literal["any", "4", "6"]: ...  # noqa: D102
    @property
    def send_timeout(self) -> timedelta | None: ...  # noqa: D102
    @property
    def attempt_timeout(self) -> timedelta | None: ...  # noqa: D102
    @property
    def idle(self) -> timedelta: ...  # noqa: D102


class SaysWhere(Protocol):
    """What the room needs of the job's `[target]`."""

    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def connect_timeout(self) -> timedelta: ...  # noqa: D102
    @property
    def timeout(self) -> timedelta: ...  # noqa: D102


def connection_facts(  # noqa: PLR0913  all that says something of it
    target: SaysWhere,
    connection: SaysHow,
    *,
    insecure: bool,
    environ: Mapping[str, str],
    beside: Callable[[str], Path],
    plain: bool = False,
) -> Facts:
    """Read what environment and job say. `beside` finds a file that the job names. Raises ConfigError.

    `plain`: nothing is encrypted. Certificates that the environment names for all programs are then not looked into,
    unless there is a proxy: for the usual ones, that is a tenth of a second before the first request.
    """
    proxy, named_by = _proxy(target.url, connection.proxy, environ)
    trusted, trusted_from = _trusted(connection.ca_file, environ, beside, plain=plain and proxy is None)
    identity = None
    if connection.client_cert is not None:
        key = beside(connection.client_key) if connection.client_key else None
        identity = _identity(beside(connection.client_cert), key)
    return Facts(
        target.url,
        proxy,
        named_by,
        trusted,
        trusted_from,
        identity,
        connection.client_cert,
        verified=not insecure,
        ip=connection.ip,
        connect_timeout_s=target.connect_timeout.total_seconds(),
        timeout_s=target.timeout.total_seconds(),
        send_timeout_s=_seconds(connection.send_timeout),
        attempt_timeout_s=_seconds(connection.attempt_timeout),
        idle_s=connection.idle.total_seconds(),
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _proxy(url: str, by_job: str | None, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    if by_job == "none":
        return None, None
    if by_job is not None:
        return proxy_for(url, {"all_proxy": by_job}), "connection.proxy"
    proxy = proxy_for(url, environ)
    return proxy, None if proxy is None else "the environment"


# --- certificates -------------------------------------------------------------------------------


def _trusted(
    by_job: str | None, environ: Mapping[str, str], beside: Callable[[str], Path], *, plain: bool
) -> tuple[bytes | None, str | None]:
    if by_job is not None:
        path, named_by = beside(by_job), "connection.ca_file"
    elif name := environ.get("SSL_CERT_FILE"):
        path, named_by = Path(name), "SSL_CERT_FILE"
    else:
        return None, None
    if not path.is_file():
        raise ConfigError(f"{named_by} names {path}, which is not a file; correct it or unset it")
    content = _read(path, named_by)
    if plain and by_job is None:
        return content, named_by
    try:  # a context that knows nobody yet: making the well-known known takes as long again
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{named_by} names {path}, which holds no certificate in PEM form; correct it") from None
    return content, named_by


def _identity(cert: Path, key: Path | None) -> bytes:
    """Our certificate, with its chain and its key, as one PEM text."""
    holder = key or cert
    named_by = "connection.client_key" if key else "connection.client_cert"
    contents = [_read(cert, "connection.client_cert"), *([_read(key, named_by)] if key else [])]
    if sys.platform != "win32" and holder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{holder}: other users can read the private key; run: chmod 600 {holder}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(cert, key, password=_no_password(holder))
    except ssl.SSLError as error:
        raise ConfigError(
            f"{named_by}: {holder} and the certificate in {cert} do not go together ({error.reason or error}); both "
            "must be in PEM form, and the key that of the certificate"
        ) from None
    return b"\n".join(contents)


def load_identity(context: ssl.SSLContext, identity: bytes) -> None:
    """Give a context our certificate. Python's ssl takes files only, so there is one for a moment, for us alone."""
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        path = Path(folder, "identity.pem")
        path.write_bytes(identity)
        context.load_cert_chain(path)


def _no_password(key: Path) -> Callable[[], str]:
    def ask() -> NoReturn:
        raise ConfigError(
            f"{key}: the private key is encrypted, and nobody is there to ask; write it out once with "
            "'openssl pkey -in KEY -out KEY.plain' and keep that with mode 0600"
        )

    return ask


def _read(path: Path, named_by: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{named_by} names {path}, which cannot be read ({error.strerror}); correct it") from None
