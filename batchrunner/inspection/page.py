"""An inspection as one page for a browser: no scripts, nothing loaded from anywhere, every name escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from batchrunner.inspection import charts
from batchrunner.inspection.findings import PARTS, Inspection
from batchrunner.inspection.profile import LENGTHS, ColumnProfile
from batchrunner.inspection.tables import distinct, judgement, printable, share

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --dim: #66717f; --line: #dfe4ea; --paper: #fff; --good: #2f8f5b;
  --bad: #c8452e; --held: #c7962c; --fill: #4a78b5; --rest: #e9edf2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #97a3b2; --line: #333d49; --paper: #161b21;
  --good: #55b884; --bad: #e8725c; --held: #dfb45a; --fill: #7ba7e0; --rest: #2a323c; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 76rem; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
p { margin: .2rem 0; } .dim { color: var(--dim); } .verdict { font-size: 1.1rem; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--dim); }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .86em ui-monospace, monospace; } .key span { margin-right: 1.2rem; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px; }
svg { display: block; } svg.wide { width: 100%; height: 1.4rem; border-radius: 4px; }
svg.share { width: 6rem; height: .6rem; margin-top: .35rem; border-radius: 2px; }
svg.columns { width: 8rem; height: 1.7rem; } svg.columns.long, .long svg { width: 100%; height: 3.2rem; }
.good { fill: var(--good); background: var(--good); } .bad { fill: var(--bad); background: var(--bad); }
.held { fill: var(--held); background: var(--held); } .fill { fill: var(--fill); } .rest { fill: var(--rest); }
td.wrong, .jump a { color: var(--bad); } .jump a { margin-right: .8rem; } tr.empty td { color: var(--dim); }
thead th { position: sticky; top: 0; background: var(--paper); } tr:target td { background: var(--rest); }
@media (max-width: 64rem) { .scroll { overflow-x: auto; } .scroll table { min-width: 58rem; }
  thead th { position: static; } }
"""
_FEW_COLUMNS = 12
"""As many as a screen shows."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: Inspection) -> str:
    """The whole page."""
    title = f"{found.job}: check"
    blocks = [
        f"<h1>{_text(found.job)}</h1>",
        f'<p class="dim">{_text(", ".join(found.sources))} · {found.read} rows</p>',
        *_verdict(found),
        *_where(found),
        *_codes(found),
        *_columns(found),
        *_repairs(found),
        '<p class="dim">Values are not shown: 9 stands for a digit, a and A for letters.</p>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(blocks)
        + "\n</body></html>\n"
    )


def _text(text: str) -> str:
    """A text from a file as a text of the page: no markup, nothing that turns the direction of writing."""
    return escape(printable(text))


def _verdict(found: Inspection) -> Iterable[str]:
    parts = (("can be sent", found.usable, "good"), ("left out by when", found.filtered, "held"),
             ("unusable", found.unusable, "bad"))  # fmt: skip
    yield f'<p class="verdict">{_text(judgement(found))}</p>'
    yield charts.stacked(parts)
    keys = [
        f'<span><i class="{kind}"></i>{count} {name} ({share(count, found.read)})</span>'
        for name, count, kind in parts
        if count
    ]
    yield f'<p class="key dim">{"".join(keys)}</p>'


def _where(found: Inspection) -> Iterable[str]:
    if not found.unusable:
        return
    bad = [part[1] for part in found.parts]
    titles = [
        f"{100 * place // PARTS} % of the file: {part[1]} of {part[0]} rows" for place, part in enumerate(found.parts)
    ]
    yield "<h2>Where in the file rows are unusable</h2>"
    yield f'<div class="long">{charts.columns(bad, titles, "unusable rows from start to end", "bad")}</div>'


def _codes(found: Inspection) -> Iterable[str]:
    if not found.codes:
        return
    yield "<h2>Why</h2><table><tbody>"
    for code, count in found.codes.most_common():
        bar = charts.share_bar(count, found.unusable, f"{share(count, found.unusable)} of the unusable rows")
        yield f'<tr><td><code>{_text(code)}</code></td><td class="n">{count}</td><td>{bar}</td></tr>'
    yield "</tbody></table>"


def _columns(found: Inspection) -> Iterable[str]:
    columns = list(found.columns)
    yield f"<h2>Columns</h2>{_jump(found, columns)}"
    yield '<div class="scroll"><table><thead><tr><th>column</th><th>problems</th><th>filled</th><th></th>'
    yield "<th>distinct</th><th>looks like</th><th>lengths</th></tr></thead><tbody>"
    for place, column in enumerate(columns):
        yield _column(found, column, place)
    yield "</tbody></table></div>"
    if found.columns.left_out:
        yield '<p class="dim">Further columns, which only some of the rows have, were not looked at.</p>'


def _jump(found: Inspection, columns: Sequence[ColumnProfile]) -> str:
    """Where to look in a long table: the columns that have problems."""
    if len(columns) <= _FEW_COLUMNS:
        return ""
    wrong = [(place, column) for place, column in enumerate(columns) if found.problems_of(column)]
    empty = sum(not column.filled for column in columns)
    links = "".join(f'<a href="#c{place}">{_text(column.name)}</a>' for place, column in wrong)
    return (
        f'<p class="dim">{len(wrong)} of {len(columns)} columns have problems; {empty} are empty.</p>'
        f'<p class="jump">{links}</p>'
    )


def _column(found: Inspection, column: ColumnProfile, place: int) -> str:
    filled = share(column.filled, column.rows)
    titles = [_length(place, count) for place, count in enumerate(column.lengths)]
    problems = found.problems_of(column)
    cells = (
        f"<td>{_text(column.name)}</td>",
        f'<td class="wrong">{_text(", ".join(problems))}</td>',
        f'<td class="n">{filled}</td>',
        f"<td>{charts.share_bar(column.filled, column.rows, filled)}</td>",
        f'<td class="n">{distinct(column)}</td>',
        f"<td>{'<br>'.join(f'<code>{_text(one)}</code>' for one in column.examples)}</td>",
        f"<td>{charts.columns(column.lengths, titles, 'cells by length')}</td>",
    )
    kind = "" if column.filled else ' class="empty"'
    return f'<tr id="c{place}"{kind}>{"".join(cells)}</tr>'


def _length(place: int, count: int) -> str:
    least = LENGTHS[place]
    most = f" to {LENGTHS[place + 1] - 1}" if place + 1 < len(LENGTHS) else " and more"
    return f"{least}{most} characters: {count} cells"


def _repairs(found: Inspection) -> Iterable[str]:
    if not found.repairs:
        return
    yield "<h2>Damaged cells</h2><table><tbody>"
    for one in found.repairs:
        yield f"<tr><td>{_text(one.source)}</td><td>{_text(one.sentence)}</td></tr>"
    yield "</tbody></table>"
