"""`python -m batchrunner.config`: the JSON Schema of job files, as shipped in `batchrunner/job.schema.json`."""

from __future__ import annotations

import json
import sys

from batchrunner.config import job_schema

sys.stdout.write(json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n")
