"""The names of profile fields in the mapping, against those that the API documents. Pure.

The API has no call that lists the fields of a database. Names that begin with `_` are the platform's own, and a slip in
one of them can be seen; others are the installation's, and can only be listed for a person to compare.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from batchrunner.doctor.findings import Finding, Findings, Verdict

SYSTEM_FIELDS = frozenset({
    "_fname", "_lname", "_vendor", "_tz", "_browser", "_bdate", "_regdate", "_sex", "_postal_code", "_ip", "_regip",
    "_city", "_regcity", "_region", "_country", "_regcountry", "_regurl", "_status",
})  # fmt: skip
PLAIN_FIELDS = frozenset({"email", "phones", "subscriptions"})


def look_at_fields(names: Iterable[str]) -> Findings:
    """Judge the names under `[request.data]`."""
    named = list(names)
    wrong = [name for name in named if name.startswith("_") and name not in SYSTEM_FIELDS]
    custom = [name for name in named if not name.startswith("_") and name not in PLAIN_FIELDS]
    findings = [_unlisted(wrong)] if wrong else []
    if custom:
        shown = ", ".join(sorted(custom))
        findings.append(
            Finding(
                "fields", Verdict.UNKNOWN, f"the API cannot say whether the database has the field(s) {shown}",
                "compare them with the database's settings on the platform, where each has a type as well",
            )
        )  # fmt: skip
    return findings or [Finding("fields", Verdict.OK, "all profile fields of the mapping are the platform's own")]


def _unlisted(wrong: list[str]) -> Finding:
    return Finding(
        "fields", Verdict.WARN, f"not among the documented fields of the platform: {', '.join(map(_nearest, wrong))}",
        "correct the names; fields of your own database have names without _",
    )  # fmt: skip


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, sorted(SYSTEM_FIELDS), n=1, cutoff=0.6)
    return f"{name} (did you mean {close[0]}?)" if close else name
