"""What a check found: a verdict, a sentence, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from batchrunner.model import Value


class Verdict(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should look at it."""
    BAD = "bad"
    """A load would fail, or would not be safe."""
    UNKNOWN = "unknown"
    """It cannot be told from here."""
    SKIPPED = "skipped"
    """Not looked at: an earlier check stands in the way, or nobody has agreed to it."""


class Finding(Value, frozen=True):
    """One check."""

    check: str
    verdict: Verdict
    text: str
    advice: str | None = None
    """What to do, where something is to be done."""


Findings = list[Finding]


def is_bad(findings: Sequence[Finding]) -> bool:
    """Whether anything stands in the way of a load."""
    return any(finding.verdict is Verdict.BAD for finding in findings)


def findings_text(title: str, findings: Sequence[Finding]) -> str:
    """For people: a line a check, the advice beneath it."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = [title]
    for finding in findings:
        lines.append(f"  {finding.verdict.value:<8} {finding.check:<{width}}  {finding.text}")
        if finding.advice:
            lines.append(f"  {'':<8} {'':<{width}}  -> {finding.advice}")
    return "\n".join(lines)


def findings_values(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {"check": one.check, "verdict": one.verdict.value, "text": one.text, "advice": one.advice} for one in findings
    ]
