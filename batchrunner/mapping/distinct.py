"""Whether the texts of a column repeat: where they do, each is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_SAMPLE = 128
_MOSTLY_DISTINCT = 0.7
"""A share of distinct texts in a sample above which looking each of them up costs more than it saves."""


def mostly_distinct(texts: Sequence[Hashable]) -> bool:
    """Whether texts hardly repeat, by the first of them."""
    sample = texts[:_SAMPLE]
    return len(set(sample)) > _MOSTLY_DISTINCT * len(sample)


def each_once(texts: Sequence[K], make: Callable[[K], T]) -> list[T]:
    """What `make` gives for each text, called once per distinct text where texts repeat."""
    if mostly_distinct(texts):
        return list(map(make, texts))
    made = {text: make(text) for text in set(texts)}
    return list(map(made.__getitem__, texts))
