"""What it means that no answer could be read: pure."""

from __future__ import annotations

import httpx

from batchrunner.api.answers import cut
from batchrunner.retrying import Doubtful, NeverSent, Verdict

EXCEPTIONS: dict[type[Exception], tuple[type[NeverSent | Doubtful], str]] = {
    # Certainly not sent: there was no connection, or no address to connect to.
    httpx.ConnectError: (NeverSent, "connect"),
    httpx.ConnectTimeout: (NeverSent, "connect_timeout"),
    httpx.PoolTimeout: (NeverSent, "pool_timeout"),
    httpx.ProxyError: (NeverSent, "proxy"),
    httpx.UnsupportedProtocol: (NeverSent, "bad_url"),
    httpx.InvalidURL: (NeverSent, "bad_url"),
    # A connection was open: some or all of it may have left.
    httpx.ReadTimeout: (Doubtful, "read_timeout"),
    httpx.WriteTimeout: (Doubtful, "write_timeout"),
    httpx.TimeoutException: (Doubtful, "timeout"),
    httpx.ReadError: (Doubtful, "reset"),
    httpx.WriteError: (Doubtful, "reset"),
    httpx.CloseError: (Doubtful, "reset"),
    httpx.NetworkError: (Doubtful, "reset"),
    httpx.RemoteProtocolError: (Doubtful, "protocol"),
    httpx.LocalProtocolError: (Doubtful, "local_protocol"),
    httpx.ProtocolError: (Doubtful, "protocol"),
    httpx.TransportError: (Doubtful, "transport"),
    httpx.DecodingError: (Doubtful, "decoding"),
    httpx.TooManyRedirects: (Doubtful, "redirects"),
    httpx.RequestError: (Doubtful, "request"),
    httpx.HTTPStatusError: (Doubtful, "status"),
    httpx.HTTPError: (Doubtful, "http"),
    httpx.StreamConsumed: (Doubtful, "stream"),
    httpx.StreamClosed: (Doubtful, "stream"),
    httpx.ResponseNotRead: (Doubtful, "stream"),
    httpx.RequestNotRead: (Doubtful, "stream"),
    httpx.StreamError: (Doubtful, "stream"),
    httpx.CookieConflict: (Doubtful, "cookies"),
}
"""Every exception that httpx has. A test walks them and fails on one that is missing."""


def read_exception(error: Exception) -> Verdict:
    """What it means that no answer could be read. An exception that is not httpx's is a bug, and in doubt. Pure."""
    name = type(error).__name__
    text = cut(f"{name}: {error}" if str(error) else name)
    for ancestor in type(error).__mro__:
        if found := EXCEPTIONS.get(ancestor):
            verdict, code = found
            return verdict(code, text)
    return Doubtful(f"bug:{name}", text)
