"""How many requests may be in flight, found out while they fly. Pure: ends of requests go in, a limit comes out.

No number is known beforehand, neither a latency that is normal nor a throughput to be reached: both differ from server
to server, and change. So every answer comes from an experiment between two limits that follow each other:

    measure at the limit -> try another -> keep it, or go back -> measure again

By Little's law, throughput is what is in flight ÷ latency, so one mean of each tells it. A higher limit is kept while
throughput grows by a fair part of what the limit grew (`WORTH`); a lower one is kept unless throughput fell by more
than that. Latency that rises by itself, 429 and failures are reasons to go down at once.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from dataclasses import dataclass
from statistics import median

from batchrunner.model import LimitRecord

START = 4
"""In flight at first: enough to learn from, too few to hurt."""

WORTH = 0.2
"""Elasticity: throughput has to follow this power of the limit. 1 is a server without a knee, 0 one beyond it."""

LEAST_SAMPLES = 8
"""However low the limit: fewer answers say nothing about a mean."""

MOST_TURNS = 4
SURE = 0.04
"""A measurement takes one answer for each request in flight, and more while the mean is less certain than this, at
most so many times as many."""

STEPS = (1.25, 1.5, 2.0)
"""How far up the first, the second and every further try of a row of good ones goes."""

STEP_DOWN = 0.8
"""How far down a try goes that nothing asks for: whether less would carry as much."""

HOLD = 1
HOLD_AFTER_LOSS = (8, 16)
"""Measurements at a limit between two tries; more after one that cost throughput."""

LOSS = 0.95
"""What is left of throughput when a try has cost some."""

TRIES_DOWN = (3, 12)
"""Every third try goes down; after one that cost throughput, it takes up to twelve until the next."""

BELOW_CEILING = 0.9
"""As near as a try comes to a limit that was too much."""

RISEN = 1.5
JUMPED = 3.0
"""Latency has risen when it is so many times that of the measurement before, and again in the next one. When it has
jumped, the first few answers are enough: waiting for a full measurement would take as many times longer, too."""

NOISE_S = 0.005
"""A rise of less than this says nothing of the server: so long a thread of ours may wait for its turn."""

DEEPEST = 0.25
"""Rising latency alone takes at most three quarters away at once: it may be a hiccup."""

LEFT = (0.85, 0.7, 0.5)
"""What a first, a second and every further 429 or burst of failures leaves of the limit, while nothing goes well."""

FAILED_SHARE = 0.1
"""Fewer failures than these are the business of their rows."""

OUTLIER = 4.0
"""A latency counts as at most so many medians: one slow row is not a slow server."""

CEILING_S = 5.0
CEILING_MAX_S = 60.0
PAUSES = 24.0
"""A limit that was too much is not tried again for so long, or so many times the pause it cost: what is lost by asking
stays a small part of a run."""


class End(enum.Enum):
    """What a request says about the server."""

    WELL = "well"
    THROTTLED = "throttled"
    """429: it did not want this one."""
    FAILED = "failed"
    """5xx, a time-out, a reset, no connection."""


class Cause(enum.StrEnum):
    """Why the limit was lowered."""

    LATENCY = "latency"
    THROTTLED = "throttled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """The limit has changed."""

    before: int
    after: int
    cause: Cause | None
    """None: a step of the search, and no back-off."""


@dataclass(slots=True)
class _Trial:
    """What has been seen since a limit was set."""

    since_s: float
    skip: int
    """So many answers are not measured: they used connections that had yet to be opened."""
    latencies: list[float]
    squares: float = 0.0
    in_flight: int = 0
    """Summed up over the answers."""
    most_in_flight: int = 0
    failed: int = 0

    def add(self, latency_s: float, in_flight: int) -> None:
        self.latencies.append(latency_s)
        self.squares += latency_s * latency_s
        self.in_flight += in_flight
        self.most_in_flight = max(self.most_in_flight, in_flight)

    def enough(self, limit: int) -> bool:
        count, least = len(self.latencies), max(LEAST_SAMPLES, limit)
        return count >= least and (count >= MOST_TURNS * least or self._sure(count))

    def _sure(self, count: int) -> bool:
        mean = sum(self.latencies) / count
        return self.squares / count - mean * mean <= (SURE * mean) ** 2 * count

    @property
    def latency_s(self) -> float:
        most = OUTLIER * median(self.latencies)
        return math.fsum(min(one, most) for one in self.latencies) / len(self.latencies)

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return self.in_flight / len(self.latencies) / self.latency_s


class AdaptiveLimit:
    """Finds the limit. Deterministic: the same ends give the same limits."""

    def __init__(self, cap: int) -> None:
        """Never more than `cap`, never less than 1."""
        self._cap = cap
        self.limit = self._lowest = self._highest = min(START, cap)
        self._backed_off: Counter[str] = Counter()
        self._trial = _Trial(-math.inf, skip=self.limit, latencies=[])
        self._kept = self.limit
        """The limit that tries are compared with, and..."""
        self._found: _Trial | None = None
        """... what was measured there; None when that has yet to be done."""
        self._hold = 0
        self._tries = 0
        self._tries_down = TRIES_DOWN[0]
        self._hold_after_loss = HOLD_AFTER_LOSS[0]
        self._streak = len(STEPS) - 1
        self._bad = 0
        """Back-offs since something went well."""
        self._risen = False
        self._ceiling = math.inf
        self._ceiling_until_s = -math.inf

    @property
    def record(self) -> LimitRecord:
        """What became of the limit so far."""
        return LimitRecord(self._lowest, self._highest, self.limit, dict(self._backed_off))

    def landed(self, began_s: float, now_s: float, end: End, in_flight: int) -> Change | None:
        """A request that left at `began_s` has ended, as one of `in_flight`. Says so when the limit has changed."""
        trial = self._trial
        if began_s <= trial.since_s:
            return None  # it tells of an earlier limit
        match end:
            case End.THROTTLED:
                return self._back_off(now_s, Cause.THROTTLED)
            case End.FAILED:
                trial.failed += 1
                too_many = trial.failed > FAILED_SHARE * max(LEAST_SAMPLES, self.limit, len(trial.latencies))
                return self._back_off(now_s, Cause.FAILED) if too_many and trial.failed > 1 else None
        if trial.skip > 0:
            trial.skip -= 1
            return None
        trial.add(now_s - began_s, in_flight)
        return self._judge(now_s) if trial.enough(self.limit) or self._jumped(trial) else None

    def paused(self, now_s: float, seconds: float) -> None:
        """A 429 holds everybody for so long: the longer, the later its limit is tried again."""
        self._ceiling_until_s = max(self._ceiling_until_s, now_s + min(PAUSES * seconds, CEILING_MAX_S))

    def _jumped(self, trial: _Trial) -> bool:
        found = self._found
        return (
            found is not None
            and len(trial.latencies) == LEAST_SAMPLES
            and _risen(trial.latency_s, found.latency_s, JUMPED)
        )

    # --- back-offs that need no measurement ---------------------------------------------------------

    def _back_off(self, now_s: float, cause: Cause) -> Change | None:
        self._ceiling = min(self.limit, self._ceiling)
        self._ceiling_until_s = max(self._ceiling_until_s, now_s + CEILING_S)
        left = max(1, int(self.limit * LEFT[min(self._bad, len(LEFT) - 1)]))
        # What was kept went well a moment ago; but two bad ones in a row say that this has changed.
        self._kept, self._found = self._kept if self._kept < self.limit else left, None
        self._bad, self._streak = self._bad + 1, 0
        return self._set(now_s, self._kept, cause)

    # --- experiments -----------------------------------------------------------------------------

    def _judge(self, now_s: float) -> Change | None:
        self._bad, found = 0, self._trial
        if self.limit == self._kept or self._found is None:
            return self._measured(now_s, found)
        up, growth = self.limit > self._kept, self.limit / self._kept
        gain = found.throughput / self._found.throughput
        # Where rows, and not answers, are slow to come, a higher limit is not even used.
        if gain >= growth**WORTH and not (up and found.most_in_flight <= self._kept):
            return self._won(now_s, found, up=up)
        return self._lost(now_s, up=up, cost=gain <= LOSS)

    def _won(self, now_s: float, found: _Trial, *, up: bool) -> Change | None:
        if self.limit >= self._ceiling:
            self._ceiling = math.inf
        self._kept, self._found = self.limit, found
        self._hold_after_loss = HOLD_AFTER_LOSS[0]
        if up:
            return self._try_up(now_s)
        self._tries_down = TRIES_DOWN[0]
        return self._set(now_s, self._lower(STEP_DOWN))

    def _lost(self, now_s: float, *, up: bool, cost: bool) -> Change | None:
        """Go back, and be slower to try the same again when it cost something."""
        self._hold, self._streak = HOLD, 0
        if not up:
            self._tries_down = min(2 * self._tries_down, TRIES_DOWN[1])
        elif cost:
            self._hold = self._hold_after_loss
            self._hold_after_loss = HOLD_AFTER_LOSS[1]
        return self._set(now_s, self._kept)

    def _measured(self, now_s: float, found: _Trial) -> Change | None:
        """Once more at the limit that is kept."""
        before_s = self._found.latency_s if self._found else math.inf
        if _risen(found.latency_s, before_s, RISEN):
            if self._risen or _risen(found.latency_s, before_s, JUMPED):
                return self._follow(now_s, found, before_s / found.latency_s)
            self._risen = True
            return self._set(now_s, self._kept)
        self._risen, self._found = False, found
        self._hold -= 1
        if self._hold > 0:
            return self._set(now_s, self._kept)
        self._tries += 1
        if self._tries < self._tries_down:
            return self._try_up(now_s)
        self._tries = 0
        return self._set(now_s, self._lower(STEP_DOWN))

    def _follow(self, now_s: float, found: _Trial, part: float) -> Change | None:
        """Less for a latency that has risen. Where that carries less, the latency was not ours, and we go back."""
        self._risen, self._found = False, found
        return self._set(now_s, self._lower(max(part, DEEPEST)), Cause.LATENCY)

    def _try_up(self, now_s: float) -> Change | None:
        step = STEPS[min(self._streak, len(STEPS) - 1)]
        self._streak += 1
        higher = min(max(self._kept + 1, int(self._kept * step)), self._cap)
        if higher > self._ceiling * BELOW_CEILING and now_s < self._ceiling_until_s:
            higher = max(self._kept, int(self._ceiling * BELOW_CEILING))
        return self._set(now_s, higher)

    # --- small things ----------------------------------------------------------------------------

    def _lower(self, part: float) -> int:
        return max(1, min(self._kept - 1, int(self._kept * part)))

    def _set(self, now_s: float, limit: int, cause: Cause | None = None) -> Change | None:
        """Begin to measure at a limit, which may be the same."""
        before, self.limit = self.limit, limit
        if limit == before:
            self._trial = _Trial(self._trial.since_s, skip=0, latencies=[])
            return None
        self._trial = _Trial(now_s, skip=limit if limit > before else 0, latencies=[])
        if cause is not None:
            self._backed_off[cause.value] += 1
        self._lowest, self._highest = min(self._lowest, limit), max(self._highest, limit)
        return Change(before, limit, cause)


def _risen(latency_s: float, before_s: float, times: float) -> bool:
    """Whether a latency is so many times the one before, and by more than what our own machine may cause."""
    return latency_s > times * before_s and latency_s - before_s > NOISE_S
