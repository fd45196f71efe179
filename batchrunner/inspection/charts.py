"""Small charts as SVG: bars, no scripts, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _GAP = 120, 26, 1


def stacked(parts: Sequence[tuple[str, int, str]]) -> str:
    """One bar of several parts: name, count, class."""
    whole = sum(count for _, count, _ in parts)
    pieces, left = [], 0.0
    for name, count, kind in parts:
        width = 100 * count / whole if whole else 0
        if width:
            title = f"<title>{escape(name)}: {count}</title>"
            pieces.append(f'<rect class="{kind}" x="{left:.3f}" width="{width:.3f}" height="10">{title}</rect>')
        left += width
    label = ", ".join(f"{name} {count}" for name, count, _ in parts)
    return _svg(100, 10, label, pieces, "wide")


def share_bar(part: int, whole: int, label: str) -> str:
    """How much of a whole."""
    width = 100 * part / whole if whole else 0
    rects = ['<rect class="rest" width="100" height="8"/>', f'<rect class="fill" width="{width:.2f}" height="8"/>']
    return _svg(100, 8, label, rects, "share")


def columns(counts: Sequence[int], titles: Sequence[str], label: str, kind: str = "fill") -> str:
    """A column for each count, the highest as high as the chart."""
    highest = max(counts, default=0)
    step = _WIDTH / max(1, len(counts))
    rects = []
    for place, (count, title) in enumerate(zip(counts, titles, strict=True)):
        height = max(1.5, _HEIGHT * count / highest) if count else 0
        spot = f'x="{place * step:.2f}" y="{_HEIGHT - height:.2f}" width="{max(0.5, step - _GAP):.2f}"'
        rects.append(f'<rect class="{kind}" {spot} height="{height:.2f}"><title>{escape(title)}</title></rect>')
    return _svg(_WIDTH, _HEIGHT, label, rects, "columns")


def _svg(width: int, height: int, label: str, shapes: Sequence[str], kind: str) -> str:
    box = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return f'<svg class="{kind}" role="img" aria-label="{escape(label)}" {box}>{"".join(shapes)}</svg>'
