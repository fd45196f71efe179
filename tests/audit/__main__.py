"""Is a version that requirements.lock pins known to be vulnerable? Asks the OSV database, by way of pip-audit.

Part of `make check`, so it must not fail where there is no network: then it says in one line that nobody was asked,
and `--strict` makes that a failure too. What is found always is one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
DATABASE = "https://api.osv.dev/v1/query"
TIMEOUT_S = 10

_UNREACHABLE = re.compile(r"\b(ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|ServiceError)\b.*")
"""How the last line of pip-audit begins when it was not answered; anything else is its own fault, or ours."""


@dataclass(frozen=True)
class Told:
    """What is said, and how the check ends."""

    text: str
    code: int


def main(arguments: list[str]) -> int:
    """Ask, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", nargs="?", type=Path, default=LOCK)
    parser.add_argument("--database", default=DATABASE)
    parser.add_argument("--strict", action="store_true", help="fail where nobody could be asked")
    options = parser.parse_args(arguments)
    told = judged(asked(options.lock, options.database), strict=options.strict)
    print(told.text)
    return told.code


def asked(lock: Path, database: str) -> subprocess.CompletedProcess[str]:
    """What pip-audit says; it resolves nothing, for the lock is whole."""
    words = ["--disable-pip", "--require-hashes", "--requirement", str(lock), "--vulnerability-service", "osv"]
    words += ["--osv-url", database, "--timeout", str(TIMEOUT_S), "--format", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def judged(ended: subprocess.CompletedProcess[str], *, strict: bool) -> Told:
    """Clean, vulnerable, not asked, or broken."""
    try:
        report = json.loads(ended.stdout)
    except ValueError:
        return _without_report(ended.stderr, strict=strict)
    found = [one for one in report["dependencies"] if one.get("vulns")]
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in report["dependencies"] if "skip_reason" in one]
    if found or skipped:
        return Told("\n".join([*map(_sentence, found), *skipped]), 1)
    return Told(f"audit: {len(report['dependencies'])} pinned versions, none known to be vulnerable", 0)


def _without_report(stderr: str, *, strict: bool) -> Told:
    last = (stderr.strip().splitlines() or [""])[-1]
    if why := _UNREACHABLE.search(last):
        return Told(f"audit: nobody could be asked about pinned versions ({why[1]})", 1 if strict else 0)
    return Told(f"audit: pip-audit failed\n{stderr}", 1)


def _sentence(one: dict[str, Any]) -> str:
    each = "; ".join(f"{vuln['id']}, mended in {_or_nowhere(vuln['fix_versions'])}" for vuln in one["vulns"])
    return (
        f"audit: {one['name']} {one['version']} is vulnerable ({each}): widen its range if need be, then make upgrade"
    )


def _or_nowhere(versions: list[str]) -> str:
    return " or ".join(versions) or "no version yet"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
