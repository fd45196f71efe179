"""Bar charts as one SVG file, with nothing but text: a library for this would be larger than the bench."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LABEL, BAR, GAP, HEAD = 760, 250, 14, 6, 34
_OURS, _THEIRS, _TEXT, _PAPER = "#2563a8", "#b8bfc8", "#1f2328", "#ffffff"


def svg(charts: Sequence[Mapping[str, Any]]) -> str:
    """Charts below each other."""
    parts, top = [], 10
    for chart in charts:
        if chart["figures"]:
            parts.append(_chart(chart, top))
            top += HEAD + len(chart["figures"]) * (BAR + GAP) + 18
    style = f"text{{font:12px sans-serif;fill:{_TEXT}}}.t{{font-weight:bold;font-size:13px}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
        f"<style>{style}</style>"
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _chart(chart: Mapping[str, Any], top: int) -> str:
    figures: Mapping[str, float] = chart["figures"]
    scale = " (logarithmic)" if chart["log"] else ""
    lines = [f'<text class="t" x="10" y="{top + 16}">{escape(chart["title"])}, {escape(chart["unit"])}{scale}</text>']
    longest = WIDTH - LABEL - 90
    for place, (name, figure) in enumerate(figures.items()):
        y = top + HEAD + place * (BAR + GAP)
        width = max(1.0, longest * _share(figure, figures.values(), log=chart["log"]))
        fill = _THEIRS if _is_peer(name, figures) else _OURS
        lines += [
            f'<text x="{LABEL - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{fill}"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{y + BAR - 3}">{_figure(figure)}</text>',
        ]
    return "\n".join(lines)


def _is_peer(name: str, figures: Mapping[str, float]) -> bool:
    """Where ours stands beside others, the others are grey."""
    ours = [one for one in figures if "batchrunner" in one or one == "auto"]
    return bool(ours) and name not in ours


def _share(figure: float, all_: Any, *, log: bool) -> float:
    if not log:
        return figure / max(*all_, 1e-9)
    least, most = min(all_), max(all_)
    return (math.log10(figure / least) + 0.3) / (math.log10(most / least) + 0.3)


def _figure(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
