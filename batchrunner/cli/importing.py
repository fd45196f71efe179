"""Imports without the collector: what they make lives for ever, and looking for garbage in it is a tenth of a start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_collecting() -> Iterator[None]:
    """No garbage is looked for in the block, and never again in what it has made."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
