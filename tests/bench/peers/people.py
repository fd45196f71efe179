"""What every peer sends: the same bodies that our job makes of the same file, without any of our guarantees."""

from __future__ import annotations

import csv
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

URL, FILE, ROWS, SECONDS = (
    sys.argv[1] + "/api/v1.1/workflows/import_and_start",
    sys.argv[2],
    int(sys.argv[3]),
    float(sys.argv[4]),
)
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer bench"}
CONNECTIONS = 64


def bodies() -> Iterator[bytes]:
    """Request bodies, until there are enough or the time is up."""
    until_s = time.perf_counter() + SECONDS
    with Path(FILE).open(encoding="utf-8", newline="") as file:
        for record in itertools.islice(csv.DictReader(file), ROWS):
            if time.perf_counter() > until_s:
                return
            yield json.dumps(body(record), ensure_ascii=False).encode()


def body(record: dict[str, str]) -> dict[str, Any]:
    """A row as a request."""
    day, month, year = record["Birth date"].split(".")
    return {
        "matching": "email",
        "email": record["Email"],
        "skip_triggers": True,
        "workflow_id": 12,
        "data": {
            "email": record["Email"],
            "_fname": record["First name"],
            "_lname": record["Last name"],
            "_bdate": f"{year}-{month}-{day}",
            "_city": record["City"],
            "phones": [record["Phone"].replace(" ", "")],
            "crm_id": record["Client ID"],
            "newsletter": record["Newsletter"] == "yes",
            "bonus": float(record["Bonus"].replace(",", ".")),
            "segment": record["Segment"],
            "subscriptions": [{"channel": "email", "resource_id": 7, "email": record["Email"]}],
        },
        "content": {"one": f"Hello {record['First name']}, your manager is {record['Owner']}"},
    }


def tell(rows: int, began_s: float) -> None:
    """The figure, on stdout."""
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began_s}))
