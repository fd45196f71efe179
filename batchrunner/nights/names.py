"""Names of exports that change from night to night: `export-{date:%Y-%m-%d}.csv`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

_DAYS = {"date": 0, "yesterday": -1}
_DATED = re.compile(r"\{(date|yesterday)(?::([^{}]*))?\}")
_ISO = "%Y-%m-%d"


def dated(path: str, now: datetime) -> str:
    """A path with `{date}`, `{date:%d.%m.%Y}` and `{yesterday:…}` written out; other braces stay as they are."""
    return _DATED.sub(lambda found: (now + timedelta(days=_DAYS[found[1]])).strftime(found[2] or _ISO), path)


def finished(paths: Iterable[Path], ignore: Sequence[str]) -> list[Path]:
    """Files that are there, without those whose names say that they are still being written."""
    return [path for path in paths if path.is_file() and not any(fnmatch(path.name, name) for name in ignore)]
