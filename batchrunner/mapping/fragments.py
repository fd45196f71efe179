"""Columns of values as pieces of JSON, ready to be joined: a column is encoded in one call, not a call per row.

Every piece is exactly what the encoder would have written for the value, between a head (`"_fname":`) and a tail (`,`);
a value that is left out has the empty piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from msgspec import UNSET

_encode = msgspec.json.Encoder(decimal_format="number").encode
_NUMBERS = frozenset({int, float, bool, type(None)})
_BETWEEN = "\x7f"
"""Stands between texts while they are encoded as one: JSON writes it as it is, and hardly any cell holds it."""

OnBadText = Callable[[int], None]
"""Told the place of a text that no JSON can carry: bytes that came through as lone surrogates."""


def pieces(values: Sequence[object], head: bytes, tail: bytes, on_bad_text: OnBadText) -> list[bytes]:
    """One piece per value."""
    kinds = set(map(type, values))
    holes = type(UNSET) in kinds
    kinds.discard(type(UNSET))
    if kinds == {str}:
        texts = ["" if value is UNSET else value for value in values] if holes else values
        made = text_pieces(cast("Sequence[str]", texts), head, tail, on_bad_text)
    elif kinds <= _NUMBERS:
        numbers = [None if value is UNSET else value for value in values] if holes else values
        made = _number_pieces(numbers, head, tail)
    else:
        return _one_by_one(values, head, tail, on_bad_text)
    return [b"" if value is UNSET else piece for value, piece in zip(values, made, strict=True)] if holes else made


def text_pieces(texts: Sequence[str], head: bytes, tail: bytes, on_bad_text: OnBadText) -> list[bytes]:
    """One piece per text, encoded as one long text."""
    try:
        whole = _encode(_BETWEEN.join(texts))
    except UnicodeEncodeError:
        return _one_by_one(texts, head, tail, on_bad_text)
    # No line break is left in JSON, so that one can mark where to cut.
    whole = whole.replace(b"\x7f", b'"%b\n%b"' % (tail, head))
    made = (head + whole + tail).split(b"\n")
    return made if len(made) == len(texts) else _one_by_one(texts, head, tail, on_bad_text)


def _number_pieces(values: Sequence[object], head: bytes, tail: bytes) -> list[bytes]:
    if not values:
        return []
    whole = _encode(values)[1:-1]
    whole = whole.replace(b",", b"%b\n%b" % (tail, head))
    return (head + whole + tail).split(b"\n")


def _one_by_one(values: Sequence[object], head: bytes, tail: bytes, on_bad_text: OnBadText) -> list[bytes]:
    made = {id(UNSET): b""}  # by identity: values that were made once are shared by their rows
    known = made.get
    found = []
    for place, value in enumerate(values):
        piece = known(id(value))
        if piece is None:
            piece = made[id(value)] = _one(value, head, tail)
        if not piece and value is not UNSET:
            on_bad_text(place)
        found.append(piece)
    return found


def _one(value: object, head: bytes, tail: bytes) -> bytes:
    try:
        return head + _encode(value) + tail
    except UnicodeEncodeError:
        return b""
