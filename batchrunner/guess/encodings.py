"""Which encoding the bytes of an export are in.

UTF-8 proves itself. Between single-byte encodings nothing is ever proved: each reads any bytes. They are told apart by
the words they give, and charset-normalizer is asked for a second opinion. `run` never guesses: the job says.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

from batchrunner.guess.findings import Finding, Sure
from batchrunner.guess.head import Head

LEGACY = ("cp1251", "koi8-r", "cp866", "cp1252", "latin-1")
"""In order of preference where words do not tell."""

_LOOKED_AT = 200_000
_ENOUGH_GOOD = 20
"""So many valid sequences for each bad byte make damaged UTF-8 likelier than another encoding."""
_ZEROS, _BEYOND_EUROPE, _MOSTLY = 0.05, "\u0530", 0.95
_COMMON = frozenset("оеаинтсрвлкмдпуя")
_CYRILLIC = re.compile(r"[Ѐ-ӿ]")
_WORD = re.compile(r"[^\W\d_]+")
_BOXES = re.compile(r"[─-▟\x80-\x9f�]")


def guess_encoding(head: Head) -> Finding:
    """The encoding of the start of an export, and why."""
    if head.bom_encoding:
        mark = {"utf-16-le": "utf-16", "utf-16-be": "utf-16"}.get(head.bom_encoding, head.bom_encoding)
        return Finding("encoding", mark, "sure", "a byte-order mark says so")
    data = head.data
    if found := _utf16_without_mark(data):
        return Finding("encoding", found, "likely", "every other byte is zero")
    if data.isascii():
        return Finding("encoding", "utf-8", "sure", "plain ASCII, which UTF-8 contains")
    good, bad = _utf8_sequences(data, whole=head.whole)
    if not bad:
        return Finding("encoding", "utf-8", "sure", f"all {good} characters beyond ASCII are valid UTF-8")
    if good >= _ENOUGH_GOOD * bad:
        why = f"{good} characters are valid UTF-8; {bad} bytes are not, and their rows will be unusable"
        return Finding("encoding", "utf-8", "likely", why)
    return _legacy(data)


def _utf16_without_mark(data: bytes) -> str | None:
    """Delimiters and line ends have a zero byte on one side and never on the other; the rest must read as text."""
    head = data[: 2000 - 2000 % 2]
    for codec, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if others.count(0) or zeros.count(0) < _ZEROS * len(zeros):
            continue
        text = head[: len(head) // 2 * 2].decode(codec, "replace")
        if sum(character < _BEYOND_EUROPE for character in text) > _MOSTLY * len(text):
            return codec
    return None


def _utf8_sequences(data: bytes, *, whole: bool) -> tuple[int, int]:
    """How many characters of several bytes are valid UTF-8, and how many bytes are not."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(data, final=whole)
    bad = len(re.findall(r"[\udc80-\udcff]", text))
    return sum(not character.isascii() for character in text) - bad, bad


# --- single bytes ------------------------------------------------------------------------------


def _legacy(data: bytes) -> Finding:
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_LOOKED_AT]
    scores = {name: _plausibility(telling.decode(name, "replace")) for name in LEGACY}
    best = max(LEGACY, key=scores.__getitem__)
    second = max(value for name, value in scores.items() if not _read_alike(name, best, telling))
    hint = _second_opinion(telling)
    agrees = hint is not None and _read_alike(hint, best, telling)
    margin = scores[best] - second
    sure: Sure = "likely" if margin > 0.3 and (agrees or len(telling) > 500) else "guess"  # noqa: PLR2004  see below
    # "sure" is never said: only a person who reads the words can be.
    also = f"; charset-normalizer {'agrees' if agrees else f'would say {hint}' if hint else 'has no opinion'}"
    ranking = Counter(scores).most_common()
    evidence = tuple(f"as {name}, words are plausible to {value:+.2f}" for name, value in ranking)
    return Finding("encoding", best, sure, f"not UTF-8, and its words make sense as {best}{also}", evidence)


def _read_alike(one: str, other: str, data: bytes) -> bool:
    return one == other or data.decode(one, "replace") == data.decode(other, "replace")


def _second_opinion(data: bytes) -> str | None:
    from charset_normalizer import from_bytes  # noqa: PLC0415  only exports that are not UTF-8 need it

    best = from_bytes(data, cp_isolation=["cp1251", "koi8_r", "cp866", "cp1252", "latin_1"]).best()
    if best is None:
        return None
    name = best.encoding.replace("_", "-")
    return {"windows-1251": "cp1251", "windows-1252": "cp1252", "iso8859-1": "latin-1"}.get(name, name)


def _plausibility(text: str) -> float:
    """From -1, no words at all, to 1: how much of what is not ASCII stands in words as people write them."""
    total = sum(not character.isascii() for character in text)
    if not total:
        return 0.0
    good = -2.0 * len(_BOXES.findall(text))
    for word in _WORD.findall(text):
        if not word.isascii():
            good += _of_word(word)
    return max(-1.0, good / total)


def _of_word(word: str) -> float:
    strange = sum(not character.isascii() for character in word)
    cyrillic = len(_CYRILLIC.findall(word))
    if cyrillic == len(word):
        well_cased = word.islower() or word.istitle() or word.isupper()
        common = sum(character in _COMMON for character in word.lower())
        upper = 0.15 if len(word) > 1 and word.isupper() else 0.0
        return strange * (0.5 + common / len(word) / 2 - upper) if well_cased else -0.5 * strange
    if cyrillic:
        return -1.0 * strange
    # An accent here and there is a Western word; accents side by side are another alphabet read wrongly.
    return 0.8 * strange if strange * 2 <= len(word) and not word[1:].isupper() else -0.5 * strange
