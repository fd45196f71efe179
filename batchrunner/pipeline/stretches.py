"""Stretches: rows one after the other, all accepted before, that a file brings again.

    chunk -> digest of its cells -> noted in the ledger, with the entries of its rows? -> are all of those accepted now?
          -> then each of its rows would be held back, and none of them has to be mapped and asked for

A note says no more than which entries the rows of a stretch have. Whether they are held back is read from the entries
themselves each time, so nothing that may happen to an entry can make a note wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from batchrunner.model import Key, Mapped, Request, RunId, Span, State, Stretch
from batchrunner.ports import Standing

if TYPE_CHECKING:  # see `ports`
    from batchrunner.chunks import Chunk

MOST_SPANS = 64
"""Of one stretch. Rows whose entries lie scattered over many runs are cheaper asked for by their keys."""

MOST_NOTED = 20_000
"""Stretches that one run notes: of a hundred million rows. Memory stays flat beyond."""

Place = tuple[RunId, int, int]
"""Where an entry is: run, source, row."""


class KnowsStretches(Protocol):
    """A ledger that remembers stretches."""

    def knows_stretch(self, digest: bytes) -> bool:
        """Whether it is noted, and each of its entries is accepted, and no later one has taken its place."""
        ...

    def note_stretches(self, run: RunId, stretches: Sequence[Stretch]) -> None:
        """Remember those whose every entry is accepted by now; durable on return."""
        ...


class Stretches:
    """What is known of stretches, and what a run finds out about them."""

    def __init__(self, ledger: KnowsStretches, run: RunId) -> None:
        """Nothing is found out yet."""
        self._ledger = ledger
        self._run = run
        self._digest: bytes | None = None
        self._spans: list[Span] = []
        self._found: list[Stretch] = []

    def know(self, chunk: Chunk, recipe: bytes | None) -> bool:
        """Whether every row of the chunk was accepted. If not, what the gate finds from now on is about this chunk."""
        self._digest = None if recipe is None or chunk.broken else chunk.digest(recipe)
        self._spans = []
        return self._digest is not None and self._ledger.knows_stretch(self._digest)

    def met(self, source_no: int, rows: Sequence[Mapped], standing: Mapping[Key, Standing]) -> None:
        """These rows of the chunk come next; a row that was not accepted yet may get an entry of its own."""
        if self._digest is None or not rows:
            return
        first, last = rows[0].row.number, rows[-1].row.number
        if not standing and last - first + 1 == len(rows):
            self._spans.append(Span(self._run, source_no, first, last))
        else:
            self._spans += spans_of(self._place(source_no, row, standing) for row in rows)

    def _place(self, source_no: int, row: Mapped, standing: Mapping[Key, Standing]) -> Place:
        known = standing.get(row.key) if isinstance(row, Request) else None
        if known is not None and known.state is State.ACCEPTED:
            return known.ref.run, known.ref.source_no, known.ref.row_number
        return self._run, source_no, row.row.number

    def passed(self, *, clean: bool) -> None:
        """All rows of the chunk have been met. If not `clean`, cells are damaged, and that is told in each run."""
        if self._digest is None or not clean or len(self._found) >= MOST_NOTED:
            return
        spans = merged(self._spans)
        if len(spans) <= MOST_SPANS:
            self._found.append(Stretch(self._digest, spans))

    def keep(self) -> None:
        """Have the ledger remember what was found. When everything has ended: a row may have been accepted since."""
        if self._found:
            self._ledger.note_stretches(self._run, self._found)
            self._found = []


def spans_of(places: Iterable[Place]) -> list[Span]:
    """The entries at these places, each once, as few spans."""
    found: list[Span] = []
    begin: Place | None = None
    end = 0
    for place in sorted(set(places)):
        if begin is not None and place[:2] == begin[:2] and place[2] == end + 1:
            end += 1
            continue
        if begin is not None:
            found.append(Span(*begin, end))
        begin, end = place, place[2]
    return found if begin is None else [*found, Span(*begin, end)]


def merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same entries, each once, in as few spans as there can be."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.run, one.source_no, one.first)):
        last = found[-1] if found else None
        if last and (last.run, last.source_no) == (span.run, span.source_no) and span.first <= last.last + 1:
            found[-1] = Span(last.run, last.source_no, last.first, max(last.last, span.last))
        else:
            found.append(span)
    return tuple(found)
