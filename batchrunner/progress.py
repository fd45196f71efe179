"""The bar. By bytes of the sources, so that no counting pass is needed; on stderr, and only for a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Self

from tqdm import tqdm

from batchrunner.model import Totals

REFRESH_S = 0.2


_FORMAT = "{{desc}} {{percentage:3.0f}}%|{{bar}}| {words} [{{elapsed}}<{{remaining}}]"


class Bar:
    """How far a run is: bytes read, rows ended by outcome, rows a second, requests in flight."""

    def __init__(
        self,
        total_bytes: int,
        label: str,
        *,
        shown: bool | None = None,
        limit_now: Callable[[], int] | None = None,
        sends: bool = True,
    ) -> None:
        """`shown` None: only when stderr is a terminal. `limit_now`: of requests in flight, where it changes.

        Where nothing `sends`, nothing flies, and rows are usable rather than accepted.
        """
        self._limit_now = limit_now
        self._sends = sends
        self._bar = tqdm(
            total=total_bytes,
            desc=label,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            disable=None if shown is None else not shown,
            dynamic_ncols=True,
            leave=False,
            bar_format=_FORMAT.format(words=""),
        )
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        """The bar itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear it."""
        self._bar.close()

    def update(self, position: int, totals: Totals, flying: int) -> None:
        """`position` is bytes read of all sources; called often, cheap when it is not time to redraw."""
        bar = self._bar
        if bar.disable:
            return
        # tqdm redraws by how far it got; answers that are slow to come would leave it standing.
        now_s = time.monotonic()
        if now_s - self._drawn_s < REFRESH_S:
            return
        self._drawn_s = now_s
        bar.n = position
        # Not as tqdm's postfix, which begins with a comma.
        in_flight = self._in_flight(flying) if self._sends else None
        bar.bar_format = _FORMAT.format(words=_words(totals, in_flight, bar.format_dict["elapsed"]))
        bar.refresh()

    def _in_flight(self, claimed: int) -> str:
        if self._limit_now is None:
            return f"{claimed} in flight"
        limit = self._limit_now()  # what is claimed beyond it waits for its turn
        return f"{min(claimed, limit)} of {limit} in flight"


class Fetching:
    """How much of a file on another machine has come."""

    def __init__(self, label: str, *, shown: bool | None = None) -> None:
        """`shown` None: only when stderr is a terminal."""
        self._bar = tqdm(
            desc=label,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            file=sys.stderr,
            disable=None if shown is None else not shown,
            dynamic_ncols=True,
            leave=False,
        )

    def __enter__(self) -> Self:
        """The bar itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear it."""
        self._bar.close()

    def update(self, came: int, of: int | None) -> None:
        """So many bytes have come, of so many, where that is known. They may become fewer: it began anew."""
        if self._bar.disable:
            return
        self._bar.total = of
        self._bar.n = came
        self._bar.refresh()


def _words(totals: Totals, in_flight: str | None, elapsed_s: float) -> str:
    """`in_flight` None: nothing is sent."""
    errors = totals.rejected + totals.failed + totals.unusable
    parts = [f"{totals.accepted} {'usable' if in_flight is None else 'accepted'}"]
    parts += [f"{n} {word}" for n, word in ((errors, "errors"), (totals.in_doubt, "in doubt")) if n]
    if totals.skipped_in_all:
        parts.append(f"{totals.skipped_in_all} skipped")
    if in_flight is not None:
        parts.append(in_flight)
    parts.append(f"{totals.ended / max(elapsed_s, 0.001):.0f} rows/s")
    return ", ".join(parts)
