"""One part, in a process of its own: python part.py NAME SIZES SECONDS RESULT.

Apart, because a part may fill memory, hang or fail, and none of that may touch the others.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from measure import Budget, Found
from place import FULL, QUICK
from processes import NotMeasured


def main(name: str, sizes: str, seconds: str, result: str) -> None:
    """Measure, and write down what was found."""
    signal.signal(signal.SIGTERM, _too_late)
    budget = Budget(float(seconds), QUICK if sizes == "quick" else FULL)
    try:
        found: Found = importlib.import_module(f"parts.{name}").measure(budget)
        told = {"found": found.as_json(), "wrong": None}
    except NotMeasured as error:
        told = {"found": Found().as_json(), "wrong": str(error)}
    Path(result).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")


def _too_late(number: int, _: FrameType | None) -> NoReturn:
    raise NotMeasured("it took longer than the time that it may take")


if __name__ == "__main__":
    main(*sys.argv[1:])
