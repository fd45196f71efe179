"""Files that rows name go to the platform first, each once; then the row goes with the platform's name for them.

Uploading engages nobody: a row whose file does not arrive has certainly had no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, assert_never

import httpx
from msgspec.structs import replace

from batchrunner.attachments import Upload, digest_of, uploads_in, with_names
from batchrunner.clock import Clock
from batchrunner.errors import LedgerError
from batchrunner.model import Accepted, Claim, Failed, InDoubt, Rejected, Settled, Value
from batchrunner.ports import Durable, Submitter, UploadShelf, durable_of
from batchrunner.retrying import Again, History, Moment, NeverSent, Pause, RetryPolicy, Settle, Verdict, decide, lawful
from batchrunner.submit.throttle import Throttle


class SpeaksUploads(Protocol):
    """The API room, as far as files go."""

    def request_for(self, name: str, content: bytes) -> httpx.Request:
        """The request that uploads a file; each has an id of its own."""
        ...

    def read_answer(self, response: httpx.Response) -> Verdict:
        """What an answer means: Accepted holds the key."""
        ...

    def read_exception(self, error: Exception) -> Verdict:
        """What it means that no answer could be read."""
        ...


class NotUploaded(Value, frozen=True):
    """A file is not on the platform, and how the rows that name it end because of it."""

    outcome: Failed | Rejected
    refusal: str | None = None


Uploaded = str | NotUploaded


class Uploader:
    """Brings files to the platform, each once, however many rows wait for it."""

    def __init__(  # noqa: PLR0913, PLR0917  the parts that make it up
        self,
        api: SpeaksUploads,
        transport: httpx.AsyncBaseTransport,
        throttle: Throttle,
        policy: RetryPolicy,
        shelf: UploadShelf,
        folders: dict[str, Path],
        clock: Clock,
        random: Callable[[], float],
        keep_ms: int,
        limit_s: float,
    ) -> None:
        """`folders` are those that the job names, by their name in the job; `keep_ms`: for how long a key is good."""
        self._api = api
        self._transport = transport
        self._throttle = throttle
        self._policy = policy
        self._shelf = shelf
        self._folders = folders
        self._clock = clock
        self._random = random
        self._keep_ms = keep_ms
        self._limit_s = limit_s
        self._under_way: dict[str, asyncio.Task[Uploaded]] = {}
        self._uncounted = 0

    async def key_of(self, upload: Upload) -> Uploaded:
        """The platform's name for a file. Rows that name the same file wait for the same upload."""
        task = self._under_way.get(upload.digest)
        if task is None:
            task = self._under_way[upload.digest] = asyncio.create_task(self._bring(upload))
        # Shielded: a row that is given up must not take the file from the others.
        key = await asyncio.shield(task)
        if isinstance(key, NotUploaded) and isinstance(key.outcome, Failed):
            self._under_way.pop(upload.digest, None)  # another row may have more luck
        return key

    def take_requests(self) -> int:
        """The POSTs that have left since this was asked last: the row that ends next answers for them."""
        taken, self._uncounted = self._uncounted, 0
        return taken

    def close(self) -> None:
        """Let go of everything."""
        for task in self._under_way.values():
            task.cancel()
        self._shelf.close()

    async def _bring(self, upload: Upload) -> Uploaded:
        try:
            known = self._shelf.key_of(upload.digest, self._clock.now_ms() - self._keep_ms)
            if known is not None:
                return known
            content = self._content(upload)
            if isinstance(content, NotUploaded):
                return content
            key = await self._send(upload, content)
            if isinstance(key, str):
                self._shelf.remember(upload.digest, key, self._clock.now_ms())
        except LedgerError as error:
            return NotUploaded(Failed("upload_ledger", f"a file could not be looked up or noted: {error}"))
        return key

    def _content(self, upload: Upload) -> bytes | NotUploaded:
        """The file, if it is still the one that the row was made with."""
        folder = self._folders.get(upload.folder)
        if folder is None:  # a cell that looks like a mark, and names a folder that the job does not
            return NotUploaded(Rejected("upload_folder", "a cell names a file outside of the job's folders"))
        root = folder.resolve()
        path = (root / upload.name).resolve()
        try:
            if not path.is_relative_to(root) or digest_of(path) != upload.digest:
                return NotUploaded(Failed("upload_changed", "a file has changed since its row was read"))
            return path.read_bytes()
        except OSError as error:
            return NotUploaded(Failed("upload_gone", f"a file can no longer be read ({error.strerror})"))

    async def _send(self, upload: Upload, content: bytes) -> Uploaded:
        request_of = self._api.request_for
        started_ms, history = self._clock.now_ms(), History()
        while await self._throttle.turn():
            verdict = await self._attempt(request_of(Path(upload.name).name, content))
            moment = Moment(self._clock.now_ms(), started_ms, self._random(), self._throttle.draining)
            self._uncounted += not isinstance(verdict, NeverSent)
            decision = decide(verdict, history, self._policy, moment)
            match decision:
                case Settle():
                    return _ended(decision)
                case Again(wait_s, history):
                    await self._throttle.rest(wait_s)
                case Pause(wait_s, history):
                    self._throttle.pause(wait_s)
                case _:
                    assert_never(decision)
        return NotUploaded(Failed("stopped", "the run was stopped before a file could be uploaded"))

    async def _attempt(self, request: httpx.Request) -> Verdict:
        try:
            async with asyncio.timeout(self._limit_s):
                return self._api.read_answer(await self._transport.handle_async_request(request))
        except TimeoutError:
            return NeverSent("upload_timeout", f"no answer to an upload within {self._limit_s:g} s")
        except Exception as error:  # noqa: BLE001  an edge: a row must end in an outcome
            return self._api.read_exception(error)
        finally:
            if self._throttle.slots is not None:
                self._throttle.slots.give_back()


def _ended(end: Settle) -> Uploaded:
    match end.outcome:
        case Accepted(key):
            return key or NotUploaded(Failed("upload_no_key", "the platform gave no key for a file"))
        case Rejected(code, text):
            return NotUploaded(Rejected(f"upload:{code}", f"the platform does not take a file: {text}"))
        case Failed(code, text) | InDoubt(code, text):
            return NotUploaded(Failed(f"upload:{code}", f"a file was not uploaded: {text}"), end.refusal)
        case _:
            assert_never(end.outcome)


class UploadingSubmitter:
    """A submitter in front of another one: it sees to the files first."""

    def __init__(self, inner: Submitter, uploader: Uploader) -> None:
        """Both belong to it from now on."""
        self._inner = inner
        self._uploader = uploader

    async def submit(self, claim: Claim) -> Settled:
        """Upload what the claim's payload names, then submit it with the platform's names for that."""
        wanted = uploads_in(claim.request.payload)
        if not wanted:
            return await self._inner.submit(claim)
        names: dict[Upload, str] = {}
        for upload in wanted:
            key = await self._uploader.key_of(upload)
            if isinstance(key, NotUploaded):
                outcome, requests = lawful(key.outcome, doubtful=claim.doubtful), self._uploader.take_requests()
                return Settled(claim, outcome, attempts=0, requests=requests, refusal=key.refusal)
            names[upload] = key
        payload = with_names(claim.request.payload, names.__getitem__)
        settled = await self._inner.submit(replace(claim, request=replace(claim.request, payload=payload)))
        return replace(settled, claim=claim, requests=settled.requests + self._uploader.take_requests())

    @property
    def durable(self) -> Durable | None:
        """See the inner one."""
        return durable_of(self._inner)

    def drain(self) -> None:
        """See the inner one: both share a throttle."""
        self._inner.drain()

    async def aclose(self) -> None:
        """Close both."""
        self._uploader.close()
        await self._inner.aclose()
