"""Value maps: what each text of a column stands for, as `{ M = 1, F = 2 }`, and what becomes of the others."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from msgspec import UNSET

from batchrunner.config import Scalar
from batchrunner.mapping.conversions import Convert, check_numbers

_POLICIES = ("unusable", "keep", "omit")
_LIKE_A_POLICY = 0.7
"""How near a text must come to the name of a policy to be taken for a slip of it."""


def mapped(table: Mapping[str, Scalar], unmapped: Scalar | None, convert: Convert) -> Convert:
    """A lookup in the table, as it is written or in any case; `convert` is for texts that are kept."""
    exact = {text.strip(): value for text, value in table.items()}
    folded = _folded(exact)
    otherwise = _otherwise(exact, unmapped, convert)

    def look_up(text: str) -> object:
        stripped = text.strip()
        if stripped in exact:
            return exact[stripped]
        if stripped.casefold() in folded:
            return folded[stripped.casefold()]
        return otherwise(text)

    return look_up


def _folded(exact: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """By the text in any case, but for texts that differ in nothing else: they must come as they are written."""
    folded: dict[str, list[Scalar]] = {}
    for text, value in exact.items():
        folded.setdefault(text.casefold(), []).append(value)
    return {text: values[0] for text, values in folded.items() if len(values) == 1}


def _otherwise(exact: Mapping[str, Scalar], unmapped: Scalar | None, convert: Convert) -> Convert:
    match unmapped:
        case None | "unusable":
            reason = f"is not in the map, which has {', '.join(exact)}"

            def refuse(_: str) -> object:
                raise ValueError(reason)

            return refuse
        case "keep":
            return convert
        case "omit":
            return lambda _: UNSET
    return lambda _: unmapped


def about_map(table: Mapping[str, Scalar] | None, unmapped: Scalar | None) -> list[str]:
    """What is wrong with a map and its policy, a sentence each."""
    complaints = []
    if table is not None and not all(map(str.strip, table)):
        complaints.append("map has an empty text; say what empty cells become with `default`")
    if isinstance(unmapped, str) and unmapped not in _POLICIES:
        close = difflib.get_close_matches(unmapped.lower(), _POLICIES, n=1, cutoff=_LIKE_A_POLICY)
        complaints += [
            f"unmapped '{unmapped}' looks like a slip of '{one}'; write that, or another value" for one in close
        ]
    try:
        check_numbers([*(table or {}).values(), unmapped])
    except ValueError as error:
        complaints.append(f"map {error}")
    return complaints
