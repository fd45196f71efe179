"""dlt with a custom destination that sends each row: extract, normalize and load, as its documentation shows."""

import os
import tempfile
import time

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import requests
from people import HEADERS, URL, bodies, tell

session = requests.Session()
sent = 0


@dlt.destination(batch_size=1, name="altcraft", naming_convention="direct")
def altcraft(items: list, table: dict) -> None:
    """One row."""
    global sent  # noqa: PLW0603
    for item in items:
        assert session.post(URL, data=item["body"].encode(), headers=HEADERS, timeout=30).json()["error"] == 0
        sent += 1


with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=altcraft)
    began_s = time.perf_counter()
    pipeline.run(({"body": body.decode()} for body in bodies()), table_name="people")
    tell(sent, began_s)
