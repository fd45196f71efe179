"""Contents that rows name by an address of the web: each is fetched when the first row that wants it is sent.

What an export says decides which addresses are asked, so little is allowed: https:// with a certificate that is right
for a host which the job names, no redirects, no login, and so many bytes. A host that is not named is never asked, and
a name that leads into one's own network by a trick has no certificate for it there.

Fetching engages nobody: a row whose content does not come has certainly had no effect. It is failed where that may
pass, and goes with the next run; it is rejected where asking again would change nothing.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from msgspec.structs import replace

from batchrunner.attachments import fetches_in, host_of, with_contents
from batchrunner.model import Claim, Failed, Rejected, Settled
from batchrunner.ports import Durable, Submitter, durable_of
from batchrunner.retrying import lawful

KEPT_BYTES = 64_000_000
"""Of contents that have come, the last ones used: rows that name the same one mostly stand together."""

_LATER = {408, 421, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How often a content is asked for, and how long it may take."""

    attempts: int = 3
    backoff_s: float = 0.5
    """Before the second attempt; doubles."""
    connect_s: float = 10.0
    read_s: float = 30.0
    whole_s: float = 120.0
    """For one attempt in all: a server that drips must not hold a row for ever."""


class _Broke(Exception):
    """No answer, or one that may be another soon."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


Content = bytes | Failed | Rejected
"""As base64; or how the rows end that name it."""


class Fetcher:
    """Brings contents, each once while it is remembered, however many rows wait for it."""

    def __init__(self, hosts: Mapping[str, int], limits: FetchLimits | None = None) -> None:
        """`hosts` are those that the job names, in lower case, and the most bytes of a content from each."""
        self._hosts = hosts
        self._limits = limits or FetchLimits()
        self._client: httpx.AsyncClient | None = None
        self._under_way: dict[str, asyncio.Task[Content]] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._stopping = asyncio.Event()

    async def content_of(self, url: str) -> Content:
        """What lies at an address. Rows that name the same one wait for the same answer."""
        if (kept := self._kept.get(url)) is not None:
            self._kept.move_to_end(url)
            return kept
        task = self._under_way.get(url)
        if task is None:
            task = self._under_way[url] = asyncio.create_task(self._bring(url))
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        # Shielded: a row that is given up must not take the content from the others.
        return await asyncio.shield(task)

    def drain(self) -> None:
        """Ask for nothing a second time: the run is to end."""
        self._stopping.set()

    async def aclose(self) -> None:
        """Let go of everything."""
        for task in list(self._under_way.values()):
            task.cancel()
        if self._client is not None:
            await self._client.aclose()

    async def _bring(self, url: str) -> Content:
        most = self._allowed(url)
        if most is None:  # a cell that looks like a mark, and names a host that the job does not
            return Rejected("fetch:host", "a cell names an address on a host that the job does not name")
        for attempt in range(self._limits.attempts):
            if attempt and await self._is_stopping(self._limits.backoff_s * 2 ** (attempt - 1)):
                break
            try:
                async with asyncio.timeout(self._limits.whole_s):
                    found = await self._asked(url, most)
            except TimeoutError:
                broke = _Broke("fetch:timeout", "it took too long")
            except _Broke as error:
                broke = error
            else:
                return found if isinstance(found, Rejected) else self._keep(url, found)
        return Failed(broke.code, f"an attachment cannot be fetched: {broke}")

    def _allowed(self, url: str) -> int | None:
        try:
            return self._hosts.get(host_of(url))
        except ValueError:
            return None

    async def _is_stopping(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def _asked(self, url: str, most: int) -> bytes | Rejected:
        try:
            async with self._opened().stream("GET", url) as response:
                if refusal := _refusal(response.status_code):
                    return refusal
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > most:
                        return Rejected("fetch:too_large", f"an attachment has more than {most} bytes")
        except httpx.InvalidURL:
            return Rejected("fetch:address", "an attachment's address is none")
        except httpx.DecodingError:
            raise _Broke("fetch:broken", "what came cannot be unpacked") from None
        except httpx.TransportError as error:
            raise _broken(error) from None
        return bytes(content) or Rejected("fetch:empty", "an attachment is empty")

    def _opened(self) -> httpx.AsyncClient:
        """Made in the loop that uses it. No login of the environment goes to where an export sends us."""
        if self._client is None:
            timeout = httpx.Timeout(self._limits.read_s, connect=self._limits.connect_s)
            self._client = httpx.AsyncClient(
                follow_redirects=False, timeout=timeout, auth=_no_login, headers={"Accept-Encoding": "identity"}
            )
        return self._client

    def _keep(self, url: str, content: bytes) -> bytes:
        encoded = b64encode(content)
        self._kept[url] = encoded
        self._kept_bytes += len(encoded)
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return encoded


def _no_login(request: httpx.Request) -> httpx.Request:
    """Not even that of a proxy's or a netrc file of the environment."""
    return request


def _refusal(status: int) -> Rejected | None:
    if status in _LATER:
        raise _Broke(f"fetch:{status}", f"its server answers {status}")
    if httpx.codes.is_redirect(status):
        return Rejected(f"fetch:{status}", "an attachment's address leads to another one, which is not followed")
    if status != httpx.codes.OK:
        return Rejected(f"fetch:{status}", f"the server of an attachment answers {status}")
    return None


def _broken(error: httpx.TransportError) -> _Broke:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _Broke("fetch:certificate", "the certificate of its server cannot be verified")
    if isinstance(error, httpx.TimeoutException):
        return _Broke("fetch:timeout", "its server is silent")
    if isinstance(error, httpx.ConnectError):
        return _Broke("fetch:connect", "there is no connection to its server")
    return _Broke("fetch:broken", "the connection to its server broke")


class FetchingSubmitter:
    """A submitter in front of another one: it sees to the contents first."""

    def __init__(self, inner: Submitter, fetcher: Fetcher, most_bytes: int) -> None:
        """Both belong to it from now on. `most_bytes`: of a request with its contents."""
        self._inner = inner
        self._fetcher = fetcher
        self._most_bytes = most_bytes

    async def submit(self, claim: Claim) -> Settled:
        """Fetch what the claim's payload names, then submit it with the contents in their places."""
        wanted = fetches_in(claim.request.payload)
        if not wanted:
            return await self._inner.submit(claim)
        contents: dict[str, bytes] = {}
        for url in wanted:
            content = await self._fetcher.content_of(url)
            if not isinstance(content, bytes):
                return _not_sent(claim, content)
            contents[url] = content
        payload = with_contents(claim.request.payload, contents.__getitem__)
        if len(payload) > self._most_bytes:
            why = f"the request would have {len(payload)} bytes, and the platform takes {self._most_bytes}; attach less"
            return _not_sent(claim, Rejected("too_large", why))
        settled = await self._inner.submit(replace(claim, request=replace(claim.request, payload=payload)))
        return replace(settled, claim=claim)

    @property
    def durable(self) -> Durable | None:
        """See the inner one."""
        return durable_of(self._inner)

    def drain(self) -> None:
        """See the inner one; contents that do not come are not asked for again."""
        self._fetcher.drain()
        self._inner.drain()

    async def aclose(self) -> None:
        """Close both."""
        await self._fetcher.aclose()
        await self._inner.aclose()


def _not_sent(claim: Claim, end: Failed | Rejected) -> Settled:
    return Settled(claim, lawful(end, doubtful=claim.doubtful), attempts=0, requests=0)
