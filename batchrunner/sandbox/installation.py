"""The platform's side of the conversation, without HTTP: from a request as it arrived to what leaves."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from batchrunner.sandbox.answers import TEXTS, Answer, RefusalError, Reply, accepted, refused
from batchrunner.sandbox.batches import bodies_of
from batchrunner.sandbox.calls import read_call
from batchrunner.sandbox.chance import Chance
from batchrunner.sandbox.faults import Fault, Layer, Moment, page_of, plain
from batchrunner.sandbox.matching import read_search
from batchrunner.sandbox.methods import METHODS, Method, method_of
from batchrunner.sandbox.observing import RequestLog, Stats
from batchrunner.sandbox.replays import Once, ReplayMemory
from batchrunner.sandbox.store import Store
from batchrunner.sandbox.uploads import Uploads
from batchrunner.sandbox.wire import Format, answer_format, read_body, render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchrunner.sandbox.observing import Incoming
    from batchrunner.sandbox.settings import Settings
    from batchrunner.sandbox.wire import Body

_TOO_MANY_REQUESTS: Final = 429


@dataclass(frozen=True, slots=True)
class Delivery:
    """What leaves: a reply, whole (`cut` None), only half of it ("half"), or nothing at all ("drop")."""

    reply: Reply
    cut: Literal["drop", "half"] | None = None


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request that got through the door: readable, and with a good token."""

    method: Method
    body: Body
    raw: bytes
    form: Format
    request_id: str | None
    value: str | None
    items: tuple[Body, ...] = ()
    """Of a request about many profiles: a body for each, as if it were asked alone."""

    @property
    def values(self) -> tuple[str | None, ...]:
        """The search values it is about."""
        return tuple(map(_search_value, self.items)) if self.items else (self.value,)


class Installation:
    """One platform in memory: its data, its memory of repeats, its faults. Everything on one event loop."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.store = Store()
        self.uploads = Uploads()
        self.stats = Stats()
        self.log = RequestLog(settings.keep_requests)
        self.memory = ReplayMemory(clock)
        self._tasks = 0
        self._chance = Chance(settings)
        self._bucket = Bucket(clock)
        self._sleep = sleep

    async def answer(self, incoming: Incoming) -> Delivery:
        """Answer one request under `/api/`."""
        self.stats.arrived()
        try:
            self.log.note(incoming)
            if not self._bucket.admits(self.settings.rate_limit):
                self.stats.rate_limited += 1
                return Delivery(plain(_TOO_MANY_REQUESTS))
            return await self._answer(incoming)
        finally:
            self.stats.left()

    def change(self, changes: Mapping[str, object]) -> Settings:
        """Replace settings while running. Raises ValueError, and then nothing has changed."""
        settings = self.settings.changed(changes)
        self.settings = settings
        self._chance.load(settings)
        if "seed" in changes:
            self._chance.reseed(settings.seed)
        self.log = self.log.resized(settings.keep_requests)
        return settings

    def reset(self) -> None:
        """Forget all data, repeats, counts and fired faults. The settings stay."""
        self.store = Store()
        self.uploads = Uploads()
        self.stats.clear()
        self.log = RequestLog(self.settings.keep_requests)
        self.memory.clear()
        self._chance.reseed(self.settings.seed)

    async def _answer(self, incoming: Incoming) -> Delivery:
        visit = self._at_the_door(incoming)
        if isinstance(visit, Reply):
            return self._delivered(visit)
        identities = [(value or "").lower() for value in visit.values]
        for identity in identities:
            self.stats.identified(identity)
        try:
            # Let whatever else has arrived in: otherwise each call would be over before the next is seen, and the
            # counts of what is in flight at once would say 1 to every client.
            await asyncio.sleep(0)
            return await self._serve(visit)
        finally:
            for identity in identities:
                self.stats.released(identity)

    def _at_the_door(self, incoming: Incoming) -> _Visit | Reply:
        """Refuse what never reaches a method. These refusals are not remembered for repeats."""
        content_type = incoming.headers.get("Content-Type", "")
        body: Body | None = None
        try:
            method = method_of(incoming)
            body = read_body(content_type, incoming.raw)
            self._check_token(incoming.headers.get("Authorization", ""), body)
            items = tuple(bodies_of(body, self.settings)) if method.many else ()
        except RefusalError as refusal:
            return self._rendered(refusal.answer, answer_format(body, content_type))
        # "Request-ID is looked at first", the other spelling is from the older text.
        request_id = incoming.headers.get("Request-ID") or incoming.headers.get("X-Request-ID")
        form = answer_format(body, content_type)
        return _Visit(method, body, incoming.raw, form, request_id, _search_value(body), items)

    def _check_token(self, authorization: str, body: Body) -> None:
        scheme, _, credential = authorization.partition(" ")
        token = credential.strip() if scheme.lower() == "bearer" else body.get("token")
        if not token:
            raise RefusalError(401)
        if token != self.settings.token:
            raise RefusalError(403)

    async def _serve(self, visit: _Visit) -> Delivery:
        fault = self._fault_on_the_way(visit)
        if fault is not None:
            self.stats.by_fault[fault.name] += 1
            if fault.moment is Moment.BEFORE:
                return _struck(fault, None)
        once = await self._once(visit)
        reply = _marked(once, visit.request_id)
        return self._delivered(reply) if fault is None else _struck(fault, reply)

    def _fault_on_the_way(self, visit: _Visit) -> Fault | None:
        """One of the people a request is about may aim at it; otherwise it is drawn for once."""
        if self._spared(visit):
            return None
        aiming = [value for value in visit.values if value is not None and "+" in value]
        found = [fault for value in aiming if (fault := self._chance.fault(Layer.DELIVERY, value)) is not None]
        return found[0] if found else None if aiming else self._chance.fault(Layer.DELIVERY, None)

    def _spared(self, visit: _Visit) -> bool:
        return bool(self.settings.only) and visit.method is not METHODS[self.settings.only]

    async def _once(self, visit: _Visit) -> Once:
        window_s = self.settings.dedupe_window_s
        self.memory.expire(window_s)
        if visit.request_id is None or not window_s:
            return Once(await self._execute(visit))
        once = await self.memory.once(
            visit.request_id, hash(visit.raw), lambda: self._execute(visit), self._is_for_repeats
        )
        self.memory.trim(self.settings.dedupe_capacity)
        self.stats.replays += once.replayed
        self.stats.repeats_with_other_body += once.other_body
        return once

    def _is_for_repeats(self, reply: Reply) -> bool:
        return reply.code == 0 or self.settings.remember_errors

    async def _execute(self, visit: _Visit) -> Reply:
        spared = self._spared(visit)
        faults = [None if spared else self._chance.fault(Layer.EXECUTION, value) for value in visit.values]
        struck = [fault for fault in faults if fault is not None]
        for fault in struck:
            self.stats.by_fault[fault.name] += 1
        answer = self._verdict_on_all(visit, faults) if visit.method.many else self._verdict(visit, faults[0])
        # The effect comes first: whoever goes away while waiting for the answer has been served all the same.
        wait_s = self.settings.latency_s + self._chance.spread(self.settings.jitter_s)
        wait_s += max((fault.number for fault in struck if fault.kind == "slow"), default=0)
        if wait_s:
            await self._sleep(wait_s)
        return self._rendered(answer, visit.form)

    def _verdict_on_all(self, visit: _Visit, faults: list[Fault | None]) -> Answer:
        """Each item by itself, unless one of them spoils the whole."""
        poison = next((fault for fault in faults if fault is not None and fault.kind == "poison"), None)
        if poison is not None:
            return refused(int(poison.number))
        answers = [
            self._verdict(dataclasses.replace(visit, body=body), fault)
            for body, fault in zip(visit.items, faults, strict=True)
        ]
        if visit.method.queued:
            self._tasks += 1
            return Answer(0, TEXTS[0], task=f"task-{self._tasks}")
        if any(fault is not None and fault.kind == "short" for fault in faults):
            answers.pop()
        if self.settings.batch_refusals == "whole" and len(answers) == 1 and answers[0].code:
            return answers[0]
        return Answer(0, TEXTS[0], items=tuple(answers))

    def _verdict(self, visit: _Visit, fault: Fault | None) -> Answer:
        failing = fault if fault is not None and fault.kind in ("fail", "poison") else None
        if failing is not None and failing.moment is Moment.BEFORE:
            return refused(int(failing.number))
        try:
            if visit.method.lists:
                return self._scenarios(visit.body)
            if visit.method.uploads:
                answer = Answer(0, TEXTS[0], file=self.uploads.take(visit.body))
                return answer if failing is None else refused(int(failing.number))
            call = read_call(visit.body, self.settings, visit.method, self.uploads.files)
            effect = self.store.carry_out(call, visit.request_id)
        except RefusalError as refusal:
            return refusal.answer
        self.stats.effects += 1
        self.stats.profiles_created += effect.created
        if failing is not None:
            return refused(int(failing.number))
        return accepted(None if fault is not None and fault.kind == "noid" else effect.profile_id)

    def _scenarios(self, body: Body) -> Answer:
        """Those from `from_id` on. Where all exist, none can be listed: that is an installation without the call."""
        if self.settings.workflow_ids is None:
            return refused(501)
        first, limit = body.get("from_id", 1), body.get("limit", 1000)
        if not isinstance(first, int) or not isinstance(limit, int):
            return refused(400, "from_id and limit are whole numbers")
        known = sorted(one for one in self.settings.workflow_ids if one >= first)
        return Answer(0, TEXTS[0], scenarios=tuple(known[:limit]))

    def _rendered(self, answer: Answer, form: Format) -> Reply:
        return render(answer, form, mirror=self.settings.http_status == "mirror")

    def _delivered(self, reply: Reply) -> Delivery:
        if reply.code is not None:
            self.stats.by_code[reply.code] += 1
        return Delivery(reply)


class Bucket:
    """A rate limit: bursts up to one second's worth, then as many as the rate fills in."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._filled_s = clock()
        self._level: float | None = None

    def admits(self, rate: float) -> bool:
        """Whether one more request may pass now; it then has. A rate of 0 admits everything."""
        if not rate:
            return True
        now_s, full = self._clock(), max(1, rate)
        level = full if self._level is None else min(full, self._level + (now_s - self._filled_s) * rate)
        self._filled_s = now_s
        self._level = level - 1 if level >= 1 else level
        return level >= 1


def _search_value(body: Body) -> str | None:
    try:
        return read_search(body).value
    except RefusalError:
        return None  # refused when it is executed; until then it is about nobody


def _marked(once: Once, request_id: str | None) -> Reply:
    if not once.replayed or request_id is None:
        return once.reply
    return dataclasses.replace(once.reply, headers=(("Duplicate-Request", "true"), ("Duplicate-Key", request_id)))


def _struck(fault: Fault, reply: Reply | None) -> Delivery:
    page = page_of(fault)
    if page is not None:
        return Delivery(page)
    return Delivery(reply or plain(502), "half" if fault.kind == "half" else "drop")
