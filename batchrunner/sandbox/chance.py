"""Which request is hit by which fault: aimed ones by address, the others by seeded dice."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from batchrunner.sandbox.faults import Fault, Layer, aimed_by, parse_fault

if TYPE_CHECKING:
    from batchrunner.sandbox.settings import Settings

_INTERNAL_ERROR = 500


class Chance:
    """Draws faults. An address that aims at a fault gets that one, as often as it says, and is never drawn for."""

    def __init__(self, settings: Settings) -> None:
        self._fired: Counter[str] = Counter()
        self.reseed(settings.seed)
        self.load(settings)

    def reseed(self, seed: int) -> None:
        """Begin the random sequences anew, and forget which addresses were hit."""
        # Two dice, so that the errors do not depend on how many repeats were replayed in between.
        self._dice = {layer: Random(f"{seed}-{layer}") for layer in Layer}  # noqa: S311 - faults, not secrets
        self._fired.clear()

    def load(self, settings: Settings) -> None:
        """Take over the shares of changed settings; the random sequences go on."""
        shares = [(parse_fault(name), share) for name, share in settings.faults]
        shares += [share for code, percent in settings.fail for share in _fail_shares(code, percent, settings)]
        self._shares = {layer: [share for share in shares if share[0].layer is layer] for layer in Layer}

    def fault(self, layer: Layer, value: str | None) -> Fault | None:
        """The fault that hits this request on this layer, if one does."""
        aimed = aimed_by(value) if value is not None and "+" in value else None
        if value is None or aimed is None:
            return self._draw(layer)
        if aimed.fault.layer is not layer or (aimed.times is not None and self._fired[value] >= aimed.times):
            return None
        if aimed.times is not None:
            self._fired[value] += 1
        return aimed.fault

    def spread(self, width_s: float) -> float:
        """A random part of a width: the jitter."""
        return self._dice[Layer.EXECUTION].uniform(0, width_s) if width_s else 0

    def _draw(self, layer: Layer) -> Fault | None:
        if not self._shares[layer]:
            return None
        point = self._dice[layer].uniform(0, 100)
        for fault, percent in self._shares[layer]:
            if point < percent:
                return fault
            point -= percent
        return None


def _fail_shares(code: int, percent: float, settings: Settings) -> list[tuple[Fault, float]]:
    if code != _INTERNAL_ERROR:
        return [(parse_fault(f"fail-{code}"), percent)]
    after = percent * settings.fail_500_after_percent / 100
    return [(parse_fault("fail-500-before"), percent - after), (parse_fault("fail-500-after"), after)]
