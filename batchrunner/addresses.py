"""Addresses of exports on other machines: which ones are read, and what they are called where others read along.

    https://crm.example/exports/people.csv?sign=…    s3://bucket/key    gs://bucket/key    sftp://user@host/path

A secret never stands in an address that is shown, kept or sent on: a password is refused, and of a query, which may be
a signature, nobody can tell that it is none, so it is always left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

WEB = ("https", "http")
STORES = ("s3", "gs", "sftp")
"""Those that list what they hold, so that folders and patterns may be named."""

HIDDEN_QUERY = "?…"

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NOT_IN_NAMES = re.compile(r"[^\w. -]+")
_MAGIC = re.compile(r"[*?\[]")
_SECRET = re.compile(r"sig|token|key|secret|pass|auth|cred|expires|x-amz-|x-goog-|session|hash|code", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of which all that can be known without asking is right."""

    url: str = field(repr=False)
    """With its secrets: for the library that asks, and for nobody else."""
    scheme: str
    shown: str
    """Without them."""
    is_listed: bool = False
    """It names a folder (it ends in /) or a pattern: several files."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read an address. Raises ValueError with a sentence that has no secret in it."""
        shown = without_secrets(text)
        parts = _parts(text)
        if not text.isprintable() or (" " in text and parts.scheme not in STORES):
            raise ValueError(f"{shown!r}: has a character that no address has; write a space as %20")
        if parts.scheme not in (*WEB, *STORES):
            raise ValueError(
                f"{shown}: {parts.scheme}:// is not read, only https://, http://, s3://, gs:// and sftp://; fetch the "
                "file first, and name it"
            )
        if not parts.hostname or not _has_a_port_if_any(parts):
            raise ValueError(f"{shown}: names no host, or none that can be; write SCHEME://HOST/PATH")
        _must_have_no_password(parts, shown)
        return cls(text, parts.scheme, shown, _is_listed(parts, shown))

    @property
    def name(self) -> str:
        """Of the file, as the last part of the address says it, in characters of file names; may be empty."""
        last = _parts(self.url).path.rstrip("/").rpartition("/")[2]
        return _NOT_IN_NAMES.sub("_", unquote(last) if self.scheme in WEB else last).lstrip(". ")

    @property
    def without_query(self) -> str:
        """The address without what may be a signature."""
        return self.shown.removesuffix(HIDDEN_QUERY)

    @property
    def is_signed(self) -> bool:
        """Whether something in its query looks like a secret."""
        return any(_SECRET.search(name) for name, _ in parse_qsl(_parts(self.url).query, keep_blank_values=True))

    def beside(self, path: str) -> Address:
        """Another file of the same store. Names may hold what would be a pattern: they are taken at their word."""
        parts = _parts(self.url)
        url = f"{parts.scheme}://{parts.netloc}/{path.lstrip('/')}"
        return Address(url, parts.scheme, url)


def is_address(text: str) -> bool:
    """Whether a text names something on another machine: nothing else begins with a scheme."""
    return _ADDRESS.match(text) is not None


def without_secrets(text: str) -> str:
    """An address as it may be shown, whether it is a right one or not; other texts as they are."""
    if not is_address(text):
        return text
    scheme, _, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    # What stands in front of an @ is a name only where one needs a name, and no password is behind it.
    if at and scheme.lower() == "sftp" and ":" not in user:
        host = f"{user}@{host}"
    whole = f"{scheme}://{host}{slash}{path}"
    if scheme.lower() in STORES:
        return whole
    bare = re.split(r"[?#]", whole, maxsplit=1)[0]
    return bare + HIDDEN_QUERY if "?" in whole else bare


def _parts(text: str) -> SplitResult:
    """Keys of stores may hold ? and #: they have no query."""
    if text.partition("://")[0].lower() in STORES:
        scheme, _, rest = text.partition("://")
        host, slash, path = rest.partition("/")
        return SplitResult(scheme.lower(), host, slash + path, "", "")
    try:
        return urlsplit(text)
    except ValueError:  # brackets that hold no address
        return SplitResult(text.partition("://")[0].lower(), "", "", "", "")


def _has_a_port_if_any(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _must_have_no_password(parts: SplitResult, shown: str) -> None:
    if "@" not in parts.netloc or (parts.scheme == "sftp" and parts.password is None):
        return
    better = {"sftp": "a key, an agent, or FSSPEC_SFTP_PASSWORD in the environment"}
    raise ValueError(
        f"{shown}: passwords do not belong into an address, where logs and process lists show them; remove it, and use "
        f"{better.get(parts.scheme, '~/.netrc' if parts.scheme in WEB else 'the credentials of the environment')}"
    )


def _is_listed(parts: SplitResult, shown: str) -> bool:
    if parts.scheme in STORES:
        if not parts.path:
            raise ValueError(f"{shown}: names no file; write one behind it, or a / for all of its files")
        return parts.path.endswith("/") or _MAGIC.search(parts.path) is not None
    if "*" in parts.path:
        raise ValueError(f"{shown}: no server of the web tells which files match a pattern; name each file")
    return False
