"""Exports at addresses of the web: `https://`, and `http://` where somebody says so.

What is stored there is what is copied: nothing is unpacked on its way. A broken line goes on where it broke, if the
server tells one content from another (ETag, Last-Modified) and knows ranges; else it begins anew.
"""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Iterator
from contextlib import suppress

import httpx

from batchrunner import __version__
from batchrunner.addresses import Address, without_secrets
from batchrunner.errors import SourceError
from batchrunner.remote.fetching import Answer, Broke, Patience

_MOST_REDIRECTS = 10
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_AS_IT_IS = {"", "identity", "gzip", "x-gzip", "zstd"}
"""Ways to pack an answer that readers of exports know as well, so that it may be kept packed."""

_LATER = {408, 421, 425, 429, 500, 502, 503, 504}
_PAGES = (b"<!doctype html", b"<html")


class WebLine:
    """What one address answers."""

    def __init__(self, address: Address, patience: Patience) -> None:
        """Nothing is asked yet. User and password come from ~/.netrc, proxies and certificates from the environment."""
        self._shown = address.shown
        self._url = address.url
        self._is_safe = address.scheme == "https"
        self._validator: str | None = None
        self._client = httpx.Client(
            auth=_of_netrc(address.shown),
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            timeout=httpx.Timeout(patience.read_s, connect=patience.connect_s),
            event_hooks={"request": [self._must_stay_safe]},
            headers={"User-Agent": f"batchrunner/{__version__}", "Accept-Encoding": "identity", "Accept": "*/*"},
        )

    def ask(self, begin: int) -> Answer:
        """Ask for the bytes from a place on, if the content is still the same; else for all of them."""
        headers = {}
        if begin and self._validator is not None:
            headers = {"Range": f"bytes={begin}-", "If-Range": self._validator}
        response = self._asked(headers)
        try:
            return self._answer(response, begin if headers else 0)
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _asked(self, headers: dict[str, str]) -> httpx.Response:
        try:
            return self._client.send(self._client.build_request("GET", self._url, headers=headers), stream=True)
        except httpx.TooManyRedirects:
            raise SourceError(
                f"{self._shown}: leads from one address to another, {_MOST_REDIRECTS} times; correct it"
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise SourceError(f"{self._shown}: leads to something that is no address; correct it") from None
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _answer(self, response: httpx.Response, begin: int) -> Answer:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._validator = None
            raise Broke("what lies there has become shorter")
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise _refusal(response, self._shown)
        self._must_be_as_it_is(response)
        total = _length(response)
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            if (said := _RANGE.fullmatch(response.headers.get("content-range", ""))) is None or int(said[1]) != begin:
                self._validator = None
                raise Broke("it went on at another place than the one that was asked for")
            total = int(said[2]) if said[2] != "*" else None
        else:
            begin = 0
            self._validator = _validator(response)
        return Answer(begin, total, self._pieces(response, begin), response.close)

    def _pieces(self, response: httpx.Response, begin: int) -> Iterator[bytes]:
        try:
            for piece in response.iter_raw():
                if begin == 0 and piece.lstrip()[:20].lower().startswith(_PAGES):
                    raise SourceError(
                        f"{self._shown}: a web page came in place of an export; see with a browser whether it asks for "
                        "a login, and name an address that needs none, or put it into ~/.netrc"
                    )
                begin += len(piece)
                yield piece
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _must_stay_safe(self, request: httpx.Request) -> None:
        if self._is_safe and request.url.scheme != "https":
            raise SourceError(
                f"{self._shown}: leads to {without_secrets(str(request.url))}, which anybody on the way can read; name "
                "an address that stays with https://"
            )

    def _must_be_as_it_is(self, response: httpx.Response) -> None:
        packing = response.headers.get("content-encoding", "").strip().lower()
        if packing not in _AS_IT_IS:
            raise SourceError(
                f"{self._shown}: the server packs it as {packing[:20]!r}, though it was asked not to; fetch the file "
                "first, and name it"
            )

    def _unreachable(self, error: httpx.TransportError) -> Broke | SourceError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return SourceError(
                f"{self._shown}: the server's certificate cannot be verified; name the authority that signed it in "
                "SSL_CERT_FILE"
            )
        return Broke(_WHY.get(type(error), "the connection broke"))


_WHY: dict[type[Exception], str] = {
    httpx.ConnectError: "there is no connection to the server",
    httpx.ConnectTimeout: "the server does not take a connection",
    httpx.ReadTimeout: "the server has stopped sending",
    httpx.ProxyError: "the proxy refuses it",
}


def _refusal(response: httpx.Response, shown: str) -> Broke | SourceError:
    """What an answer means that brings no file."""
    status = response.status_code
    if status in _LATER:
        return Broke(f"the server answers {status}", _seconds(response.headers.get("retry-after", "")))
    if status in (401, 403, 407):
        return SourceError(
            f"{shown}: the server does not let us have it ({status}); a signed address may be too old, and a login "
            "belongs into ~/.netrc"
        )
    if status in (404, 410):
        return SourceError(f"{shown}: there is no such file ({status}); check the address")
    return SourceError(f"{shown}: the server answers {status} and sends no file; check the address")


def _validator(response: httpx.Response) -> str | None:
    """What tells this content from another one in a later question."""
    tag: str = response.headers.get("etag", "")
    if tag.startswith('"'):  # weak ones do not speak of bytes
        return tag
    modified: str | None = response.headers.get("last-modified")
    return modified


def _length(response: httpx.Response) -> int | None:
    said = response.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() else None


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None


def _of_netrc(shown: str) -> httpx.Auth | None:
    with suppress(OSError):  # most have none
        try:
            return httpx.NetRCAuth(os.environ.get("NETRC"))
        except netrc.NetrcParseError as error:
            # Its text would name what it found there.
            where = f"line {error.lineno}" if error.lineno else "others may read it"
            raise SourceError(f"{shown}: ~/.netrc cannot be read ({where}); correct it") from None
    return None
