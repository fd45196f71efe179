"""Exports in stores that list what they hold: `s3://`, `gs://` and `sftp://`, through fsspec.

Credentials and settings are those that each library finds by itself: profiles and roles of AWS, the application default
credentials of Google, keys and agents of SSH; and `FSSPEC_S3_…`, `FSSPEC_GS_…`, `FSSPEC_SFTP_…` as fsspec has them.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from batchrunner.addresses import Address
from batchrunner.errors import SourceError
from batchrunner.remote.fetching import Answer, Broke

_BLOCK = 8 << 20

_TOLD_HERE = ("fsspec", "s3fs", "gcsfs", "asyncssh")
"""They log a traceback for each attempt that fails, and signatures among it; what it comes to is said in a sentence."""

_MODULES = {"s3": "s3fs", "gs": "gcsfs", "sftp": "sshfs"}
_MAGIC = re.compile(r"[*?\[]")

_STAMP = ("size", "ETag", "etag", "generation", "LastModified", "mtime", "updated")
"""What stores say of a content that changes with it."""


class StoreLine:
    """What lies at one address of a store."""

    def __init__(self, address: Address) -> None:
        """Nothing is asked yet, but that the library is there."""
        self._address = address
        self._stamp: tuple[object, ...] = ()

    def ask(self, begin: int) -> Answer:
        """Ask for the bytes from a place on, if the content is still the same; else for all of them."""
        with _Saying(self._address):
            store, path = _store(self._address), _path(self._address)
            info = store.info(path)
            if info["type"] == "directory":
                raise SourceError(
                    f"{self._address.shown}: is a folder; write a / behind it for all files in it, or name one"
                )
            stamp = _stamp(info)
            begin = begin if stamp == self._stamp else 0
            self._stamp = stamp
            file = store.open(path, "rb", **self._at_once)
            file.seek(begin)
        return Answer(begin, info["size"], self._pieces(store, path, file), file.close)

    def close(self) -> None:
        """Libraries close what they have opened by themselves."""

    @property
    def _at_once(self) -> dict[str, Any]:
        """Stores of objects are asked once for each block; what a cache would keep is not asked for again."""
        return {} if self._address.scheme == "sftp" else {"block_size": _BLOCK, "cache_type": "none"}

    def _pieces(self, store: Any, path: str, file: Any) -> Iterator[bytes]:  # noqa: ANN401  of a library without types
        with _Saying(self._address):
            while piece := file.read(_BLOCK):
                yield piece
            if _stamp(store.info(path)) != self._stamp:
                self._stamp = ()
                raise Broke("it was written to while it was fetched")


def files_of(address: Address) -> list[Address]:
    """The files in a folder, or those that match a pattern, by name. Raises Broke, SourceError."""
    with _Saying(address):
        store, path = _store(address), _path(address)
        if _MAGIC.search(path):
            found = list(store.glob(path, detail=True).values())
        else:
            found = store.ls(path.rstrip("/"), detail=True)
    names = sorted(one["name"] for one in found if one["type"] != "directory")
    return [_beside(address, name) for name in names if not _is_hidden(name)]


def _is_hidden(name: str) -> bool:
    last = name.rstrip("/").rpartition("/")[2]
    # Stores without folders have objects of no content that stand for them.
    return last.startswith(".") or name.endswith("/")


# --- the library -------------------------------------------------------------------------------


def _store(address: Address) -> Any:  # noqa: ANN401  of a library without types
    scheme = address.scheme
    try:
        fsspec = importlib.import_module("fsspec")
        module = importlib.import_module(_MODULES[scheme])
    except ImportError as error:
        raise SourceError(
            f"{address.shown}: {scheme}:// needs {_MODULES[scheme]} ({error.name} is missing); write: "
            f"pip install 'batchrunner[{scheme}]'"
        ) from None
    for told in _TOLD_HERE:
        logging.getLogger(told).setLevel(logging.CRITICAL)
    # What was listed a moment ago may be another content by now, and a connection may be broken.
    match scheme:
        case "s3":
            return module.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        case "gs":
            # The plain one: the other asks for rights on the bucket itself, only to learn of what kind it is.
            return module.core.GCSFileSystem(use_listings_cache=False, skip_instance_cache=True)
        case _:
            return module.SSHFileSystem(**_of_ssh(address, fsspec.config.conf), skip_instance_cache=True)


def _of_ssh(address: Address, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How an SSH server is reached; the key of the host is always checked, which the library leaves out by itself."""
    parts = urlsplit(address.url)
    said = {**settings.get("ssh", {}), **settings.get("sftp", {})}
    where = {"host": parts.hostname, "port": parts.port, "username": unquote(parts.username or "") or None}
    said |= {name: value for name, value in where.items() if value is not None}
    if not said.get("known_hosts"):
        said["known_hosts"] = ()  # ~/.ssh/known_hosts; None would be nobody's
    for name in ("known_hosts", "client_keys"):
        if isinstance(said.get(name), str):
            said[name] = os.path.expanduser(said[name])  # noqa: PTH111  pathlib's raises where nobody has that name
    if "port" in said:
        said["port"] = int(said["port"])
    return said


def _path(address: Address) -> str:
    """As the store has it: what stands behind the scheme; of a server with folders, behind its name."""
    rest = address.url.partition("://")[2]
    if address.scheme == "sftp":
        return "/" + rest.partition("/")[2]
    return rest


def _beside(address: Address, name: str) -> Address:
    return address.beside(name if address.scheme == "sftp" else name.lstrip("/").partition("/")[2])


def _stamp(info: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(info.get(name) for name in _STAMP)


# --- what went wrong ---------------------------------------------------------------------------


class _Saying:
    """Say what a library raises as what it means here. Those of stores have no tree of errors in common."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __enter__(self) -> None:
        """Nothing has gone wrong."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        """Raise Broke or SourceError in the place of what a library raised. None of its own words: they may tell."""
        if isinstance(error, Exception) and not isinstance(error, (Broke, SourceError)):
            raise _meaning(error, self._address) from None


_CREDENTIALS = {
    "s3": "see the profile (AWS_PROFILE) or the keys (AWS_ACCESS_KEY_ID) in the environment",
    "gs": "see GOOGLE_APPLICATION_CREDENTIALS in the environment, or 'gcloud auth application-default login'",
    "sftp": "see the user in the address, and the key (FSSPEC_SFTP_CLIENT_KEYS), agent or FSSPEC_SFTP_PASSWORD",
}

_NONE = {
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError", "SSOTokenLoadError",
    "UnauthorizedSSOTokenError", "CredentialRetrievalError", "DefaultCredentialsError", "RefreshError",
    "KeyImportError",
}  # fmt: skip
"""Errors about credentials that are not there or no good, by name: to import them would import every library."""


def _meaning(error: Exception, address: Address) -> Broke | SourceError:
    shown, name = address.shown, type(error).__name__
    how = _CREDENTIALS[address.scheme]
    status = getattr(error, "code", None)
    if isinstance(error, FileNotFoundError) or status in (404, "404"):
        return SourceError(f"{shown}: there is no such file; check the address")
    if isinstance(error, PermissionError) or status in (401, 403, "401", "403"):
        return SourceError(f"{shown}: may not be read with the credentials that are there; {how}")
    if name in _NONE:
        return SourceError(f"{shown}: no credentials that could be used are there ({name}); {how}")
    if name == "HostKeyNotVerifiable":
        return SourceError(
            f"{shown}: the key of the host is not known, so nobody can tell whether it is the right one; add it to "
            "~/.ssh/known_hosts (or the file in FSSPEC_SFTP_KNOWN_HOSTS) after comparing it"
        )
    if isinstance(error, (ImportError, TypeError, ValueError)):
        return SourceError(f"{shown}: cannot be asked for ({name}); check the address, and what FSSPEC_* says")
    reason = error.strerror if isinstance(error, OSError) and error.errno and error.strerror else name
    return Broke(f"the store cannot be read ({reason})")
